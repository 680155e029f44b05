use super::*;
use crate::settings::Tables;
use serde_json::{Value, json};

fn read(daemon: &Value) -> Result<DaemonSettings, (String, String, Option<String>)> {
    let data = json!({"daemon": daemon}).as_object().unwrap().clone();
    match Tables::read(data) {
        Ok(tables) => Ok(tables.daemon),
        Err(refusal) => Err((refusal.key, refusal.problem, refusal.nearest)),
    }
}

#[test]
fn nothing_said_is_the_documented_default() {
    let daemon = read(&json!({})).unwrap();
    assert_eq!(daemon.lookup_socket, Path::new("/run/qmail-lookup/lookup.sock"));
    assert_eq!(daemon.auth_socket, Path::new("/run/qmail-lookup/auth.sock"));
    assert_eq!((&daemon.auth_group, &daemon.cvm_lookup_socket, &daemon.cvm_auth_socket), (&None, &None, &None));
    assert_eq!((daemon.connections, daemon.connections_per_uid), (2048, 255));
    assert_eq!((&daemon.metrics, daemon.log_format, daemon.log_level), (&None, LogFormat::Text, LogLevel::Info));
    assert_eq!((daemon.allow.len(), &daemon.lock_file), (0, &None));
    assert_eq!(daemon.lock_path(), Path::new("/run/qmail-lookup/lookup.sock.lock"));
}

#[test]
fn everything_that_can_be_said_arrives() {
    let daemon = read(&json!({
        "auth_group": "DOMAIN\\mail readers",
        "cvm_lookup_socket": format!("/{}", "x".repeat(106)),
        "cvm_auth_socket": "/run/c",
        "metrics": "[::1]:9199",
        "log_format": "json",
        "log_level": "debug",
        "connections": 65_536,
        "connections_per_uid": 65_536,
        "lock_file": "/run/l",
        "allow": {"postfix": ["virtual_uid", "recipient", "virtual_uid"], "nobody": [], "dovecot": ["userdb"]},
    }))
    .unwrap();
    assert_eq!(daemon.auth_group.as_deref(), Some("DOMAIN\\mail readers"));
    assert_eq!(daemon.metrics, Some(MetricsAddress::Tcp("[::1]:9199".parse().unwrap())));
    assert_eq!((daemon.log_format, daemon.log_level.as_str()), (LogFormat::Json, "debug"));
    assert_eq!((daemon.connections, daemon.connections_per_uid), (65_536, 65_536));
    assert_eq!(daemon.lock_path(), Path::new("/run/l"));
    let expected = [
        ("dovecot".to_owned(), vec![Right::Userdb]),
        ("nobody".to_owned(), vec![]),
        ("postfix".to_owned(), vec![Right::VirtualUid, Right::Recipient]),
    ];
    assert_eq!(daemon.allow, BTreeMap::from(expected));
    let every = read(&json!({"allow": {"x": Right::ALL.map(Right::as_str)}})).unwrap();
    assert_eq!(every.allow["x"], Right::ALL);
    assert!(LogLevel::Error < LogLevel::Warn && LogLevel::Info < LogLevel::Debug);
}

#[test]
fn what_could_not_work_is_refused() {
    let too_long = format!("/{}", "x".repeat(107));
    let metrics_expected = "expected \"unix:/path\", \"127.0.0.1:PORT\" or \"[::1]:PORT\"";
    for (daemon, key, problem) in [
        (
            json!({"auth_group": ""}),
            "auth_group",
            "not the name of a group; without this line only root may ask the auth socket",
        ),
        (
            json!({"auth_group": "a "}),
            "auth_group",
            "not the name of a group; without this line only root may ask the auth socket",
        ),
        (json!({"lookup_socket": "run/a"}), "lookup_socket", "not an absolute path"),
        (json!({"lookup_socket": too_long}), "lookup_socket", "108 bytes long; the path of a socket has at most 107"),
        (
            json!({"cvm_lookup_socket": too_long}),
            "cvm_lookup_socket",
            "108 bytes long; the path of a socket has at most 107",
        ),
        (json!({"cvm_auth_socket": ""}), "cvm_auth_socket", "not an absolute path"),
        (
            json!({"cvm_auth_socket": "/run/"}),
            "cvm_auth_socket",
            "names a directory; expected the path of a file in it",
        ),
        (
            json!({"cvm_auth_socket": "/run/.."}),
            "cvm_auth_socket",
            "names a directory; expected the path of a file in it",
        ),
        (json!({"cvm_auth_socket": "/run/a\0b"}), "cvm_auth_socket", "holds a NUL byte; expected a path"),
        (json!({"metrics": "unix:m.sock"}), "metrics", "not an absolute path"),
        (json!({"metrics": "unix:"}), "metrics", "not an absolute path"),
        (
            json!({"metrics": format!("unix:{too_long}")}),
            "metrics",
            "108 bytes long; the path of a socket has at most 107",
        ),
        (json!({"lock_file": "l"}), "lock_file", "not an absolute path"),
        (json!({"connections": 63}), "connections", "63 is out of range; expected 64 to 65536"),
        (json!({"connections": 65_537}), "connections", "65537 is out of range; expected 64 to 65536"),
        (json!({"connections_per_uid": 0}), "connections_per_uid", "0 is out of range; expected 1 to 65536"),
        (json!({"allow": ["postfix"]}), "allow", "expected a table [daemon.allow]"),
        (json!({"allow": {"": []}}), "allow.", "not the name of a user"),
        (json!({"allow": {"a:b": []}}), "allow.a:b", "not the name of a user"),
    ] {
        let refused = read(&daemon).unwrap_err();
        assert_eq!(refused, (format!("daemon.{key}"), problem.to_owned(), None), "{daemon}");
    }
    let (key, problem, _) = read(&json!({"metrics": "0.0.0.0:9199"})).unwrap_err();
    assert_eq!(key, "daemon.metrics");
    assert_eq!(
        problem,
        format!("`0.0.0.0:9199` would show the mail system's inner life to the network; {metrics_expected}")
    );
}

#[test]
fn no_two_files_of_the_daemon_have_one_path() {
    let keys = ["lookup_socket", "auth_socket", "cvm_lookup_socket", "cvm_auth_socket", "metrics", "lock_file"];
    for (index, later) in keys.iter().enumerate() {
        for earlier in &keys[..index] {
            let path = |key: &str| if key == "metrics" { "unix:/run/x" } else { "/run/x" };
            let (key, problem, _) = read(&json!({*earlier: path(earlier), *later: path(later)})).unwrap_err();
            let why = if *earlier == "lookup_socket" { ", to which everybody may connect" } else { "" };
            assert_eq!(key, format!("daemon.{later}"));
            assert_eq!(problem, format!("the same as {earlier}{why}; expected another path"));
        }
    }
    let (key, problem, _) = read(&json!({"lookup_socket": "/run/a", "auth_socket": "//run/./a.lock"})).unwrap_err();
    assert_eq!(key, "daemon.auth_socket");
    assert_eq!(problem, "the same as the default of lock_file; expected another path");
    assert!(read(&json!({"auth_socket": "/run/qmail-lookup/lookup.sock.lock", "lock_file": "/run/l"})).is_ok());
}

#[test]
fn an_unknown_word_is_refused_with_the_one_that_was_meant() {
    let rights = "getpw, rcpthosts, recipient, virtual, mailbox, virtual_mailbox, virtual_alias, virtual_uid, \
                  virtual_gid, userdb, deliver_files";
    for (daemon, key, problem, nearest) in [
        (json!({"log_format": "jsn"}), "log_format", "`jsn` is none of text, json".to_owned(), Some("json")),
        (
            json!({"log_level": "warning"}),
            "log_level",
            "`warning` is none of error, warn, info, debug".to_owned(),
            Some("warn"),
        ),
        (json!({"log_level": "all"}), "log_level", "`all` is none of error, warn, info, debug".to_owned(), None),
        (
            json!({"allow": {"postfix": ["recipient", "virtual_mialbox"]}}),
            "allow.postfix[1]",
            format!("`virtual_mialbox` is none of {rights}"),
            Some("virtual_mailbox"),
        ),
        (json!({"allow": {"x": ["everything"]}}), "allow.x[0]", format!("`everything` is none of {rights}"), None),
        (
            json!({"allow": {"x": ["deliver"]}}),
            "allow.x[0]",
            "only the user of a mailbox may ask deliver; for users of users/assign who are none there is deliver_files"
                .to_owned(),
            None,
        ),
        (
            json!({"allow": {"x": "recipient"}}),
            "allow.x",
            "invalid type: string \"recipient\", expected a list of questions, such as [\"virtual_mailbox\", \
             \"recipient\"]"
                .to_owned(),
            None,
        ),
        (
            json!({"allow": {"x": [1]}}),
            "allow.x[0]",
            "invalid type: integer `1`, expected the name of a question in quotes, such as \"recipient\"".to_owned(),
            None,
        ),
    ] {
        let refused = read(&daemon).unwrap_err();
        assert_eq!(refused, (format!("daemon.{key}"), problem, nearest.map(str::to_owned)), "{daemon}");
    }
}
