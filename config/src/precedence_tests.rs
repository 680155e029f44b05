//! Which source wins, and which must not.

use super::tests::{load_in, write};
use super::*;
use crate::store::Role;

#[test]
fn a_file_without_a_store_lies_above_control_sqlserver_of_qmails_home() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("control")).unwrap();
    write(&directory, "control/sqlserver", b"server localhost\nlogin q\npassword p\ndb mail\n");
    let toml = format!("qmail = '{}'\n[rules]\nvirtual_patterns = 'like'\n", directory.path().display());
    write(&directory, "q.toml", toml.as_bytes());
    let config = load_in(&directory, "q.toml", "", &[]).unwrap();
    assert_eq!(config.store.role(Role::Mailbox).kind, "mysql");
    assert_eq!(config.sources().len(), 2);
    write(&directory, "q.toml", format!("{toml}[store]\nkind = 'sqlite'\npath = '/a'\n").as_bytes());
    let config = load_in(&directory, "q.toml", "", &[]).unwrap();
    assert_eq!((config.store.role(Role::Mailbox).kind.as_str(), config.sources().len()), ("sqlite", 1));
}

#[test]
fn a_variable_never_leads_away_from_the_store_that_was_named() {
    let load_url = |variable: &str, value: &str| {
        let sources = Sources {
            store_url: Some("sqlite:/named.db".into()),
            env: vec![(variable.into(), value.into())],
            ..Sources::default()
        };
        load(&sources, &Registry::builtin())
    };
    for (variable, value) in [("QMAIL_LOOKUP_STORE__PATH", "/other.db"), ("QMAIL_LOOKUP_STORE__KIND", "memory")] {
        let error = load_url(variable, value).err().unwrap().to_string();
        assert!(error.contains(variable) && error.contains("--store"), "{error}");
    }
    assert!(load_url("QMAIL_LOOKUP_STORE__CANARY", "postmaster").is_ok());
    let deep = format!("QMAIL_LOOKUP_{}", vec!["A"; 30_000].join("__"));
    assert!(load_url(&deep, "x").is_err(), "and no stack is exhausted");
}

#[test]
fn a_blank_canary_takes_the_inherited_one_back() {
    let directory = tempfile::tempdir().unwrap();
    let toml = "[store]\nkind = 'sqlite'\npath = '/a'\ncanary = 'p'\n[store.alias]\npath = '/b'\n[store.virtual]\npath = '/c'\ncanary = ''\n";
    write(&directory, "q.toml", toml.as_bytes());
    let config = load_in(&directory, "q.toml", "", &[]).unwrap();
    let proofs = Role::ALL.map(|role| format!("{:?}", config.store.role(role).proof));
    assert_eq!(proofs, [r#"Canary("p")"#, r#"Canary("p")"#, "None"]);
}
