//! The shipped example documents every key, and says the truth about the defaults.

use super::tests::{load_in, write};
use super::*;
use crate::{MetricsAddress, Right};
use qmail_lookup_core::settings::RuleSettings;

/// The shipped example, with every setting that it leaves out put in.
fn example(complete: bool) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("qmail-lookup.example.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let put_in = |line: &str| match line.strip_prefix('#') {
        Some(setting) if complete && !setting.is_empty() && !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(put_in).collect()
}

#[test]
fn the_example_loads_and_changes_no_default() {
    for complete in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "q.toml", example(complete).as_bytes());
        let config = load_in(&directory, "q.toml", "", &[]).unwrap();
        let mut rules = RuleSettings::default();
        deny::extend(&mut rules);
        assert_eq!((config.rules, config.qmail.as_path()), (rules, Path::new(DEFAULT_QMAIL)));
        // Settings without a default are shown with an example.
        let shown = crate::DaemonSettings { lock_file: None, ..config.daemon.clone() };
        let defaults = crate::DaemonSettings::default();
        assert_eq!(config.daemon.lock_path(), defaults.lock_path());
        assert_eq!(shown, if complete { examples(defaults) } else { defaults });
        assert_eq!(config.cache, crate::CacheSettings::default());
        let second = complete.then(|| "/etc/qmail-lookup/new.toml".into());
        assert_eq!(config.shadow, crate::ShadowSettings { config: second, ..crate::ShadowSettings::default() });
        assert_eq!(config.auth, qmail_lookup_core::settings::AuthSettings::default());
        assert_eq!(config.store.deadline, crate::store::DEFAULT_DEADLINE);
        // The example's second store has no canary of its own, and that is said. The users may be on this system or not.
        let said = config.warnings.iter().map(|warning| warning.key.as_str());
        let said: Vec<_> = said.filter(|key| !key.starts_with("daemon.a")).collect();
        assert_eq!(said, if complete { vec!["store.alias.canary", "store.virtual.canary"] } else { vec![] });
    }
}

/// What the example shows of settings that have no default.
fn examples(defaults: crate::DaemonSettings) -> crate::DaemonSettings {
    let path = |name: &str| Some(format!("/run/qmail-lookup/{name}.sock").into());
    let postfix = vec![Right::VirtualMailbox, Right::VirtualAlias, Right::Recipient];
    crate::DaemonSettings {
        auth_group: Some("qmail-auth".to_owned()),
        cvm_lookup_socket: path("cvm-lookup"),
        cvm_auth_socket: path("cvm-auth"),
        metrics: "127.0.0.1:9199".parse().ok().map(MetricsAddress::Tcp),
        allow: [
            ("postfix".to_owned(), postfix),
            ("dovecot".to_owned(), vec![Right::Userdb]),
            ("vpopmail".to_owned(), vec![Right::DeliverFiles]),
        ]
        .into(),
        ..defaults
    }
}

#[test]
fn the_example_opens_once_its_password_is_there() {
    for complete in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let secret = write(&directory, "db.password", b"secret\n");
        // password and password_file exclude each other, and the certificates are not there.
        let absent = |line: &&str| !line.starts_with("password = ") && !line.starts_with("tls_ca = ");
        let text: Vec<String> = example(complete).lines().filter(absent).map(str::to_owned).collect();
        let text = text.join("\n").replace("/etc/qmail-lookup/db.password", secret.to_str().unwrap());
        write(&directory, "q.toml", text.as_bytes());
        load_in(&directory, "q.toml", "", &[]).unwrap().open(&Registry::builtin()).unwrap();
    }
}

#[test]
fn the_example_shows_every_key() {
    let text = example(true);
    let data = TomlFile::parse(Path::new("example"), text.clone()).unwrap().data();
    let has = |path: &str| {
        let mut value = Value::Object(data.clone());
        path.split('.').all(|key| {
            value.get_mut(key).map(Value::take).is_some_and(|inner| {
                value = inner;
                true
            })
        })
    };
    // The readers tell their keys when they refuse one that nobody has.
    let impossible = |table: &str| {
        let one = Map::from_iter([("?".to_owned(), Value::Null)]);
        if table.is_empty() { one } else { Map::from_iter([(table.to_owned(), Value::Object(one))]) }
    };
    for table in ["", "rules", "auth", "daemon", "cache", "shadow", "sync"] {
        let known = Tables::read(impossible(table)).err().unwrap().unknown.unwrap();
        assert!(!known.is_empty(), "[{table}]");
        for key in known {
            let path = if table.is_empty() { key } else { format!("{table}.{key}") };
            assert!(has(&path), "{path} is not in the example");
        }
    }
    let (_, explained) = text.split_once("a list of questions: ").unwrap();
    let (explained, _) = explained.split_once('.').unwrap();
    let names: Vec<_> =
        explained.split([',', '#', '\n', ' ']).filter(|word| !word.is_empty() && *word != "and").collect();
    assert_eq!(names, Right::ALL.map(Right::as_str));
    for (kind, table) in [("mysql", "store"), ("sqlite", "store.virtual"), ("ldap", "store.alias"), ("memory", "store")]
    {
        let entry = *Registry::builtin().find(kind).unwrap();
        for key in crate::store::known_keys(&entry).unwrap() {
            assert!(has(&format!("{table}.{key}")), "{kind}: {table}.{key} is not in the example");
        }
    }
    for key in ["store.kind", "store.deadline", "store.canary", "store.virtual.kind"] {
        assert!(has(key), "{key} is not in the example");
    }
    // A kind that is added later has to be documented as well.
    let kinds: Vec<_> = Registry::builtin().kinds().collect();
    assert_eq!(kinds, ["mysql", "sqlite", "ldap", "memory"]);
}
