//! What needs no server: settings, URLs, statement texts, the wording of errors.

use super::binds::Missing;
use super::error::unquoted;
use super::facts::without_hash;
use super::settings::{Address, Tls};
use super::*;
use crate::question::Question;
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{Ext, Table, TableOptions, VirtualUser};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

fn read(value: Value) -> Result<Settings, SettingsError> {
    let Value::Object(map) = value else { panic!("not a table") };
    Settings::read(map)
}

fn name(text: &str) -> Username {
    Username::new(text.as_bytes()).unwrap()
}

fn names(n: usize) -> Vec<Username> {
    (0..n).map(|n| name(&format!("u{n}"))).collect()
}

fn host(text: &str) -> Host {
    Host::new(text.as_bytes()).unwrap()
}

#[test]
fn addresses_are_read_and_shown_without_credentials() {
    let good = [
        ("unix:/run/my.sock", "mysql /run/my.sock", true),
        ("/run/my.sock", "mysql /run/my.sock", true),
        ("db1.example", "mysql db1.example:3306", false),
        ("db1.example:3307", "mysql db1.example:3307", false),
        ("localhost", "mysql localhost:3306", true),
        ("127.0.0.9:1", "mysql 127.0.0.9:1", true),
        ("[::1]:3306", "mysql [::1]:3306", true),
        ("::1", "mysql [::1]:3306", true),
        ("[2001:db8::1]", "mysql [2001:db8::1]:3306", false),
    ];
    for (text, shown, local) in good {
        let address = Address::parse(text).unwrap();
        assert_eq!((address.to_string().as_str(), address.is_local()), (shown, local), "{text}");
    }
    for bad in
        ["", "unix:", "unix:run/x", ":3306", "db:", "db:0", "db:99999", "db:x", "[::1", "[db]:1", "a b", "u:p@db"]
    {
        assert!(Address::parse(bad).is_err(), "{bad}");
    }
    assert!(!Address::parse("qmail:sesame@db").unwrap_err().contains("sesame"));
}

#[test]
fn settings_have_safe_defaults_and_refuse_what_contradicts() {
    let settings = read(json!({"user": "q", "database": "mail"})).unwrap();
    assert_eq!(settings.servers[0].at, Address::Socket("/run/mysqld/mysqld.sock".into()));
    assert_eq!((settings.servers[0].tls, settings.connections), (Tls::Offered, 4));
    let list = json!(["unix:/s", "127.0.0.1", "db.example"]);
    let tls = |settings: Settings| settings.servers.iter().map(|server| server.tls).collect::<Vec<_>>();
    let mixed = read(json!({"user": "q", "database": "m", "servers": list})).unwrap();
    assert_eq!(tls(mixed), [Tls::Offered, Tls::Off, Tls::Verify]);
    let forced = read(json!({"user": "q", "database": "m", "servers": list, "tls": "require"})).unwrap();
    assert_eq!(tls(forced), [Tls::Require; 3]);

    let with = |key: &str, value: Value| {
        let mut all = json!({"user": "q", "database": "m"});
        all[key] = value;
        read(all).map(drop).map_err(|error| error.key)
    };
    for (key, value) in [
        ("servers", json!([])),
        ("servers", json!(["a:b"])),
        ("user", json!("")),
        ("database", json!("")),
        ("connections", json!(0)),
        ("connections", json!(65)),
        ("password", json!("")),
        ("password", json!("a\0b")),
        ("password_file", json!("/nonexistent/password")),
        ("tls_ca", json!("/nonexistent/ca.pem")),
    ] {
        assert_eq!(with(key, value.clone()), Err(key.to_owned()), "{key} {value}");
    }
    assert!(with("passwort", json!("x")).is_err());
    let error = read(json!({"user": "q", "database": "m", "password": ["sesame"]})).unwrap_err();
    assert!(!error.problem.contains("sesame") && error.known.contains(&"password"));
}

#[test]
fn a_password_file_loses_one_newline_and_nothing_is_ever_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let read_file = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        read(json!({"user": "q", "database": "m", "password_file": path}))
    };
    let settings = read_file(b"ses ame\n\n").unwrap();
    assert_eq!(settings.password.as_ref().unwrap().expose(), b"ses ame\n");
    assert!(!format!("{settings:?}").contains("ame"));
    for bad in [&b""[..], b"\n", b"\xff\n"] {
        assert_eq!(read_file(bad).unwrap_err().key, "password_file");
    }
    assert!(read(json!({"user": "q", "database": "m", "password": "x", "password_file": path})).is_err());
}

#[test]
fn urls_are_read_as_settings_and_hold_no_password() {
    let read = |rest: &str| url::settings(rest).map(Value::Object);
    let good = [
        ("//q@db.example:3307/mail", json!({"user": "q", "database": "mail", "servers": ["db.example:3307"]})),
        ("//q%40x@[::1]/mail", json!({"user": "q@x", "database": "mail", "servers": ["[::1]"]})),
        ("//q@localhost/mail?socket=/s", json!({"user": "q", "database": "mail", "servers": ["unix:/s"]})),
        (
            "//db/m?tls=require&tls_ca=/ca&password_file=/p",
            json!({"database": "m", "servers": ["db"], "tls": "require", "tls_ca": "/ca", "password_file": "/p"}),
        ),
    ];
    for (rest, want) in good {
        assert_eq!(read(rest), Ok(want), "{rest}");
    }
    for bad in [
        "//q:sesame@db/m",
        "//q@db/m?password=sesame",
        "//q@db/m?x=1",
        "//q@db/a/b",
        "//q@db/m?socket=/s",
        "//q@db/m#x",
    ] {
        let error = read(bad).unwrap_err();
        assert!(!error.problem.contains("sesame"), "{bad}");
    }
    assert!(read("//q:sesame@db/m").unwrap_err().problem.contains("QMAIL_LOOKUP_STORE__PASSWORD"));
}

#[test]
fn routing_never_names_a_password_and_every_key_is_bound() {
    let alias = |user: &str, ext: &str| AliasKey { username: name(user), alias: Ext::new(ext.as_bytes()).unwrap() };
    let exact =
        |user: &str| VirtualKey::Exact { host: host("h.org"), user: VirtualUser::new(user.as_bytes()).unwrap() };
    let questions = [
        Question::Mailboxes(names(3)),
        Question::Credentials(names(2)),
        Question::Aliases(vec![alias("it's", ""), alias("a`b", "x'--"), alias("c", "@")]),
        Question::Virtuals(vec![exact("info"), exact(""), exact("x'y")]),
        Question::Virtuals(vec![
            exact("a"),
            VirtualKey::Patterns { host: host("h.org") },
            VirtualKey::Any { host: host("h.org") },
        ]),
        Question::Virtuals(vec![VirtualKey::Any { host: host("a.org") }, VirtualKey::Any { host: host("b.org") }]),
        Question::Rcpthosts(vec![host(".example")]),
        Question::AnyMailbox,
    ];
    for question in questions {
        let statement = sql::lookup(&question, &Missing::default());
        let text = statement.text;
        let keys = statement.binds.into_keys();
        assert_eq!(text.matches('?').count(), keys.len(), "{text}");
        assert!(!text.contains("it's") && !text.contains("--"), "{text}");
        assert!(!text.contains(" virtual "), "{text}");
        assert_eq!(text.contains("password"), matches!(question, Question::Credentials(_)), "{text}");
    }
}

#[test]
fn few_texts_serve_every_number_of_keys_and_no_key_is_left_out() {
    let mut texts = HashSet::new();
    for n in 1..=KEYS_PER_STATEMENT {
        let statement = sql::lookup(&Question::Mailboxes(names(n)), &Missing::default());
        let bound: HashSet<_> = statement.binds.into_keys().into_iter().collect();
        assert_eq!(bound.len(), n);
        texts.insert(statement.text);
    }
    assert!(texts.len() <= 7, "{}", texts.len());
    let mut twice = names(200);
    twice.extend(names(200));
    let pieces = Question::Mailboxes(twice).pieces();
    let sizes = pieces.iter().map(|piece| if let Question::Mailboxes(keys) = piece { keys.len() } else { 0 });
    assert_eq!(sizes.collect::<Vec<_>>(), [64, 64, 64, 8]);
    assert!(Question::Rcpthosts(Vec::new()).pieces().is_empty());
}

#[test]
fn only_optional_columns_may_be_missing_and_then_read_as_null() {
    let mut missing = Missing::default();
    assert!(!missing.note(Table::Mailbox, "home") && !missing.note(Table::Alias, "suspended"));
    assert!(missing.note(Table::Mailbox, "suspended"));
    assert!(!missing.note(Table::Mailbox, "suspended"), "known already: no endless asking");
    let text = sql::lookup(&Question::Mailboxes(names(1)), &missing).text;
    assert!(text.contains("CAST(`home` AS BINARY), NULL FROM `mailbox`"), "{text}");
    assert!(!sql::scan(Table::Mailbox, &missing, None).0.contains("suspended"));
}

#[test]
fn sessions_do_not_depend_on_global_settings() {
    let lookup = sql::session(Session::Lookup(Duration::from_millis(2500)));
    for part in
        ["autocommit=1", "sql_select_limit=18446744073709551615", "max_statement_time=2.500", "max_execution_time=2500"]
    {
        assert!(lookup[0].contains(part), "{part}");
    }
    assert!(lookup[1].ends_with("READ COMMITTED, READ ONLY"));
    let edit = sql::session(Session::Edit(Duration::from_secs(5)));
    assert!(edit[0].contains("STRICT_ALL_TABLES") && edit[1].ends_with("READ WRITE"));
    assert!(sql::session(Session::Scan)[0].contains("max_statement_time=0.000"));
}

#[test]
fn tables_have_the_documented_columns_and_seq_only_on_request() {
    let plain = sql::schema(TableOptions::default());
    assert!(plain.contains("`username` varchar(32) CHARACTER SET ascii") && !plain.contains("seq"));
    for table in Table::ALL {
        let text = sql::create(table, TableOptions { username_width: 900, with_seq: true });
        for column in table.columns() {
            assert!(text.contains(&format!("  `{column}` ")), "{table}.{column}");
        }
        assert!(!text.contains("varchar(900)"));
    }
}

#[test]
fn nothing_that_a_server_quotes_is_passed_on() {
    assert_eq!(
        unquoted("Incorrect value: 'sesame' for column 'x' at row 1"),
        "Incorrect value: '...' for column '...' at row 1"
    );
    assert_eq!(
        without_hash(
            "GRANT USAGE ON *.* TO `q`@`%` IDENTIFIED BY PASSWORD '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7' REQUIRE SSL"
        ),
        "GRANT USAGE ON *.* TO `q`@`%` REQUIRE SSL"
    );
    let several = "GRANT ALL ON *.* TO q IDENTIFIED VIA ed25519 USING 'abc' OR unix_socket WITH GRANT OPTION";
    assert_eq!(without_hash(several), "GRANT ALL ON *.* TO q WITH GRANT OPTION");
    assert_eq!(without_hash("GRANT SELECT ON `m`.* TO q"), "GRANT SELECT ON `m`.* TO q");
}

#[test]
fn opening_connects_to_nothing_and_places_name_all_servers() {
    let settings = json!({"user": "q", "database": "m", "password": "sesame", "servers": ["/none", "192.0.2.1"]});
    let Value::Object(map) = settings else { panic!() };
    let store = (ENTRY.open)(map, &OpenContext::default()).unwrap();
    assert_eq!((store.kind(), store.place().as_str()), ("mysql", "mysql /none, mysql 192.0.2.1:3306"));
    assert!(store.catalog().is_some() && store.editor().is_some() && store.authenticator().is_some());
}

#[test]
fn a_question_can_be_read_and_tried_in_a_shell() {
    let Value::Object(map) = json!({"user": "q", "database": "m"}) else { panic!() };
    let store = (ENTRY.open)(map, &OpenContext::default()).unwrap();
    let shown = store.query_text(&Ask::Rcpthosts(vec![host("o'b\\c")]));
    assert_eq!(shown, "SELECT CAST(`host` AS BINARY) FROM `rcpthosts` WHERE `host` IN ('o''b\\\\c')");
}
