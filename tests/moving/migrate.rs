//! `migrate`: what it refuses, what it says before it writes, and what becomes of rows that are there.

use super::places::{World, few, mailbox, row, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::{mysql, sqlite};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("migrate::the_tables_are_made_and_filled_and_it_is_the_same_again", &[], filled),
        trial("migrate::a_target_with_rows_is_refused", &[], refused),
        trial("migrate::the_same_place_is_refused", &[], same_place),
        trial("migrate::merge_adds_and_leaves", &[], merge),
        trial("migrate::replace_makes_it_like_the_source", &[], replace),
        trial("migrate::a_dry_run_writes_nothing", &["mariadb"], dry_run),
        trial("migrate::what_a_directory_cannot_express_is_listed_before_anything_is_written", &["ldap"], directory),
        trial("migrate::what_sql_tables_cannot_express_is_listed", &["mariadb"], tables),
        trial("migrate::an_order_that_would_be_lost_is_listed", &[], order),
        trial("migrate::skip_leaves_out_and_keeps_them_in_a_private_file", &["mariadb"], skip),
        trial("migrate::a_wide_name_widens_the_column", &["mariadb"], wide),
        trial("migrate::an_old_table_without_login_columns_fits", &["mariadb"], bare),
        trial("migrate::the_state_file_is_private_and_gone_at_the_end", &[], state),
        trial("migrate::no_password_is_shown", &["mariadb"], no_password),
        trial("migrate::passwords_that_a_directory_lets_nobody_in_by_are_named", &["ldap"], binds),
        trial("migrate::what_is_replaced_and_deleted_is_named", &[], named),
        trial("migrate::passwords_that_are_hidden_from_us_are_not_lost", &["ldap"], hidden),
    ]
}

fn source(world: &World, rows: &[TableRow]) -> Result<String, Failed> {
    world.sqlite_with("source.db", sqlite::Tables::Seq, rows)
}

fn filled() -> Outcome {
    let world = World::new(&[])?;
    let (from, to) = (source(&world, &few())?, world.sqlite("target.db"));
    world.migrate(&from, &to, &[])?.exits(0)?.says("8 rows inserted, 0 already there")?;
    equal("rows", world.export(&to)?, world.export(&from)?)?;
    world.migrate(&from, &to, &["--merge"])?.exits(0)?.says("0 rows inserted, 8 already there")?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn refused() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &few()[..3])?;
    let before = std::fs::read(world.path("target.db"))?;
    world.migrate(&from, &to, &[])?.exits(1)?.complains(&["mailbox 2", "alias 1", "--merge", "--replace"])?;
    ensure(std::fs::read(world.path("target.db"))? == before, "the target was written to")?;
    ensure(!any_state(&world), "a state file is left")
}

fn any_state(world: &World) -> bool {
    std::fs::read_dir(world.path(".local/state/qmail-lookup")).is_ok_and(|entries| entries.count() > 0)
}

fn same_place() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    world.migrate(&from, &from, &[])?.exits(100)?.complains(&["the same"])?;
    std::fs::hard_link(world.path("source.db"), world.path("other.db"))?;
    world.migrate(&from, &world.sqlite("other.db"), &["--replace"])?.exits(100)?.complains(&["the same"]).map(drop)
}

/// Rows of a target that has a set of its own, another one of the source's keys, and lacks the rest.
fn others() -> Vec<TableRow> {
    let mut rows = vec![mailbox("carol"), mailbox("iain")];
    rows.push(row(Table::Alias, &["iain", "list", "zed", "example.org", "7"]));
    rows.push(row(Table::Mailbox, &["Bob", "801", "100", "/home/bob", "x", "Password", "N"]));
    rows
}

fn merge() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &others())?;
    let run = world.migrate(&from, &to, &["--merge", "--no-compare"])?.exits(1)?;
    run.says("4 rows inserted, 1 already there")?
        .says("Bob: differs")?
        .says("(iain, list): differs")?
        .says("1 left")?;
    let text = world.export(&to)?;
    // A set that is there gets no further instruction: mail would be delivered otherwise than both sides say.
    equal("instructions", text.matches("\tlist\t").count(), 1)?;
    ensure(text.contains("carol") && text.contains("/home/bob") && text.contains("bar.com"), text)
}

fn replace() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &others())?;
    let run = world.migrate(&from, &to, &["--replace", "--json"])?.exits(0)?;
    let rows = run.json()?["rows"].clone();
    equal("deleted", rows["deleted"].as_u64(), Some(1))?;
    equal("same", rows["same"].as_u64(), Some(1))?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn dry_run() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from = source(&world, &few())?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &others())?;
    let before = std::fs::read(world.path("target.db"))?;
    let run = world.migrate(&from, &to, &["--replace", "--dry-run"])?.exits(0)?;
    run.says("would be inserted")?.says("1 would be deleted")?;
    world.migrate(&from, &to, &["--merge", "--dry-run"])?.exits(1)?;
    ensure(std::fs::read(world.path("target.db"))? == before, "the file was written to")?;
    world.migrate(&from, &world.sqlite("none.db"), &["--dry-run"])?.exits(0)?.says("8 rows would be inserted")?;
    ensure(!world.path("none.db").exists(), "the file was made")?;
    let to = world.mysql_empty("none")?;
    world.migrate(&from, &to, &["--dry-run"])?.exits(0)?.says("8 rows would be inserted")?;
    let dropped = world.server()?.sql("SELECT 1 FROM none.mailbox");
    ensure(dropped.is_err(), "the tables were made")?;
    ensure(!any_state(&world), "a state file is left")
}

fn bytes(table: Table, cells: &[&[u8]]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.to_vec())))
}

fn directory() -> Outcome {
    let world = World::new(&["ldap"])?;
    let mut rows = few();
    rows.push(bytes(Table::Mailbox, &[b"latin", b"800", b"100", b"/home/\xff", b"open-sesame", b"Password", b"N"]));
    rows.push(mailbox("iain"));
    rows.push(row(Table::Virtual, &["m\u{fc}nchen.example", "x", "iain", ""]));
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &rows)?;
    let to = world.ldap_empty("q")?;
    let run = world.migrate(&from, &to, &[])?.exits(1)?;
    let run = run.says("latin: column home")?.says("iain: ")?.says("(m\u{fc}nchen.example, x): column virtual_host")?;
    ensure(run.err.contains("nothing was written"), format!("{run:?}"))?;
    let there = world.directory()?.search(&qmail_lookup_tests::load::ldap::base("q"), "sub", "(objectClass=*)")?;
    equal("entries", there.matches("dn: ").count(), 1)
}

fn tables() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let mut rows = few();
    rows.truncate(2);
    rows.push(mailbox("iain"));
    let latin = [b"latin".as_slice(), b"800", b"100", b"/home/Postf\xe4cher", b"open-sesame", b"Password", b"N"];
    rows.push(bytes(Table::Mailbox, &latin));
    rows.push(mailbox(&"w".repeat(33)));
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &rows)?;
    let to = world.mysql_with("q", mysql::Tables::Documented, &[])?;
    let run = world.migrate(&from, &to, &["--json"])?.exits(1)?;
    let list = run.json()?["not_expressible"].clone();
    let key = |one: &serde_json::Value| one["key"].as_str().unwrap_or_default().to_owned();
    let keys: Vec<_> = list.as_array().into_iter().flatten().map(key).collect();
    equal("keys", keys, vec!["iain".to_owned(), "iain".to_owned(), "latin".to_owned(), "w".repeat(33)])?;
    let why = list.to_string();
    ensure(why.contains("column home") && why.contains("username") && !why.contains("open-sesame"), why)?;
    equal("rows", world.export(&to)?.matches("\nmailbox").count(), 0)
}

fn order() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Documented, &[])?;
    world.migrate(&from, &to, &[])?.exits(1)?.says("(iain, list): column seq")?;
    equal("rows", world.export(&to)?.matches("\nmailbox").count(), 0)?;
    // Where numbers say nothing they are left out.
    let mut rows = few();
    rows.swap(2, 3);
    rows[2] = row(Table::Alias, &["iain", "list", "a", "example.org", "1"]);
    rows[3] = row(Table::Alias, &["iain", "list", "zed", "example.org", "2"]);
    let from = world.sqlite_with("natural.db", sqlite::Tables::Seq, &rows)?;
    world.migrate(&from, &to, &[])?.exits(0).map(drop)
}

fn skip() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let mut rows = few();
    rows.push(mailbox(&"w".repeat(33)));
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &rows)?;
    let to = world.mysql_with("q", mysql::Tables::Documented, &[])?;
    let file = world.path("skipped");
    let place = file.display().to_string();
    world.migrate(&from, &to, &["--skip", &place])?.exits(1)?.says("1 left out")?;
    equal("mode", std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600)?;
    let text = std::fs::read_to_string(&file)?;
    ensure(text.contains(&"w".repeat(33)) && text.ends_with("# end 1 rows\n"), &*text)?;
    ensure(!world.export(&to)?.contains("www") && world.export(&to)?.contains("iain"), "rows")
}

fn wide() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let mut rows = few();
    rows.push(mailbox(&"w".repeat(40)));
    let (from, to) = (source(&world, &rows)?, world.mysql_empty("q")?);
    let run = world.migrate(&from, &to, &[])?.exits(0)?;
    ensure(run.err.contains("40 characters"), format!("{run:?}"))?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn bare() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let hash = "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";
    let rows = [row(Table::Mailbox, &["iain", "800", "100", "/h", hash])];
    let from = world.mysql_with("bare", mysql::Tables::Bare, &rows)?;
    let to = world.sqlite("target.db");
    world.migrate(&from, &to, &[])?.exits(0)?;
    ensure(world.export(&to)?.contains("MySQL-Password\tN"), world.export(&to)?)?;
    // A type would make a password of it that lets somebody in.
    let rows = [row(Table::Mailbox, &["iain", "800", "100", "/h", "secret"])];
    let from = world.mysql_with("plain", mysql::Tables::Bare, &rows)?;
    world.migrate(&from, &world.sqlite("other.db"), &[])?.exits(1)?.says("password_type").map(drop)
}

fn state() -> Outcome {
    let world = World::new(&[])?;
    let (from, to) = (source(&world, &few())?, world.sqlite("target.db"));
    let place = world.path("state/m.json");
    let state = place.display().to_string();
    std::fs::create_dir(world.path("state"))?;
    // Cut off behind three of the tables: the rows that are there are its own.
    sqlite::create(&world.path("target.db"), sqlite::Tables::Seq, &[])?;
    let sql = |text: &str| -> rusqlite::Result<()> {
        rusqlite::Connection::open(world.path("target.db"))?.execute_batch(text)
    };
    sql("CREATE TRIGGER t BEFORE INSERT ON rcpthosts BEGIN SELECT RAISE(ABORT, 'no'); END")?;
    world.migrate(&from, &to, &["--state", &state])?.exits(1)?;
    equal("mode", std::fs::metadata(&place)?.permissions().mode() & 0o777, 0o600)?;
    let begun = std::fs::read_to_string(&place)?;
    sql("DROP TRIGGER t")?;
    world.migrate(&from, &to, &["--state", &state])?.exits(0)?.says("1 rows inserted, 7 already there")?;
    ensure(!place.exists(), "the state file is left")?;
    equal("rows", world.export(&to)?, world.export(&from)?)?;
    // Of another migration.
    std::fs::write(&place, begun.replace("target", "other"))?;
    world.migrate(&from, &to, &["--state", &state])?.exits(100)?.complains(&["--state"])?;
    ensure(Path::new(&state).exists(), "it was taken away")
}

fn no_password() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let mut rows = few();
    rows.push(mailbox(&"w".repeat(33)));
    rows.push(mailbox("iain"));
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &rows)?;
    let to = world.mysql_with("q", mysql::Tables::Documented, &others())?;
    for more in [&["--merge"][..], &["--replace", "--json"], &["--merge", "--dry-run", "--json", "-v"]] {
        let run = world.migrate(&from, &to, more)?;
        ensure(!(run.out + &run.err).contains("open-sesame"), format!("{more:?}"))?;
    }
    Ok(())
}

/// A directory shows such an account mailboxes without passwords, and says nothing else.
fn hidden() -> Outcome {
    let world = World::new(&["ldap"])?;
    let from = source(&world, &few())?;
    let directory = world.ldap_empty("hides")?;
    world.migrate(&from, &directory, &[])?.exits(0)?;
    let reader = world.ldap_as("hides", "cn=reader,dc=test", "reader")?;
    let to = world.sqlite("target.db");
    world.migrate(&reader, &to, &[])?.exits(111)?.complains(&["2 mailboxes show no password", "hidden"])?;
    ensure(!world.path("target.db").exists(), "the target was made")?;
    world.run(&["--config", &reader, "export"])?.exits(111)?.complains(&["hidden"])?;
    world.run(&["--config", &reader, "export", "--no-passwords"])?.exits(0)?.says("# without passwords")?;
    world.run(&["compare", "--from", &from, "--to", &reader])?.exits(111)?.complains(&["hidden"])?;
    world.run(&["compare", "--from", &from, "--to", &reader, "--no-passwords"])?.exits(0)?.says("not compared")?;
    Ok(())
}

/// `auth = "bind"` is the default, and a server knows no MySQL-Password.
fn binds() -> Outcome {
    let world = World::new(&["ldap"])?;
    let old = row(Table::Mailbox, &["old", "801", "100", "/home/old", "378b243e220ca493", "MySQL-Password", "N"]);
    let from = source(&world, &[few(), vec![old]].concat())?;
    let compares = world.ldap_empty("binds")?;
    let text = std::fs::read_to_string(&compares)?.replace("auth = \"compare\"\n", "");
    let binds = world.path("bind.toml");
    std::fs::write(&binds, text)?;
    std::fs::set_permissions(&binds, std::fs::Permissions::from_mode(0o600))?;
    let binds = binds.to_str().ok_or("path")?;
    let dry = world.migrate(&from, binds, &["--dry-run"])?.exits(1)?.says("old: no directory lets anybody in by it")?;
    ensure(!dry.out.contains("iain:"), format!("{dry:?}"))?;
    world.migrate(&from, binds, &[])?.exits(1)?.says("1 cannot log in there")?.says("the same")?;
    world.migrate(&from, &compares, &["--merge"])?.exits(0)?;
    Ok(())
}

fn named() -> Outcome {
    let world = World::new(&[])?;
    let from = source(&world, &few())?;
    let mut more = few();
    more[0] = row(Table::Mailbox, &["iain", "999", "100", "/home/mail", "open-sesame", "Password", "N"]);
    more.push(row(Table::Alias, &["iain", "list", "extra", "example.org", "9"]));
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &more)?;
    let dry = world.migrate(&from, &to, &["--replace", "--dry-run"])?.exits(0)?;
    let dry = dry.says("mailbox    iain: another row of its key takes its place")?;
    dry.says("alias      (iain, list): is not in the source")?.says("1 would be replaced, 1 would be deleted")?;
    Ok(())
}
