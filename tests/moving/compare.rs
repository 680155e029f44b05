//! `compare` on real stores: what differs is found and named, what could not be asked is never the same, and no password
//! is ever shown.

use crate::cli::{Run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::compare::UNKNOWN;
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap::foreign::{self, Foreign};
use qmail_lookup_tests::load::{ldap, mysql, sqlite};
use qmail_lookup_tests::proxy::{Mode, Proxy};
use qmail_lookup_tests::server::mariadb::{self, MariaDb};
use qmail_lookup_tests::server::slapd::{self, Certificate, Schema, Slapd};
use qmail_lookup_tests::{Shape, dataset};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Passwords, in which no output may be.
const SECRETS: [&str; 2] = ["open-sesame", "hunter2"];

pub(super) type Cells = (Table, Vec<&'static str>);

pub(super) fn base_rows() -> Vec<Cells> {
    vec![
        (Table::Mailbox, vec!["iain", "800", "100", "/home/mail/iain", "open-sesame", "Password", "N"]),
        (Table::Mailbox, vec!["bob", "801", "100", "/home/mail/bob", "open-sesame", "Password", "Y"]),
        (Table::Mailbox, vec!["virtual", "802", "100", "/home/mail/virtual", "open-sesame", "Password", "N"]),
        (Table::Alias, vec!["iain", "list", "first", "example.org", "1"]),
        (Table::Alias, vec!["iain", "list", "|", "second", "2"]),
        (Table::Alias, vec!["iain", "@", ".", "/Catchall/", "3"]),
        (Table::Alias, vec!["virtual", "@", ".", "/Maildir/", "4"]),
        (Table::Alias, vec!["alias", "info", "iain", "", "5"]),
        (Table::Virtual, vec!["virtual.test", "", "virtual", "@"]),
        (Table::Virtual, vec!["bar.test", "sales", "iain", "work"]),
        (Table::Virtual, vec!["bar.test", "s_les-%", "bob", ""]),
        (Table::Virtual, vec![".wild.test", "info", "bob", ""]),
        (Table::Rcpthosts, vec!["virtual.test"]),
        (Table::Rcpthosts, vec![".relay.test"]),
    ]
}

pub(super) fn rows(cells: &[Cells]) -> Vec<TableRow> {
    let row =
        |(table, cells): &Cells| TableRow::from_cells(*table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())));
    cells.iter().map(row).collect()
}

/// The rows with one changed: `find` are the first cells of the one whose `column` becomes `value`.
pub(super) fn changed(table: Table, find: &[&str], column: usize, value: &'static str) -> Vec<Cells> {
    let mut all = base_rows();
    let row = all.iter_mut().find(|(other, cells)| *other == table && cells.starts_with(find));
    if let Some(cell) = row.and_then(|(_, cells)| cells.get_mut(column)) {
        *cell = value;
    }
    all
}

fn without(table: Table, find: &[&str]) -> Vec<Cells> {
    let mut all = base_rows();
    all.retain(|(other, cells)| *other != table || !cells.starts_with(find));
    all
}

pub(super) fn sqlite_of(folder: &Path, name: &str, all: &[TableRow]) -> Result<String, Failed> {
    let path = folder.join(format!("{name}.db"));
    sqlite::create(&path, sqlite::Tables::Seq, all)?;
    Ok(format!("sqlite:{}", path.display()))
}

fn password(folder: &Path) -> Result<String, Failed> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("password");
    std::fs::write(&path, mariadb::PASSWORD)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

fn mysql_url(server: &MariaDb, folder: &Path, name: &str) -> Result<String, Failed> {
    let (socket, file) = (server.socket().display(), password(folder)?);
    Ok(format!("mysql://{}@localhost/{name}?socket={socket}&password_file={file}", mariadb::USER))
}

fn mysql_of(server: &MariaDb, folder: &Path, name: &str, all: &[TableRow]) -> Result<String, Failed> {
    mysql::create(server, name, mysql::Tables::Seq, all)?;
    mysql_url(server, folder, name)
}

fn ldap_of(server: &Slapd, folder: &Path, name: &str, all: &[TableRow]) -> Result<String, Failed> {
    ldap::create(server, name, ldap::Names::ByKey, all)?;
    let (place, file) = (ldap::base(name), password(folder)?);
    Ok(format!("ldap:{}/{place}?bind_dn={}&password_file={file}", server.ldapi(), slapd::USER))
}

/// Runs `compare` with a deadline of 1 s, and looks for passwords in what it prints.
pub(super) fn compare_with(
    from: &str,
    to: &str,
    args: &[&str],
    input: &str,
    env: &[(&str, &str)],
) -> Result<Run, Failed> {
    let env = [&[("QMAIL_LOOKUP_STORE__DEADLINE", "1s")], env].concat();
    let done = run_with(&[&["compare", "--from", from, "--to", to], args].concat(), input, &env)?;
    for secret in SECRETS.into_iter().chain([mariadb::PASSWORD]) {
        ensure(!done.out.contains(secret) && !done.err.contains(secret), "a password is shown")?;
    }
    Ok(done)
}

pub(super) fn compare(from: &str, to: &str, args: &[&str]) -> Result<Run, Failed> {
    compare_with(from, to, args, "", &[])
}

/// The differences as `KIND KEY VERDICT FIELDS`.
pub(super) fn found(json: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let fields: Vec<_> = one["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let word = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", word("kind"), word("key"), word("verdict"), fields.join(",")).trim_end().to_owned()
    };
    json["differences"].as_array().into_iter().flatten().map(one).collect()
}

fn differ(what: &str, from: &str, to: &str, env: &[(&str, &str)], wanted: &[&str]) -> Outcome {
    let json = compare_with(from, to, &["--json"], "", env)?.exits(1)?.json()?;
    equal(what, &json["result"], "different")?;
    let found = found(&json);
    for want in wanted {
        let want = want.replace('?', UNKNOWN);
        ensure(found.contains(&want), format!("{what}: {want} expected among {found:#?}"))?;
    }
    Ok(())
}

/// What each change is found as.
fn changes() -> Vec<(Vec<Cells>, Vec<&'static str>)> {
    use Table::{Alias, Mailbox, Rcpthosts, Virtual};
    vec![
        (changed(Mailbox, &["iain"], 1, "900"), vec!["mailbox iain differs uid", "local iain differs uid"]),
        (changed(Mailbox, &["iain"], 2, "900"), vec!["mailbox iain differs gid", "local iain-? differs gid"]),
        (changed(Mailbox, &["iain"], 3, "/home/x"), vec!["mailbox iain differs home", "local iain-list differs home"]),
        (changed(Mailbox, &["bob"], 6, "N"), vec!["mailbox bob differs standing", "local bob differs standing"]),
        (changed(Mailbox, &["iain"], 4, "hunter2"), vec!["password iain differs password"]),
        (changed(Mailbox, &["iain"], 5, "Crypt-Password"), vec!["password iain differs password_type"]),
        (
            changed(Mailbox, &["iain"], 0, "zoe"),
            vec!["mailbox iain only_left", "mailbox zoe only_right", "password zoe only_right"],
        ),
        (
            changed(Mailbox, &["iain"], 1, "0"),
            vec!["mailbox iain differs username,uid,gid,home,standing,rule,table,column,problem"],
        ),
        (without(Mailbox, &["bob"]), vec!["mailbox bob only_left", "password bob only_left", "local bob only_left"]),
        (
            changed(Alias, &["iain", "list"], 4, "9"),
            vec!["alias iain list differs instructions", "local iain-list differs instructions"],
        ),
        (without(Alias, &["iain", "@"]), vec!["alias iain ? only_left"]),
        (without(Alias, &["alias", "info"]), vec!["local info only_left", "alias alias info only_left"]),
        (
            changed(Virtual, &["bar.test", "sales"], 2, "bob"),
            vec!["address sales@bar.test differs owner,verdict,username,uid,home,standing,delivery,set,instructions"],
        ),
        (
            changed(Virtual, &["bar.test", "sales"], 3, "list"),
            vec!["address sales@bar.test differs owner_ext,ext,set,instructions"],
        ),
        (without(Virtual, &["virtual.test"]), vec!["address ?@virtual.test only_left"]),
        (without(Virtual, &[".wild.test"]), vec!["address info@?.wild.test only_left"]),
        (without(Rcpthosts, &["virtual.test"]), vec!["host virtual.test only_left"]),
        (
            changed(Rcpthosts, &[".relay.test"], 0, "relay.test"),
            vec!["host ?.relay.test only_left", "host relay.test only_right"],
        ),
    ]
}

fn each_change_is_found_on_mariadb() -> Outcome {
    let (server, folder) = (MariaDb::start(&[])?, tempfile::tempdir()?);
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    let right = mysql_of(&server, folder.path(), "same", &rows(&base_rows()))?;
    compare(&left, &right, &[])?.exits(0)?.says("the same")?;
    for (n, (cells, wanted)) in changes().into_iter().enumerate() {
        let right = mysql_of(&server, folder.path(), &format!("right{n}"), &rows(&cells))?;
        differ(&format!("change {n}"), &left, &right, &[], &wanted)?;
    }
    // From the other side, the sides are the other ones.
    let fewer = mysql_of(&server, folder.path(), "fewer", &rows(&without(Table::Mailbox, &["bob"])))?;
    differ("turned", &fewer, &left, &[], &["mailbox bob only_right", "password bob only_right"])
}

fn each_change_is_found_in_a_directory() -> Outcome {
    let (server, folder) = (Slapd::start(Schema::Native, Certificate::Good)?, tempfile::tempdir()?);
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    let right = ldap_of(&server, folder.path(), "same", &rows(&base_rows()))?;
    let same = compare(&left, &right, &["--json"])?.exits(0)?.json()?;
    equal("result", &same["result"], "same")?;
    for (n, (cells, wanted)) in changes().into_iter().enumerate() {
        let right = ldap_of(&server, folder.path(), &format!("right{n}"), &rows(&cells))?;
        differ(&format!("change {n}"), &left, &right, &[], &wanted)?;
    }
    // Patterns: by what they match.
    let like = [("QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS", "like")];
    compare_with(&left, &right, &[], "", &like)?.exits(0)?;
    let pattern = changed(Table::Virtual, &["bar.test", "s_les-%"], 2, "virtual");
    let right = ldap_of(&server, folder.path(), "pattern", &rows(&pattern))?;
    let done = compare_with(&left, &right, &["--json"], "", &like)?.exits(1)?.json()?;
    let want = format!("address sxles-{UNKNOWN}@bar.test differs owner,username");
    let names = found(&done);
    ensure(names.iter().any(|one| one.starts_with(&want)), format!("{want}: {names:#?}"))
}

/// Every awkward value that all three kinds of store can hold.
fn the_awkward_values_are_the_same() -> Outcome {
    let (mariadb, slapd) = (MariaDb::start(&[])?, Slapd::start(Schema::Native, Certificate::Good)?);
    let folder = tempfile::tempdir()?;
    let shapes: [Shape; 3] = [mysql::Tables::Seq.shape(), ldap::Names::ByKey.shape(), sqlite::Tables::Seq.shape()];
    let all = shapes.iter().fold(dataset::rows(), |rows, shape| shape.rows(&rows));
    let stores = [
        sqlite_of(folder.path(), "all", &all)?,
        mysql_of(&mariadb, folder.path(), "q", &all)?,
        ldap_of(&slapd, folder.path(), "q", &all)?,
    ];
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let json =
            compare_with(&stores[from], &stores[to], &["--json"], "", &[("QMAIL_LOOKUP_STORE__DEADLINE", "20s")])?;
        let said = json.err.clone();
        let json = json.json()?;
        equal(&format!("{from} and {to}: {said} {:#?}", found(&json)), &json["result"], "same")?;
    }
    Ok(())
}

fn misconfigurations() -> Outcome {
    let folder = tempfile::tempdir()?;
    let of = |name: &str, column: usize| {
        sqlite_of(folder.path(), name, &rows(&changed(Table::Mailbox, &["iain"], column, "0")))
    };
    let (left, same, right) = (of("left", 1)?, of("same", 1)?, of("right", 2)?);
    compare(&left, &same, &[])?.exits(0)?.says("the same, but misconfigured on both sides")?;
    differ("column", &left, &right, &[], &["mailbox iain differs column,problem", "local iain differs column,problem"])
}

pub(super) fn two_stores(cells: &[Cells]) -> Result<(TempDir, String, String), Failed> {
    let folder = tempfile::tempdir()?;
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    let right = sqlite_of(folder.path(), "right", &rows(cells))?;
    Ok((folder, left, right))
}

fn logs() -> Outcome {
    let (folder, left, right) = two_stores(&changed(Table::Mailbox, &["iain"], 1, "900"))?;
    let log = "@400000005f0b1c2d0a1b2c3d starting delivery 1: msg 17 to local iain-list@mx.test\n\
               2026-11-22 21:15:03.123456 starting delivery 2: msg 17 to local =bar.test=-sales@bar.test\n\
               Nov 22 21:15:03 mx qmail: 1795382103.1 starting delivery 3: msg 18 to local bob@mx.test\n\
               1795382103.1 starting delivery 4: msg 18 to remote who@example.org\n\
               starting delivery 5: msg 18 to local iain-list@mx.test\n\
               @400000005f0b1c2d0a1b2c3d delivery 1: success: did_0+1+0/\n\
               @400000005f0b1c2d0a1b2c3d status: local 0/10 remote 0/20\n";
    let path = folder.path().join("current");
    std::fs::write(&path, log)?;
    let file = path.display().to_string();
    let json = compare(&left, &right, &["--from-log", &file, "--json"])?.exits(1)?.json()?;
    let wanted =
        ["address sales@bar.test differs uid", "local =bar.test=-sales differs uid", "local iain-list differs uid"];
    equal("found", found(&json), wanted.map(str::to_owned).to_vec())?;
    equal("passed over", &json["lines_passed_over"], 2)?;
    equal("bob", &json["summary"]["local"]["same"], 1)?;
    // The remote one, and what may be a virtual recipient of the old patch.
    equal("absent", &json["summary"]["address"]["absent_on_both_sides"], 3)?;
    equal("passwords", &json["passwords"], "not compared")?;
    compare(&left, &right, &["--from-log", &file])?.exits(1)?.says("2 line(s) of the log")?.says("not compared")?;
    // The same by standard input; and a log without recipients has compared nothing.
    let json = compare_with(&left, &right, &["--from-log", "-", "--json"], log, &[])?.exits(1)?.json()?;
    equal("found", found(&json).len(), 3)?;
    compare_with(&left, &right, &["--from-log", "-"], "end msg 1\n", &[])?
        .exits(100)?
        .complains(&["nothing to ask"])?;
    compare(&left, &right, &["--from-log", "/nonexistent/log"])?.exits(100)?.complains(&["/nonexistent/log"])?;
    Ok(())
}

fn keys() -> Outcome {
    let (_folder, left, right) = two_stores(&changed(Table::Mailbox, &["iain"], 1, "900"))?;
    let keys = "# ours\nbob\nmailbox:iain\niain-List\r\nsales@bar.test\nhost:virtual.test\nalias:iain list\n\nbob\n";
    let json = compare_with(&left, &right, &["--keys", "-", "--json"], keys, &[])?.exits(1)?.json()?;
    let wanted = ["address sales@bar.test differs uid", "local iain-List differs uid", "mailbox iain differs uid"];
    equal("found", found(&json), wanted.map(str::to_owned).to_vec())?;
    for (kind, same) in [("local", 1), ("host", 1), ("alias", 1), ("address", 0)] {
        equal(kind, &json["summary"][kind]["same"], same)?;
    }
    // What was not compared is not called the same.
    let (_other, like_left, _) = two_stores(&base_rows())?;
    let same = compare_with(&left, &like_left, &["--keys", "-"], "bob\n", &[])?.exits(0)?;
    let same = same.says("no difference; passwords were not compared")?;
    ensure(!same.out.contains("the same"), same.out)?;
    let same = compare_with(&left, &like_left, &["--keys", "-", "--json"], "bob\n", &[])?.exits(0)?.json()?;
    equal("result", &same["result"], "same_but_passwords")?;
    let unseen = changed(Table::Mailbox, &["iain"], 4, "hunter2");
    let (_folder, left, right) = two_stores(&unseen)?;
    compare(&left, &right, &["--no-passwords"])?.exits(0)?.says("passwords were not compared")?;
    compare(&left, &right, &[])?.exits(1)?.says("password  iain: password")?;
    compare(&left, &right, &["--keys", "-", "--from-log", "-"])?.exits(100)?.complains(&["standard input"])?;
    Ok(())
}

fn json_and_text() -> Outcome {
    let (_folder, left, right) = two_stores(&changed(Table::Mailbox, &["iain"], 1, "900"))?;
    let json = compare(&left, &right, &["--json"])?.exits(1)?.json()?;
    equal("left", json["left"].as_str().is_some_and(|place| place.contains("left.db")), true)?;
    equal("passwords", &json["passwords"], "compared")?;
    let none_differs = json!({ "same": 3, "absent_on_both_sides": 0, "misconfigured_on_both_sides": 0, "differs": 0, "only_left": 0, "only_right": 0, "not_asked": 0 });
    equal("password", &json["summary"]["password"], &none_differs)?;
    let one = json["differences"].as_array().and_then(|all| all.iter().find(|one| one["kind"] == "mailbox"));
    let want = json!({
        "kind": "mailbox", "key": "iain", "verdict": "differs", "fields": ["uid"],
        "left": { "uid": "800" }, "right": { "uid": "900" },
    });
    equal("one", one, Some(&want))?;
    let text = compare(&left, &right, &[])?.exits(1)?.says("differs     mailbox   iain: uid")?.says("different: ")?;
    ensure(!text.out.contains("900"), "values are for those who ask")?;
    compare(&left, &right, &["-v"])?.exits(1)?.says("left   uid=800")?.says("right  uid=900")?;
    // Many differences are counted.
    let folder = tempfile::tempdir()?;
    let mut many = rows(&base_rows());
    for n in 0..60 {
        let cells = [
            format!("user{n}"),
            "800".into(),
            "100".into(),
            "/h".into(),
            "open-sesame".into(),
            "Password".into(),
            "N".into(),
        ];
        many.push(TableRow::from_cells(Table::Mailbox, cells.map(|cell| Some(cell.into_bytes()))));
    }
    let many = sqlite_of(folder.path(), "many", &many)?;
    let text = compare(&many, &left, &[])?.exits(1)?.says("more; --json lists them all")?;
    equal("listed", text.out.lines().filter(|line| line.starts_with("only left")).count(), 50)?;
    let json = compare(&many, &left, &["--json"])?.exits(1)?.json()?;
    // The mailbox, its password, and its local part without and with an extension.
    equal("all", found(&json).len(), 240)?;
    equal("only left", &json["summary"]["local"]["only_left"], 120)
}

fn rows_that_nobody_can_ask_for_are_named() -> Outcome {
    let mut cells = base_rows();
    cells.push((Table::Alias, vec!["two words", "x", "me", "example.org", "9"]));
    let (_folder, left, right) = two_stores(&cells)?;
    compare(&left, &right, &[])?.exits(0)?.says("1 row(s) of the right side")?;
    let json = compare(&left, &right, &["--json"])?.exits(0)?.json()?;
    equal("rows", &json["rows_without_usable_key"], &json!({ "left": 0, "right": 1 }))
}

fn down() -> Outcome {
    let (server, folder) = (MariaDb::start(&[])?, tempfile::tempdir()?);
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    let right = mysql_of(&server, folder.path(), "q", &rows(&base_rows()))?;
    let keys = "iain\n".to_owned();
    server.kill();
    for (from, to) in [(&left, &right), (&right, &left)] {
        let begun = Instant::now();
        let place = server.socket().display().to_string();
        compare(from, to, &[])?.exits(111)?.complains(&[&place])?;
        compare_with(from, to, &["--keys", "-"], &keys, &[])?.exits(111)?.complains(&[&place])?;
        ensure(begun.elapsed() < Duration::from_secs(8), format!("{:?}", begun.elapsed()))?;
    }
    Ok(())
}

/// The server is there at first, and then says nothing more.
fn down_in_the_middle() -> Outcome {
    let (server, folder) = (MariaDb::start(&[])?, tempfile::tempdir()?);
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    mysql::create(&server, "q", mysql::Tables::Seq, &rows(&base_rows()))?;
    let proxy = Proxy::start(server.socket())?;
    let file = password(folder.path())?;
    let right = format!("mysql://{}@{}/q?password_file={file}", mariadb::USER, proxy.address());
    let count = 20_000;
    let keys: String = (0..count).map(|n| format!("iain-{n}\n")).collect();
    let json = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            proxy.set(Mode::Silent);
        });
        let begun = Instant::now();
        let done = compare_with(&left, &right, &["--keys", "-", "--json"], &keys, &[])?;
        ensure(begun.elapsed() < Duration::from_secs(30), format!("{:?}", begun.elapsed()))?;
        proxy.set(Mode::Pass);
        let done = done.exits(111)?.complains(&["not asked", &proxy.address()])?;
        done.json()
    })?;
    equal("result", &json["result"], "unknown")?;
    let local = &json["summary"]["local"];
    let number = |name: &str| local[name].as_u64().unwrap_or_default();
    ensure(number("not_asked") > 100, local.to_string())?;
    equal("differences", found(&json), Vec::<String>::new())?;
    equal("all are accounted for", number("same") + number("not_asked"), count)
}

fn a_directory_that_cannot_list_its_rows() -> Outcome {
    let foreign = Foreign::Posix;
    let (mapping, schema) = foreign.names();
    let (server, folder) = (Slapd::start(schema, Certificate::Good)?, tempfile::tempdir()?);
    foreign::load(&server, "q", foreign, &foreign.rows(rows(&base_rows())))?;
    let config = folder.path().join("q.toml");
    let (base, file) = (ldap::base("q"), password(folder.path())?);
    let text = format!(
        "[store]\nkind = \"ldap\"\nservers = [\"{}\"]\nbind_dn = \"{}\"\npassword_file = \"{file}\"\nbase = \"{base}\"\nmapping = \"{mapping}\"\n",
        server.ldapi(),
        slapd::USER
    );
    std::fs::write(&config, text)?;
    let config = config.display().to_string();
    let left = sqlite_of(folder.path(), "left", &rows(&base_rows()))?;
    compare(&left, &config, &[])?.exits(100)?.complains(&["cannot list its rows", "--keys", "--from-log"])?;
    let done = compare_with(&left, &config, &["--keys", "-"], "mailbox:iain\n", &[])?.exits(0)?;
    done.says("passwords were not compared").map(drop)
}

fn trial(name: &str, run: fn() -> Outcome) -> Trial {
    Trial::test(format!("moving::compare::{name}"), run)
}

/// A trial that needs servers; without them it is ignored with the reason, or fails where they are required.
fn with(name: &str, servers: &[&str], run: fn() -> Outcome) -> Trial {
    let missing = |server: &&str| if *server == "mariadb" { mariadb::missing() } else { slapd::missing() };
    let Some(why) = servers.iter().find_map(missing) else { return trial(name, run) };
    let required = servers.iter().any(|server| qmail_lookup_tests::server::is_required(server));
    Trial::test(format!("moving::compare::{name} ({why})"), move || Err(why.into())).with_ignored_flag(!required)
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        with("each_change_is_found_on_mariadb", &["mariadb"], each_change_is_found_on_mariadb),
        with("each_change_is_found_in_a_directory", &["slapd"], each_change_is_found_in_a_directory),
        with("the_awkward_values_are_the_same", &["mariadb", "slapd"], the_awkward_values_are_the_same),
        trial("a_misconfiguration_is_an_answer", misconfigurations),
        trial("recipients_of_a_log", logs),
        trial("keys_of_a_file", keys),
        trial("json_and_text", json_and_text),
        trial("rows_that_nobody_can_ask_for_are_named", rows_that_nobody_can_ask_for_are_named),
        with("a_server_that_is_down_is_found_out_at_once", &["mariadb"], down),
        with("a_server_that_falls_silent_in_the_middle", &["mariadb"], down_in_the_middle),
        with("a_directory_that_cannot_list_its_rows", &["slapd"], a_directory_that_cannot_list_its_rows),
    ]
}
