use super::*;
use crate::error::Level;
use crate::store::Role;
use crate::{LogFormat, LogLevel, MetricsAddress, Right};
use qmail_lookup_core::settings::{FallBack, LoginBy, Rehash, VirtualPatterns};
use qmail_lookup_core::{Deadline, ErrorKind, Username};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Bytes of a file in testdata.
fn testdata(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

/// A directory with copies of files in testdata, readable by their owner only.
fn directory(names: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        write(&directory, name, &testdata(name));
    }
    directory
}

pub(super) fn write(directory: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    chmod(&path, 0o600);
    path
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

/// Loads files of `directory`; `config` and `sqlserver` may be empty.
pub(super) fn load_in(
    directory: &TempDir,
    config: &str,
    sqlserver: &str,
    variables: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let path = |name: &str| (!name.is_empty()).then(|| directory.path().join(name));
    let sources = Sources { config: path(config), sqlserver: path(sqlserver), store_url: None, env: env(variables) };
    load_with(&sources, &Registry::builtin(), Path::new("/nonexistent/qmail-lookup.toml"))
}

fn load_toml(name: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_in(&directory(&[name]), name, "", variables)
}

fn load_legacy(name: &str) -> Result<Config, ConfigError> {
    load_in(&directory(&[name]), "", name, &[])
}

/// The error without the name of the temporary directory.
pub(super) fn said(result: Result<Config, ConfigError>) -> String {
    let error = result.err().unwrap();
    let text = error.to_string();
    let Some(parent) = error.file().and_then(Path::parent) else { return text };
    text.replace(&format!("{}/", parent.display()), "")
}

pub(super) fn warnings(config: &Config, level: Level) -> Vec<String> {
    let with = config.warnings.iter().filter(|warning| warning.level == level);
    with.map(|warning| {
        let text = warning.to_string();
        match text.split_once(['/', ':']) {
            Some(("", _)) => text.split_once(": ").map_or(text.clone(), |(place, rest)| {
                format!("{}: {rest}", place.rsplit('/').next().unwrap_or_default())
            }),
            _ => text,
        }
    })
    .collect()
}

#[test]
fn a_full_file_arrives() {
    let config = load_toml("full.toml", &[]).unwrap();
    assert_eq!(config.qmail, Path::new("/opt/qmail"));
    assert!(config.strict_permissions);
    assert_eq!(config.rules.break_chars, "-+");
    assert_eq!(config.rules.virtual_patterns, VirtualPatterns::Like);
    assert_eq!(config.rules.deny_uids.first(), Some(&4242));
    assert!(config.rules.deny_gids.contains(&0));
    assert_eq!(config.auth.login, LoginBy::Both);
    assert_eq!((config.auth.fall_back, config.auth.rehash), (FallBack::Stock, Rehash::Yescrypt));
    assert_eq!(config.auth.parallel, 2);
    let daemon = crate::DaemonSettings {
        lookup_socket: "/run/a".into(),
        auth_socket: "/run/b".into(),
        auth_group: Some("root".into()),
        cvm_lookup_socket: Some("/run/c".into()),
        cvm_auth_socket: Some("/run/d".into()),
        allow: BTreeMap::from([("root".to_owned(), vec![Right::VirtualMailbox, Right::Userdb])]),
        connections: 100,
        connections_per_uid: 100,
        metrics: Some(MetricsAddress::Unix("/run/m".into())),
        log_format: LogFormat::Json,
        log_level: LogLevel::Warn,
        lock_file: Some("/run/l".into()),
    };
    assert_eq!(config.daemon, daemon);
    assert_eq!((config.cache.ttl, config.cache.entries), (Duration::from_secs(60), 5));
    assert_eq!(config.deadline, Duration::from_secs(2));
    assert_eq!(config.store.role(Role::Virtual).kind, "sqlite");
    let said: Vec<_> = config.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(said, ["store.virtual.canary"]);
    assert_eq!(
        config.describe()[1..],
        ["mailbox: mysql of [store]", "alias: mysql of [store]", "virtual: sqlite of [store.virtual]"]
    );
}

#[test]
fn errors_of_toml_files_name_file_line_and_key() {
    for (name, expected) in [
        ("syntax.toml", "syntax.toml:3:7: not TOML: unclosed table, expected `]`"),
        (
            "unknown-rule.toml",
            "unknown-rule.toml:5:1: rules.virtual_pattern: unknown key; did you mean virtual_patterns?; known here: \
             break, alias_user, virtual_patterns, unknown_virtual, removed_host, rcpthosts_only, magic_forwarding, \
             suspended_mail, home_missing, home_mismatch, alias_programs, alias_paths, min_uid, min_gid, deny_uids, \
             deny_gids",
        ),
        (
            "unknown-top.toml",
            "unknown-top.toml:1:1: qmial: unknown key; did you mean qmail?; known here: qmail, strict_permissions, \
             store, rules, auth, daemon, cache, shadow, sync",
        ),
        (
            "unknown-store-key.toml",
            "unknown-store-key.toml:3:3: store.paht: unknown key; did you mean path?; known here: path, threads, kind, \
             deadline, canary, mailbox, alias, virtual",
        ),
        (
            "impossible-choice.toml",
            "impossible-choice.toml:4:1: rules.virtual_patterns: `regex` is none of plain, like",
        ),
        ("wrong-type.toml", "wrong-type.toml:4:1: rules.min_uid: invalid type: string \"many\", expected u32"),
        ("wrong-element.toml", "wrong-element.toml:6:3: rules.deny_uids[1]: invalid value: integer `-2`, expected u32"),
        ("number-password.toml", "number-password.toml:3:1: store.password: expected text: put the value into quotes"),
        (
            "no-store.toml",
            "no-store.toml: no store is chosen; add a table [store], or give --sqlserver FILE or --store URL",
        ),
        ("latin1.toml", "latin1.toml:3:6: not UTF-8, so not TOML"),
    ] {
        assert_eq!(said(load_toml(name, &[])), expected);
    }
    let bare = said(load_toml("bare-password.toml", &[]));
    assert!(bare.starts_with("bare-password.toml:3:12: not TOML: ") && !bare.contains("hunter2"), "{bare}");
}

#[test]
fn errors_of_the_legacy_file_name_file_line_and_key() {
    let keys = "server, port, socket, login, password, db";
    for (name, expected) in [
        (
            "sqlserver.typo",
            format!(
                "sqlserver.typo:3:1: unknown key; did you mean password?; the keys are {keys}; 1 more in this file"
            ),
        ),
        (
            "sqlserver.qmail-sql",
            format!(
                "sqlserver.qmail-sql:1:1: check_host is a key of the qmail-sql patch, which has a control/sqlserver of \
                 its own; this program reads only {keys}; 1 more in this file"
            ),
        ),
        (
            "sqlserver.incomplete",
            "sqlserver.incomplete: no line for login and db; expected lines such as: login qmail".to_owned(),
        ),
        ("sqlserver.empty", format!("sqlserver.empty:1:1: holds no setting; the keys are {keys}")),
    ] {
        assert_eq!(said(load_legacy(name)), expected);
    }
}

#[test]
fn the_legacy_file_alone_is_a_mysql_store() {
    let config = load_legacy("sqlserver.documented").unwrap();
    let store = config.store.role(Role::Mailbox);
    let expected = serde_json::json!({"servers": ["unix:/run/mysqld/mysqld.sock"], "user": "qmail", "database": "qmail",
        "password": "secret"});
    assert_eq!((store.kind.as_str(), Value::Object(store.settings.clone())), ("mysql", expected));
    assert_eq!(warnings(&config, Level::Note), [""; 0]);
    let canary = "sqlserver.documented: store.canary: not set: a mailbox table that lost most of its rows would bounce \
                  their mail; name a mailbox that always exists, for example canary = \"postmaster\"";
    assert_eq!(warnings(&config, Level::Unwise), [canary]);
    config.open(&Registry::builtin()).unwrap();
}

#[test]
fn a_loose_legacy_file_is_read_and_what_others_refuse_is_noted() {
    let config = load_legacy("sqlserver.loose").unwrap();
    let store = config.store.role(Role::Alias);
    let expected = serde_json::json!({"servers": ["db1.example:3307"], "user": "qmail", "database": "qmail",
        "password": "a=b #c "});
    assert_eq!(Value::Object(store.settings.clone()), expected);
    let noted = warnings(&config, Level::Note);
    let short = |said: &String| said.splitn(5, [':', ',']).skip(1).take(3).collect::<Vec<_>>().join(":");
    let expected = [
        "1:7: server",
        "1:8: server",
        "1:19: a carriage return before the end of the line",
        "2:5: port",
        "3:1: an empty line",
        "3:1: an empty line",
        "4:1: a comment",
        "4:1: a comment",
        "5:6: login",
        "5:6: login",
        "5:16: login",
        "6:10: password",
    ];
    assert_eq!(noted.iter().map(short).collect::<Vec<_>>(), expected, "{noted:#?}");
    let kept = "sqlserver.loose:6:16: password: the password ends in a blank, which is kept; remove it if it is not \
                part of the password";
    assert_eq!(warnings(&config, Level::Unwise)[0], kept);
}

#[test]
fn an_unwise_legacy_file_is_read_and_said() {
    let said = warnings(&load_legacy("sqlserver.unwise").unwrap(), Level::Unwise);
    let expected = [
        "sqlserver.unwise:2:6: port: ignored, because localhost means the UNIX socket; write server 127.0.0.1 for TCP",
        "sqlserver.unwise:5:10: password: the password is empty: connects without one",
        "sqlserver.unwise:7:1: db: db stands on line 6 too; this one, the last, counts",
    ];
    assert_eq!(said[..3], expected);
    assert!(said.iter().any(|said| said.starts_with("sqlserver.unwise:4:7: store.user: root may change")), "{said:#?}");
}

#[test]
fn toml_stands_above_the_legacy_file_and_the_environment_above_both() {
    let directory = directory(&["sqlserver.documented"]);
    write(&directory, "q.toml", b"[store]\ndatabase = 'mail'\nuser = 'reader'\n");
    let variables = [("QMAIL_LOOKUP_STORE__USER", "top"), ("PATH", "/bin"), ("QMAIL_LOOKUP_RULES__BREAK", "+")];
    let config = load_in(&directory, "q.toml", "sqlserver.documented", &variables).unwrap();
    let expected = serde_json::json!({"servers": ["unix:/run/mysqld/mysqld.sock"], "user": "top", "database": "mail",
        "password": "secret"});
    assert_eq!(Value::Object(config.store.role(Role::Mailbox).settings.clone()), expected);
    assert_eq!(config.rules.break_chars, "+");
    assert_eq!(
        config.place("store.database").to_string(),
        format!("{}:2:1", directory.path().join("q.toml").display())
    );
    assert_eq!(config.place("store.user").to_string(), "environment variable QMAIL_LOOKUP_STORE__USER");
}

#[test]
fn missing_legacy_lines_may_come_from_elsewhere() {
    let variables = [("QMAIL_LOOKUP_STORE__USER", "q"), ("QMAIL_LOOKUP_STORE__DATABASE", "d")];
    let directory = directory(&["sqlserver.incomplete"]);
    assert!(load_in(&directory, "", "sqlserver.incomplete", &variables).is_ok());
}

#[test]
fn variables_keep_their_text_where_text_is_meant_and_are_converted_where_not() {
    for password in ["0012345", "true", "1e5", "[1]", " a,b ", "\"x\""] {
        let variables = [
            ("QMAIL_LOOKUP_STORE__KIND", "mysql"),
            ("QMAIL_LOOKUP_STORE__USER", "123"),
            ("QMAIL_LOOKUP_STORE__DATABASE", "d"),
            ("QMAIL_LOOKUP_STORE__SERVERS", "db1:3307, unix:/s"),
            ("QMAIL_LOOKUP_STORE__CONNECTIONS", "2"),
            ("QMAIL_LOOKUP_STORE__PASSWORD", password),
            ("QMAIL_LOOKUP_STORE__DEADLINE", "2s"),
            ("QMAIL_LOOKUP_RULES__MAGIC_FORWARDING", "true"),
            ("QMAIL_LOOKUP_RULES__MIN_UID", "500"),
            ("QMAIL_LOOKUP_RULES__DENY_UIDS", "600,700"),
            ("QMAIL_LOOKUP_RULES__DENY_GIDS", "[800]"),
            ("QMAIL_LOOKUP_QMAIL", "/nonexistent"),
        ];
        let config = load_in(&directory(&[]), "", "", &variables).unwrap();
        assert_eq!(config.store.role(Role::Mailbox).settings["password"], Value::from(password));
        assert!(config.rules.magic_forwarding);
        assert_eq!((config.rules.min_uid, &config.rules.deny_uids[..2]), (500, &[600, 700][..]));
        assert_eq!(config.rules.deny_gids.first(), Some(&800));
        let stores = config.open(&Registry::builtin()).unwrap();
        assert!(stores.mailbox.place().contains("db1:3307"), "{}", stores.mailbox.place());
    }
}

#[test]
fn a_bad_variable_is_named_with_what_was_meant() {
    for (name, value, expected) in [
        (
            "QMAIL_LOOKUP_RULES__VIRTUAL_PATTERN",
            "like",
            "environment variable QMAIL_LOOKUP_RULES__VIRTUAL_PATTERN: rules.virtual_pattern: unknown key; did you mean \
             QMAIL_LOOKUP_RULES__VIRTUAL_PATTERNS?",
        ),
        (
            "QMAIL_LOOKUP_QMIAL",
            "/",
            "environment variable QMAIL_LOOKUP_QMIAL: qmial: unknown key; did you mean QMAIL_LOOKUP_QMAIL?",
        ),
        (
            "QMAIL_LOOKUP_STORE__PASSWROD",
            "hunter2",
            "environment variable QMAIL_LOOKUP_STORE__PASSWROD: store.passwrod: unknown key; did you mean \
             QMAIL_LOOKUP_STORE__PASSWORD?",
        ),
        (
            "QMAIL_LOOKUP_RULES__MIN_UID",
            "many",
            "environment variable QMAIL_LOOKUP_RULES__MIN_UID: rules.min_uid: invalid type: string \"many\", expected \
             u32",
        ),
        ("QMAIL_LOOKUP_RULES", "x", "environment variable QMAIL_LOOKUP_RULES: rules: expected a table [rules]"),
        (
            "QMAIL_LOOKUP_RULES",
            "{ break = \"+\" }",
            "environment variable QMAIL_LOOKUP_RULES: rules: expected a table [rules]",
        ),
        (
            "QMAIL_LOOKUP_STORE__ALIAS",
            "hunter2",
            "environment variable QMAIL_LOOKUP_STORE__ALIAS: store.alias: expected a table [store.alias]",
        ),
    ] {
        let error = said(load_toml("full.toml", &[(name, value)]));
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_variable_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let bad = OsString::from_vec(vec![0xFF]);
    let mut sources = Sources { store_url: Some("memory:".into()), ..Sources::default() };
    sources.env = vec![("OTHER".into(), bad.clone())];
    assert!(load(&sources, &Registry::builtin()).is_ok());
    sources.env = vec![("QMAIL_LOOKUP_STORE__PASSWORD".into(), bad)];
    let error = load(&sources, &Registry::builtin()).unwrap_err().to_string();
    assert_eq!(error, "environment variable QMAIL_LOOKUP_STORE__PASSWORD: its value is not UTF-8");
}

#[test]
fn without_a_choice_the_default_file_is_read_then_the_legacy_one() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().to_str().unwrap().to_owned();
    let default = directory.path().join("q.toml");
    let sources = Sources { env: env(&[("QMAIL_LOOKUP_QMAIL", &home)]), ..Sources::default() };
    let load = || load_with(&sources, &Registry::builtin(), &default);
    let nothing = format!(
        "configuration: no store is chosen: neither {} nor {home}/control/sqlserver is there; write one of them, or \
         give --config FILE, --sqlserver FILE or --store URL",
        default.display()
    );
    assert_eq!(load().unwrap_err().to_string(), nothing);
    std::fs::create_dir(directory.path().join("control")).unwrap();
    write(&directory, "control/sqlserver", &testdata("sqlserver.documented"));
    assert_eq!(load().unwrap().store.role(Role::Mailbox).kind, "mysql");
    write(&directory, "q.toml", b"[store]\nkind = 'memory'\n");
    assert_eq!(load().unwrap().store.role(Role::Mailbox).kind, "memory");
    // A default file that cannot be read is an error, and nothing else is read in its place.
    std::fs::remove_file(&default).unwrap();
    std::fs::create_dir(&default).unwrap();
    assert!(load().unwrap_err().to_string().contains("is a directory"));
    std::fs::remove_dir(&default).unwrap();
    std::os::unix::fs::symlink(&default, &default).unwrap();
    assert!(load().unwrap_err().to_string().contains("cannot be looked at"));
}

#[test]
fn a_named_file_must_be_there() {
    let error = said(load_in(&directory(&[]), "missing.toml", "", &[]));
    assert!(error.starts_with("missing.toml: cannot be read: No such file"), "{error}");
    let error = said(load_in(&directory(&[]), "", "sqlserver", &[]));
    assert!(error.starts_with("sqlserver: cannot be read: No such file"), "{error}");
}

#[test]
fn a_store_url_replaces_the_store_of_the_file_and_leaves_the_rest() {
    let directory = directory(&["full.toml"]);
    let sources = Sources {
        config: Some(directory.path().join("full.toml")),
        store_url: Some("sqlite:/db".into()),
        env: env(&[("QMAIL_LOOKUP_STORE__THREADS", "3")]),
        ..Sources::default()
    };
    let config = load(&sources, &Registry::builtin()).unwrap();
    for role in Role::ALL {
        let settings = Value::Object(config.store.role(role).settings.clone());
        assert_eq!(settings, serde_json::json!({"path": "/db", "threads": "3"}));
    }
    assert_eq!(config.rules.virtual_patterns, VirtualPatterns::Like);
    config.open(&Registry::builtin()).unwrap();
    assert!(!format!("{sources:?}").contains("/db"));
}

#[test]
fn a_password_that_everybody_can_read_is_a_warning_or_an_error() {
    let directory = directory(&["sqlserver.documented"]);
    let path = directory.path().join("sqlserver.documented");
    chmod(&path, 0o644);
    let unwise = warnings(&load_in(&directory, "", "sqlserver.documented", &[]).unwrap(), Level::Alarm);
    let text = "every user of this machine can read it, and it holds a password (mode 0644)";
    let help = format!("run: chmod o-r {}", path.display());
    assert_eq!(unwise[0], format!("sqlserver.documented: {text}; {help}"));
    let strict = [("QMAIL_LOOKUP_STRICT_PERMISSIONS", "true")];
    let error = load_in(&directory, "", "sqlserver.documented", &strict).unwrap_err().to_string();
    assert_eq!(error, format!("{}: {text}, and strict_permissions is set; {help}", path.display()));
    chmod(&path, 0o640);
    assert!(load_in(&directory, "", "sqlserver.documented", &strict).is_ok());

    let mysql = b"[store]\nkind = 'mysql'\nuser = 'q'\ndatabase = 'd'\ncanary = 'p'\n[store.alias]\npassword = 'x'\n";
    let path = write(&directory, "q.toml", mysql);
    chmod(&path, 0o604);
    assert!(load_in(&directory, "q.toml", "", &strict).unwrap_err().problem().contains("mode 0604"));
    let path = write(&directory, "n.toml", b"[store]\nkind = 'memory'\ncanary = 'p'\n");
    chmod(&path, 0o644);
    assert_eq!(load_in(&directory, "n.toml", "", &strict).unwrap().warnings, []);
    // Who can change it learns no password, so that stays a warning.
    chmod(&path, 0o646);
    assert_eq!(load_in(&directory, "n.toml", "", &strict).unwrap().warnings.len(), 1);
}

#[test]
fn a_password_file_is_judged_too() {
    let directory = tempfile::tempdir().unwrap();
    let secret = write(&directory, "db.password", b"hunter2\n");
    let toml =
        format!("[store]\nkind='mysql'\nuser='q'\ndatabase='d'\ncanary='p'\npassword_file='{}'\n", secret.display());
    write(&directory, "q.toml", toml.as_bytes());
    assert_eq!(load_in(&directory, "q.toml", "", &[]).unwrap().warnings, []);
    chmod(&secret, 0o644);
    let unwise = warnings(&load_in(&directory, "q.toml", "", &[]).unwrap(), Level::Alarm);
    let text = "db.password: every user of this machine can read it, and it holds a password (mode 0644)";
    assert_eq!(unwise, [format!("{text}; run: chmod o-r {}", secret.display())]);
    let strict = [("QMAIL_LOOKUP_STRICT_PERMISSIONS", "true")];
    assert!(load_in(&directory, "q.toml", "", &strict).is_err());
}

#[test]
fn what_is_unwise_is_said_with_its_line() {
    let config = load_toml("unwise.toml", &[]).unwrap();
    let expected = [
        "unwise.toml:10:1: rules.min_uid: 1 lets rows name ids of the system's own accounts; usual is 100",
        "unwise.toml:11:1: rules.break: a letter or digit divides ordinary names into user and extension",
        "unwise.toml:8:1: store.deadline: longer than 5s: qmail's programs stop waiting after 6s and defer",
        "unwise.toml:13:1: cache.ttl: longer than 1h: an edit made elsewhere is seen only after that time",
        "unwise.toml:1:2: store.canary: not set: a mailbox table that lost most of its rows would bounce their mail; \
         name a mailbox that always exists, for example canary = \"postmaster\"",
        "unwise.toml:4:1: store.user: root may change and drop every table; lookups need SELECT only; make a user who \
         may only SELECT",
        "unwise.toml:7:1: store.tls: rows and hashes cross the network unencrypted; set tls = \"verify\"",
    ];
    assert_eq!(warnings(&config, Level::Unwise), expected);
}

#[test]
fn equal_settings_share_one_store_and_values_are_judged_at_opening() {
    let registry = Registry::builtin();
    let open = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "q.toml", text.as_bytes());
        load_in(&directory, "q.toml", "", &[]).unwrap().open(&registry)
    };
    let stores = open("[store]\nkind = 'memory'\n").unwrap();
    assert!(Arc::ptr_eq(&stores.mailbox, &stores.alias) && Arc::ptr_eq(&stores.mailbox, &stores.virtuals));
    let stores = open("[store]\nkind = 'memory'\n[store.alias]\nkind = 'sqlite'\npath = '/db'\n").unwrap();
    assert!(Arc::ptr_eq(&stores.mailbox, &stores.virtuals) && !Arc::ptr_eq(&stores.mailbox, &stores.alias));
    assert_eq!((stores.mailbox.kind(), stores.alias.kind()), ("memory", "sqlite"));
    // One backend, but not believed on the same ground.
    let stores = open("[store]\nkind = 'memory'\ncanary = 'a'\n[store.alias]\ncanary = 'b'\n").unwrap();
    assert!(Arc::ptr_eq(&stores.mailbox, &stores.virtuals) && !Arc::ptr_eq(&stores.mailbox, &stores.alias));
    let directory = directory(&["bad-server.toml"]);
    let config = load_in(&directory, "bad-server.toml", "", &[]).unwrap();
    let error = config.open(&registry).err().unwrap().to_string();
    let place = format!("{}:3:1: store.servers: ", directory.path().join("bad-server.toml").display());
    assert!(error.starts_with(&place) && error.contains("not a port"), "{error}");
}

#[tokio::test]
async fn an_opened_store_proves_itself_and_keeps_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "q.toml", b"[store]\nkind = 'memory'\n");
    let stores = load_in(&directory, "q.toml", "", &[]).unwrap().open(&Registry::builtin()).unwrap();
    let names = [Username::new(b"iain").unwrap()];
    // An empty store is not believed.
    let error = stores.mailbox.mailboxes(&names, Deadline::after(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let error = stores.mailbox.mailboxes(&names, Deadline::after(Duration::ZERO)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn a_canary_for_a_store_without_mailboxes_is_questioned() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "q.toml", b"[store]\nkind='sqlite'\npath='/a'\ncanary='p'\n[store.mailbox]\nkind='memory'\n");
    let config = load_in(&directory, "q.toml", "", &[]).unwrap();
    let unwise = warnings(&config, Level::Unwise);
    let text = "q.toml:4:1: store.canary: this mailbox must be in this store too, although mailboxes are looked up in \
                another one";
    assert_eq!(unwise.iter().filter(|said| *said == text).count(), 1, "{unwise:?}");
}

#[test]
fn a_missing_setting_of_the_store_points_at_its_table() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "q.toml", b"[store]\nkind = 'memory'\n\n[store.alias]\nkind = 'sqlite'\n");
    let config = load_in(&directory, "q.toml", "", &[]).unwrap();
    let error = said(config.open(&Registry::builtin()).map(|_| config));
    assert_eq!(error, "q.toml:4:8: store.alias.path: missing");
}

#[test]
fn nothing_that_is_printed_holds_a_password() {
    let directory = directory(&[]);
    write(&directory, "q.toml", b"[store]\nkind='mysql'\nuser='q'\ndatabase='d'\npassword='hunter2'\n");
    let config = load_in(&directory, "q.toml", "", &[("QMAIL_LOOKUP_STORE__ALIAS__PASSWORD", "hunter3")]).unwrap();
    let shown = format!("{config:?} {:?} {:?}", config.describe(), config.sources());
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("QMAIL_LOOKUP_STORE__ALIAS__PASSWORD"));
}

#[test]
fn every_file_of_testdata_is_used_here() {
    let source = include_str!("load_tests.rs");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "testdata/{name} is used by no test");
    }
}
