//! What a migration does not do: let somebody in whom the source refuses, empty a target unasked, take a foreign store for
//! its own, or end in a state that no further run can leave.

use super::places::{World, few, mailbox, row, trial};
use crate::cli::Run;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::{mysql, sqlite};
use rusqlite::Connection;

pub(super) fn trials() -> Vec<Trial> {
    let both = &["mariadb", "ldap"];
    vec![
        trial("guards::a_login_without_a_type_is_not_given_one_by_the_target", both, logins),
        trial("guards::replace_does_not_empty_a_target_unasked", &[], emptied),
        trial("guards::values_that_the_table_has_once_change_places", &["mariadb"], swapped),
        trial("guards::columns_of_the_site_s_own_are_kept_or_named", &[], columns),
        trial("guards::rows_that_are_there_stand_in_the_way_before_anything_is_written", &["mariadb"], in_the_way),
        trial("guards::a_view_and_a_table_with_partitions_are_read_back", &["mariadb"], unrehearsed),
        trial("guards::a_view_of_sqlite_leaves_the_other_tables_judged", &[], sqlite_view),
        trial("guards::a_state_of_another_store_does_not_count", &[], stale),
        trial("guards::without_mailboxes_the_rows_are_compared", &[], no_mailboxes),
    ]
}

const SHA: &str = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";

/// On standard error, on whatever line.
fn warns(run: &Run, words: &[&str]) -> Outcome {
    ensure(words.iter().all(|words| run.err.contains(words)), format!("{words:?} expected: {run:?}"))
}

fn file(world: &World, name: &str) -> Result<Connection, Failed> {
    Ok(Connection::open(world.path(name))?)
}

/// Tables of before the login columns: the stored value alone says how it is verified, and `secret` is never.
fn logins() -> Outcome {
    let world = World::new(&["mariadb", "ldap"])?;
    let from = world.sqlite_with("source.db", sqlite::Tables::Documented, &[])?;
    file(&world, "source.db")?.execute_batch(&format!(
        "DROP TABLE mailbox; CREATE TABLE mailbox (username TEXT, uid INTEGER, gid INTEGER, home TEXT, password TEXT);
         INSERT INTO mailbox VALUES ('ann', 801, 100, '/h/ann', '{SHA}'), ('iain', 800, 100, '/h/iain', '{SHA}'),
            ('bob', 802, 100, '/h/bob', 'secret')"
    ))?;
    let nullable = "ALTER TABLE q2.mailbox MODIFY password_type varchar(20)";
    let mysql = world.mysql_with("q", mysql::Tables::Documented, &[])?;
    let free = world.mysql_with("q2", mysql::Tables::Documented, &[])?;
    world.server()?.sql(nullable)?;
    let targets = [mysql, world.sqlite("made.db"), free, world.ldap_empty("q")?];
    let skipped = world.path("skipped").display().to_string();
    for to in &targets {
        let run = world.migrate(&from, to, &["--skip", &skipped, "--no-compare"])?;
        let text = world.export(to)?;
        let of = |name: &str| text.lines().find(|line| line.starts_with(&format!("mailbox\t{name}\t"))).unwrap_or("");
        ensure(!of("bob").contains("Password"), format!("{to}: {}", of("bob")))?;
        ensure(of("bob").is_empty() == run.out.contains("bob: "), format!("{to}: {run:?}"))?;
        for name in ["ann", "iain"] {
            ensure(of(name).contains(SHA) && !of(name).contains("\tPassword"), format!("{to}: {}", of(name)))?;
        }
    }
    // Suspended as little.
    world
        .server()?
        .sql("ALTER TABLE q.mailbox MODIFY suspended enum('N','Y') NOT NULL DEFAULT 'Y'; DELETE FROM q.mailbox")?;
    world.migrate(&from, &targets[0], &["--skip", &skipped, "--no-compare"])?.exits(1)?.says("bob: ")?;
    equal("not suspended", world.export(&targets[0])?.matches("\tCrypt-Password\tN").count(), 2)
}

fn numbered(from: usize, to: usize) -> Vec<TableRow> {
    (from..to).map(|n| mailbox(&format!("user{n:03}"))).collect()
}

fn emptied() -> Outcome {
    let world = World::new(&[])?;
    let there = [numbered(0, 30), few()].concat();
    let to = world.sqlite_with("target.db", sqlite::Tables::Seq, &there)?;
    let before = std::fs::read(world.path("target.db"))?;
    let without = |table| there.iter().filter(|row| row.table() != table).cloned().collect::<Vec<_>>();
    let sources = [
        (Vec::new(), "no mailbox at all"),
        (without(Table::Mailbox), "table mailbox: 32 of 32"),
        (without(Table::Alias), "table alias: 3 of 3"),
        (without(Table::Rcpthosts), "table rcpthosts: 1 of 1"),
        ([numbered(0, 22), few()].concat(), "table mailbox: 8 of 32"),
    ];
    for (n, (rows, why)) in sources.iter().enumerate() {
        let from = world.sqlite_with(&format!("source{n}.db"), sqlite::Tables::Seq, rows)?;
        for more in [&["--replace"][..], &["--replace", "--dry-run"]] {
            warns(&world.migrate(&from, &to, more)?.exits(1)?, &[why, "--yes", "Nothing was written"])?;
        }
        ensure(std::fs::read(world.path("target.db"))? == before, format!("{why}: written"))?;
    }
    // A few that went are no reason, and are named.
    let from = world.sqlite_with("fewer.db", sqlite::Tables::Seq, &[numbered(0, 25), few()].concat())?;
    let run = world.migrate(&from, &to, &["--replace"])?.exits(0)?.says("user029: is not in the source")?;
    run.says("5 deleted")?;
    let from = world.sqlite("source1.db");
    world.migrate(&from, &to, &["--replace", "--yes"])?.exits(0)?;
    equal("mailboxes", world.export(&to)?.matches("\nmailbox").count(), 0)?;
    world.migrate(&from, &to, &["--yes"])?.exits(100).map(drop)
}

fn with_uid(name: &str, uid: usize) -> TableRow {
    row(Table::Mailbox, &[name, &uid.to_string(), "100", "/h", "open-sesame", "Password", "N"])
}

/// So many that the two that swap are of different batches.
fn swapped() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let uids = |swap: bool| {
        let of = |n: usize| if swap && matches!(n, 0 | 2399) { 2399 - n } else { n };
        (0..2400)
            .map(|n| with_uid(&format!("user{n:06}"), 1000 + of(n) + usize::from(swap && n == 1200) * 5000))
            .collect::<Vec<_>>()
    };
    let from = world.sqlite_with("source.db", sqlite::Tables::Documented, &uids(true))?;
    let mysql = world.mysql_with("q", mysql::Tables::Documented, &uids(false))?;
    world.server()?.sql("ALTER TABLE q.mailbox ADD UNIQUE own (uid)")?;
    let file_to = world.sqlite_with("target.db", sqlite::Tables::Documented, &uids(false))?;
    file(&world, "target.db")?.execute_batch("CREATE UNIQUE INDEX own ON mailbox (uid)")?;
    for to in [mysql, file_to] {
        world.migrate(&from, &to, &["--replace", "--no-compare"])?.exits(0)?.says("3 replaced")?;
        ensure(world.export(&to)? == world.export(&from)?, format!("{to}: other rows"))?;
    }
    // Without transactions nothing is taken away for it, and nothing is lost.
    let to = world.mysql_with("my", mysql::Tables::Documented, &uids(false)[..3])?;
    world.server()?.sql("ALTER TABLE my.mailbox ENGINE=MyISAM, ADD UNIQUE own (uid)")?;
    let two = [with_uid("user000000", 1001), with_uid("user000001", 1000), with_uid("user000002", 1002)];
    let from = world.sqlite_with("two.db", sqlite::Tables::Documented, &two)?;
    world.migrate(&from, &to, &["--replace", "--no-compare"])?.exits(1)?.complains(&["user000000", "own"])?;
    equal("rows", world.export(&to)?.matches("\nmailbox").count(), 3)
}

fn columns() -> Outcome {
    let world = World::new(&[])?;
    let from = world.sqlite_with(
        "source.db",
        sqlite::Tables::Documented,
        &[with_uid("ann", 2), with_uid("bob", 1), with_uid("carol", 3)],
    )?;
    let to = world.sqlite_with(
        "target.db",
        sqlite::Tables::Documented,
        &[with_uid("ann", 1), with_uid("bob", 2), with_uid("carol", 4)],
    )?;
    file(&world, "target.db")?
        .execute_batch("ALTER TABLE mailbox ADD COLUMN quota INTEGER; UPDATE mailbox SET quota = 7")?;
    let quotas = || -> Result<i64, Failed> {
        Ok(file(&world, "target.db")?
            .query_row("SELECT count(*) FROM mailbox WHERE quota = 7", [], |row| row.get(0))?)
    };
    file(&world, "target.db")?.execute_batch("CREATE UNIQUE INDEX own ON mailbox (uid)")?;
    let run = world.migrate(&from, &to, &["--replace", "--no-compare"])?.exits(1)?;
    warns(&run, &["further columns (quota)", "--yes"])?;
    equal("kept", quotas()?, 3)?;
    file(&world, "target.db")?.execute_batch("DROP INDEX own")?;
    world.migrate(&from, &to, &["--replace", "--no-compare"])?.exits(0)?;
    equal("kept", quotas()?, 3)?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn in_the_way() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &[mailbox("ann"), mailbox("zoe")])?;
    let to = world.mysql_with("q", mysql::Tables::Documented, &[mailbox("bob"), mailbox("zoe ")])?;
    let before = world.export(&to)?;
    for more in [&["--merge"][..], &["--merge", "--dry-run"]] {
        world.migrate(&from, &to, more)?.exits(1)?.says("zoe: a row with this key is there already")?;
    }
    equal("rows", world.export(&to)?, before)?;
    world.migrate(&from, &to, &["--replace", "--no-compare"])?.exits(0)?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn unrehearsed() -> Outcome {
    let world = World::new(&["mariadb"])?;
    let to = world.mysql_with("q", mysql::Tables::Documented, &[])?;
    world.server()?.sql(
        "ALTER TABLE q.mailbox RENAME q.m; CREATE VIEW q.mailbox AS SELECT * FROM q.m;
         ALTER TABLE q.`virtual` PARTITION BY KEY (virtual_host) PARTITIONS 4",
    )?;
    let mut rows: Vec<_> = few().into_iter().filter(|row| row.table() != Table::Alias).collect();
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &rows)?;
    let long = format!("{}.example", "w".repeat(300));
    rows.push(row(Table::Rcpthosts, &[&long]));
    let wrong = world.sqlite_with("wrong.db", sqlite::Tables::ByHand, &rows)?;
    let run = world.migrate(&wrong, &to, &["--json"])?.exits(1)?;
    let said = run.json()?;
    equal("not rehearsed", said["not_rehearsed"].to_string(), "[\"mailbox\",\"virtual\"]".to_owned())?;
    equal("listed", said["not_expressible"][0]["key"].as_str(), Some(&*long))?;
    ensure(world.export(&to)?.ends_with("# end 0 rows\n"), "rows were written")?;
    let run = world.migrate(&from, &to, &[])?.exits(0)?;
    ensure(run.err.contains("table virtual is a view, has partitions"), format!("{run:?}"))?;
    equal("rows", world.export(&to)?, world.export(&from)?)
}

fn sqlite_view() -> Outcome {
    let world = World::new(&[])?;
    let to = world.sqlite_with("target.db", sqlite::Tables::Documented, &[])?;
    file(&world, "target.db")?.execute_batch(
        "DROP TABLE rcpthosts; CREATE TABLE hosts (host TEXT); CREATE VIEW rcpthosts AS SELECT host FROM hosts",
    )?;
    let from = world.sqlite_with("source.db", sqlite::Tables::ByHand, &[mailbox("ann"), mailbox(&"w".repeat(140))])?;
    let run = world.migrate(&from, &to, &["--json"])?.exits(1)?;
    equal("not rehearsed", run.json()?["not_rehearsed"].to_string(), "[\"rcpthosts\"]".to_owned())?;
    equal("listed", run.json()?["not_expressible"].as_array().map(Vec::len), Some(1))
}

/// Begun, cut off, and then the configuration names another store, which somebody else has filled.
fn stale() -> Outcome {
    let world = World::new(&[])?;
    let from = world.sqlite_with("source.db", sqlite::Tables::Seq, &few())?;
    let config = world.path("target.toml");
    let names = |file: &str| {
        let text = format!("[store]\nkind = \"sqlite\"\npath = \"{}\"\n", world.path(file).display());
        std::fs::write(&config, text)
    };
    let to = config.display().to_string();
    let own = world.sqlite_with("own.db", sqlite::Tables::Seq, &[])?;
    file(&world, "own.db")?
        .execute_batch("CREATE TRIGGER t BEFORE INSERT ON rcpthosts BEGIN SELECT RAISE(ABORT, 'no'); END")?;
    names("own.db")?;
    world.migrate(&from, &to, &[])?.exits(1)?;
    let other = world.sqlite_with("other.db", sqlite::Tables::Seq, &few()[..2])?;
    let before = world.export(&other)?;
    names("other.db")?;
    let run = world.migrate(&from, &to, &[])?.exits(1)?;
    warns(&run, &["does not count", "--merge"])?;
    equal("rows", world.export(&other)?, before.clone())?;
    world.migrate(&from, &to, &["--dry-run"])?.exits(1)?.complains(&["--merge"])?;
    // So does another file of the same name.
    std::fs::rename(world.path("own.db"), world.path("moved.db"))?;
    std::fs::copy(world.path("other.db"), world.path("own.db"))?;
    names("own.db")?;
    world.migrate(&from, &to, &[])?.exits(1)?;
    equal("rows", world.export(&own)?, before)?;
    // Back at the first one it goes on.
    std::fs::rename(world.path("moved.db"), world.path("own.db"))?;
    file(&world, "own.db")?.execute_batch("DROP TRIGGER t")?;
    world.migrate(&from, &to, &[])?.exits(0)?.says("1 rows inserted, 7 already there").map(drop)
}

fn no_mailboxes() -> Outcome {
    let world = World::new(&[])?;
    let rows: Vec<_> = few().into_iter().filter(|row| row.table() != Table::Mailbox).collect();
    let from = world.sqlite_with("source.db", sqlite::Tables::Seq, &rows)?;
    let to = world.sqlite("target.db");
    let run = world.migrate(&from, &to, &[])?.exits(0)?;
    ensure(run.err.contains("the source has no mailbox"), format!("{run:?}"))?;
    equal("rows", world.export(&to)?, world.export(&from)?)?;
    let run = world.migrate(&from, &to, &["--merge", "--json"])?.exits(0)?;
    equal("compared", run.json()?["compared"].as_str(), Some("rows"))?;
    // What is changed under way is seen: here by the target itself.
    let other = world.sqlite_with("other.db", sqlite::Tables::Seq, &[])?;
    file(&world, "other.db")?
        .execute_batch("CREATE TRIGGER t AFTER INSERT ON rcpthosts BEGIN DELETE FROM rcpthosts; END")?;
    warns(&world.migrate(&from, &other, &[])?.exits(111)?, &["not in the target"])
}
