//! What the daemon reads, from every source, and again at HUP.

use super::tests::{load_in, said, warnings, write};
use super::*;
use crate::error::Level;
use crate::{LogLevel, MetricsAddress, Right};
use qmail_lookup_core::settings::{FallBack, Rehash};
use std::time::Duration;

const STORE: &str = "[store]\nkind = 'memory'\ncanary = 'p'\n";

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "q.toml", format!("{STORE}{text}").as_bytes());
    load_in(&directory, "q.toml", "", variables)
}

#[test]
fn errors_name_file_line_and_key() {
    for (text, expected) in [
        (
            "[daemon]\nmetrics = '0.0.0.0:9199'\n",
            "q.toml:5:1: daemon.metrics: `0.0.0.0:9199` would show the mail system's inner life to the network; \
             expected \"unix:/path\", \"127.0.0.1:PORT\" or \"[::1]:PORT\"",
        ),
        (
            "[daemon]\nlog_level = 'inof'\n",
            "q.toml:5:1: daemon.log_level: `inof` is none of error, warn, info, debug; did you mean info?",
        ),
        (
            "[daemon.allow]\npostfix = [\n 'recipient',\n 'userbd']\n",
            "q.toml:7:2: daemon.allow.postfix[1]: `userbd` is none of getpw, rcpthosts, recipient, virtual, mailbox, \
             virtual_mailbox, virtual_alias, virtual_uid, virtual_gid, userdb, deliver_files; did you mean userdb?",
        ),
        ("[daemon]\nallow = []\n", "q.toml:5:1: daemon.allow: expected a table [daemon.allow]"),
        ("[daemon]\nconnections = -1\n", "q.toml:5:1: daemon.connections: invalid value: integer `-1`, expected u32"),
        (
            "[daemon]\n\nconnections_per_uid = 70000\n",
            "q.toml:6:1: daemon.connections_per_uid: 70000 is out of range; expected 1 to 65536",
        ),
        (
            "[daemon]\nlookup_socket = '/a'\ncvm_auth_socket = '/a'\n",
            "q.toml:6:1: daemon.cvm_auth_socket: the same as lookup_socket, to which everybody may connect; expected \
             another path",
        ),
        (
            "[auth]\nrehash = 'yescript'\n",
            "q.toml:5:1: auth.rehash: `yescript` is none of off, sha512, yescrypt; did you mean yescrypt?",
        ),
        (
            "[auth]\nfallback = 'stock'\n",
            "q.toml:5:1: auth.fallback: unknown key; did you mean fall_back?; known here: login, fall_back, rehash, parallel",
        ),
        ("[cache]\nentries = 0\n", "q.toml:5:1: cache.entries: 0 is out of range; expected 1 to 10000000"),
    ] {
        assert_eq!(said(load_text(text, &[])), expected);
    }
}

#[test]
fn every_setting_can_come_from_a_variable() {
    let variables = [
        ("QMAIL_LOOKUP_DAEMON__AUTH_GROUP", "100"),
        ("QMAIL_LOOKUP_DAEMON__CVM_LOOKUP_SOCKET", "/run/c"),
        ("QMAIL_LOOKUP_DAEMON__CVM_AUTH_SOCKET", "/run/d"),
        ("QMAIL_LOOKUP_DAEMON__METRICS", "[::1]:9199"),
        ("QMAIL_LOOKUP_DAEMON__LOG_FORMAT", "text"),
        ("QMAIL_LOOKUP_DAEMON__LOG_LEVEL", "debug"),
        ("QMAIL_LOOKUP_DAEMON__CONNECTIONS", "2048"),
        ("QMAIL_LOOKUP_DAEMON__CONNECTIONS_PER_UID", "2000"),
        ("QMAIL_LOOKUP_DAEMON__LOCK_FILE", "/run/l"),
        ("QMAIL_LOOKUP_DAEMON__ALLOW__POSTFIX", "virtual_mailbox, recipient"),
        ("QMAIL_LOOKUP_DAEMON__ALLOW__DOVECOT", "['userdb']"),
        ("QMAIL_LOOKUP_DAEMON__ALLOW___CHRONY", "getpw"),
        ("QMAIL_LOOKUP_DAEMON__ALLOW__NOBODY", ""),
        ("QMAIL_LOOKUP_AUTH__FALL_BACK", "stock"),
        ("QMAIL_LOOKUP_AUTH__REHASH", "sha512"),
        ("QMAIL_LOOKUP_AUTH__PARALLEL", "3"),
        ("QMAIL_LOOKUP_CACHE__ENTRIES", "7"),
    ];
    let file = "[daemon.allow]\nnobody = ['getpw']\nfriend = ['virtual']\n";
    let Config { daemon, auth, cache, .. } = load_text(file, &variables).unwrap();
    assert_eq!(daemon.auth_group.as_deref(), Some("100"));
    assert_eq!(daemon.cvm_lookup_socket.as_deref(), Some(Path::new("/run/c")));
    assert_eq!(daemon.cvm_auth_socket.as_deref(), Some(Path::new("/run/d")));
    assert_eq!(daemon.metrics, Some(MetricsAddress::Tcp("[::1]:9199".parse().unwrap())));
    assert_eq!((daemon.connections, daemon.connections_per_uid), (2048, 2000));
    assert_eq!((daemon.log_level, daemon.lock_path().as_path()), (LogLevel::Debug, Path::new("/run/l")));
    let expected = [
        ("_chrony", vec![Right::Getpw]),
        ("dovecot", vec![Right::Userdb]),
        ("friend", vec![Right::Virtual]),
        ("nobody", vec![]),
        ("postfix", vec![Right::VirtualMailbox, Right::Recipient]),
    ];
    assert_eq!(daemon.allow, expected.map(|(user, rights)| (user.to_owned(), rights)).into());
    assert_eq!((auth.fall_back, auth.rehash, auth.parallel), (FallBack::Stock, Rehash::Sha512, 3));
    assert_eq!(cache.entries, 7);
}

#[test]
fn a_bad_variable_is_named() {
    for (name, value, expected) in [
        ("ALLOW__POSTFIX", "recipient,virtual_alais", ": daemon.allow.postfix[1]: `virtual_alais` is none of getpw, "),
        ("ALLOW", "postfix", ": daemon.allow: expected a table [daemon.allow]"),
        ("CONNECTIONS", "10", ": daemon.connections: 10 is out of range; expected 64 to 65536"),
        ("CONNECTIONS", "many", ": daemon.connections: invalid type: string \"many\", expected u32"),
        ("METRICS", "9199", ": daemon.metrics: `9199` is no address; expected "),
        (
            "LOG_LEVEL",
            "warning",
            ": daemon.log_level: `warning` is none of error, warn, info, debug; did you mean warn?",
        ),
        ("AUTH_GROUP", "", ": daemon.auth_group: not the name of a group; without this line only root"),
        ("LOG_LEVL", "info", ": daemon.log_levl: unknown key; did you mean QMAIL_LOOKUP_DAEMON__LOG_LEVEL?"),
    ] {
        let name = format!("QMAIL_LOOKUP_DAEMON__{name}");
        let error = said(load_text("", &[(&name, value)]));
        assert!(error.starts_with(&format!("environment variable {name}{expected}")), "{error}");
    }
}

#[test]
fn what_does_nothing_or_too_much_is_said() {
    let unwise = |text: &str| warnings(&load_text(text, &[]).unwrap(), Level::Unwise);
    let group = "no-such-group-anywhere";
    let user = "no-such-user-anywhere";
    assert_eq!(
        unwise(&format!("[daemon]\nauth_group = '{group}'\n[daemon.allow]\nroot = ['userdb']\n{user} = ['getpw']\n")),
        [
            "q.toml:5:1: daemon.auth_group: no such group here; only root can log users in".to_owned(),
            format!("q.toml:8:1: daemon.allow.{user}: no such user here; the daemon ignores it"),
        ]
    );
    assert_eq!(
        unwise("[daemon.allow]\nroot = ['userdb']\n"),
        [
            "q.toml:5:1: daemon.allow.root: userdb is asked at the auth socket, which only root can reach while auth_group \
          is not set"
        ]
    );
    assert_eq!(unwise("[daemon]\nauth_group = 'root'\n[daemon.allow]\nroot = ['userdb']\n"), [""; 0]);
    assert_eq!(unwise("[auth]\nrehash = 'sha512'\n[cache]\nttl = '1h'\n"), [""; 0]);
    assert_eq!(
        unwise("[cache]\nttl = '61m'\n"),
        ["q.toml:5:1: cache.ttl: longer than 1h: an edit made elsewhere is seen only after that time"]
    );
    let ldap =
        "[store.mailbox]\nkind = 'ldap'\nbase = 'dc=x'\n[store.alias]\nkind='memory'\n[auth]\nrehash = 'sha512'\n";
    assert!(
        unwise(ldap).contains(
            &"q.toml:10:1: auth.rehash: does nothing: the passwords of an ldap store are left to the directory"
                .to_owned()
        ),
        "{:?}",
        unwise(ldap)
    );
}

#[test]
fn loading_again_sees_the_file_as_it_is_now_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let put = |text: &str| write(&directory, "q.toml", format!("{STORE}{text}").as_bytes());
    let sources = Sources { config: Some(put("[cache]\nttl = '1s'\n")), ..Sources::default() };
    let registry = Registry::builtin();
    let load = || load(&sources, &registry);
    let first = load().unwrap();
    let again = load().unwrap();
    assert_eq!((&first.rules, &first.daemon, &first.cache), (&again.rules, &again.daemon, &again.cache));
    assert_eq!(first.warnings, again.warnings);
    put("[cache]\nttl = '2s'\nentreis = 3\n");
    let error = said(load());
    assert!(error.starts_with("q.toml:6:1: cache.entreis: unknown key; did you mean entries?"), "{error}");
    assert_eq!(first.cache.ttl, Duration::from_secs(1));
    put("[cache]\nttl = '2s'\nentries = 3\n[daemon.allow]\nroot = ['getpw']\n");
    let later = load().unwrap();
    assert_eq!((later.cache.ttl, later.cache.entries), (Duration::from_secs(2), 3));
    assert_ne!(later.daemon, first.daemon);
    later.open(&registry).unwrap();
    first.open(&registry).unwrap();
}
