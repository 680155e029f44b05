//! What the lines of `control/sqlserver` mean as a `[store]` table of kind `mysql`.
//!
//! As in the MySQL client library, no `server` and `server localhost` mean the UNIX socket: that of the `socket` line,
//! else [`DEFAULT_SOCKET`]. Write `server 127.0.0.1` for TCP to this machine.

use crate::sqlserver::{Concern, Finding, Setting, Values};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// The socket where no `socket` line names one.
pub(crate) const DEFAULT_SOCKET: &str = "/run/mysqld/mysqld.sock";

/// The port where no `port` line names one.
const DEFAULT_PORT: u16 = 3306;

/// The `[store]` table, and for each of its keys the line and column it comes from.
pub(crate) struct Store {
    pub(crate) data: Map<String, Value>,
    pub(crate) lines: BTreeMap<String, (usize, usize)>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads the values as a table.
pub(crate) fn translate(values: &Values) -> Store {
    let mut store = Store { data: Map::new(), lines: BTreeMap::new(), findings: Vec::new() };
    store.set("kind", "mysql".into(), None);
    let address = store.address(values);
    let written = values.get("server").or_else(|| values.get("socket"));
    store.set("servers", json!([address]), written);
    for (line, key) in [("login", "user"), ("db", "database")] {
        if let Some(setting) = values.get(line) {
            store.set(key, setting.value.clone().into(), Some(setting));
        }
    }
    match values.get("password") {
        Some(setting) if setting.value.is_empty() => {
            store.find("password", setting, Concern::Unwise, "the password is empty: connects without one".into());
        }
        Some(setting) => store.set("password", setting.value.clone().into(), Some(setting)),
        None => {}
    }
    store
}

impl Store {
    fn set(&mut self, key: &str, value: Value, from: Option<&Setting>) {
        self.data.insert(key.to_owned(), value);
        if let Some(setting) = from {
            self.lines.insert(key.to_owned(), (setting.line, setting.column));
        }
    }

    fn find(&mut self, key: &'static str, setting: &Setting, concern: Concern, text: String) {
        let Setting { line, column, .. } = *setting;
        self.findings.push(Finding { line, column, concern, key: Some(key), text });
    }

    fn address(&mut self, values: &Values) -> String {
        let (server, socket, port) = (values.get("server"), values.get("socket"), values.get("port"));
        match server {
            Some(server) if !server.value.eq_ignore_ascii_case("localhost") => {
                if let Some(socket) = socket {
                    let text = "ignored, because server is not localhost".to_owned();
                    self.find("socket", socket, Concern::Unwise, text);
                }
                let port = self.port(port);
                let host = self.host(server);
                if !server.value.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
                    let text = "connections to this server are encrypted and its certificate is verified, unless \
                                store.tls says otherwise";
                    self.find("server", server, Concern::Notice, text.to_owned());
                }
                format!("{host}:{port}")
            }
            _ => {
                if let Some(port) = port {
                    let text = "ignored, because localhost means the UNIX socket; write server 127.0.0.1 for TCP";
                    self.find("port", port, Concern::Unwise, text.to_owned());
                }
                let path = socket.map_or(DEFAULT_SOCKET, |socket| &socket.value);
                if let Some(socket) = socket.filter(|socket| !socket.value.starts_with('/')) {
                    let text = "a socket is an absolute path, for example ".to_owned() + DEFAULT_SOCKET;
                    self.find("socket", socket, Concern::Refused, text);
                }
                format!("unix:{path}")
            }
        }
    }

    fn host(&mut self, server: &Setting) -> String {
        let host = &server.value;
        if host.parse::<Ipv6Addr>().is_ok() {
            return format!("[{host}]");
        }
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !host.bytes().all(usual) {
            let text = if host.starts_with('/') {
                "not a host name; a socket has a line of its own: socket PATH"
            } else if host.contains(':') {
                "not a host name; a port has a line of its own: port NUMBER"
            } else {
                "not a host name or address; one server only, of letters, digits, dots and hyphens"
            };
            self.find("server", server, Concern::Refused, text.to_owned());
        }
        host.clone()
    }

    fn port(&mut self, port: Option<&Setting>) -> u16 {
        let Some(setting) = port else { return DEFAULT_PORT };
        match setting.value.parse() {
            // The MySQL client library takes 0 for "the usual one".
            Ok(0) => DEFAULT_PORT,
            Ok(port) => port,
            Err(_) => {
                self.find("port", setting, Concern::Refused, "a port is a number from 1 to 65535".to_owned());
                DEFAULT_PORT
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlserver::parse;

    fn store(file: &str) -> Store {
        let (values, findings) = parse(file.as_bytes());
        assert!(findings.iter().all(|finding| finding.concern != Concern::Refused), "{findings:?}");
        translate(&values)
    }

    /// Without the notice that every remote server gets.
    fn said(store: &Store) -> Vec<(Concern, usize, &str)> {
        let findings = store.findings.iter().filter(|finding| finding.concern != Concern::Notice);
        findings.map(|finding| (finding.concern, finding.line, finding.text.as_str())).collect()
    }

    #[test]
    fn a_remote_server_is_told_that_it_needs_a_certificate() {
        for (lines, remote) in [("server localhost", 0), ("server 127.0.0.1", 0), ("server ::1", 0), ("server db1", 1)]
        {
            assert_eq!(store(lines).findings.len(), remote, "{lines}");
        }
    }

    #[test]
    fn localhost_is_the_socket_and_anything_else_is_tcp() {
        for (lines, server) in [
            ("db q", "unix:/run/mysqld/mysqld.sock"),
            ("server localhost", "unix:/run/mysqld/mysqld.sock"),
            ("server LocalHost\nsocket /tmp/mysql.sock", "unix:/tmp/mysql.sock"),
            ("socket /tmp/mysql.sock", "unix:/tmp/mysql.sock"),
            ("server 127.0.0.1", "127.0.0.1:3306"),
            ("server db1.example\nport 3307", "db1.example:3307"),
            ("server db1\nport 0", "db1:3306"),
            ("server ::1", "[::1]:3306"),
        ] {
            let store = store(lines);
            assert_eq!(store.data["servers"], json!([server]), "{lines}");
            assert_eq!(said(&store), [], "{lines}");
        }
    }

    #[test]
    fn what_is_ignored_is_said() {
        let ignored = store("server localhost\nport 3307");
        let text = "ignored, because localhost means the UNIX socket; write server 127.0.0.1 for TCP";
        assert_eq!(said(&ignored), [(Concern::Unwise, 2, text)]);
        let ignored = store("socket /a\nserver db1");
        assert_eq!(said(&ignored), [(Concern::Unwise, 1, "ignored, because server is not localhost")]);
        let empty = store("password=\ndb x");
        assert_eq!(said(&empty), [(Concern::Unwise, 1, "the password is empty: connects without one")]);
        assert!(!empty.data.contains_key("password"));
    }

    #[test]
    fn impossible_values_are_refused() {
        for (lines, text) in [
            ("server db1\nport 3306x", "a port is a number from 1 to 65535"),
            ("server db1\nport 65536", "a port is a number from 1 to 65535"),
            ("\nsocket mysql.sock", "a socket is an absolute path, for example /run/mysqld/mysqld.sock"),
            ("\nserver db1:3307", "not a host name; a port has a line of its own: port NUMBER"),
            ("\nserver /tmp/mysql.sock", "not a host name; a socket has a line of its own: socket PATH"),
            ("\nserver db1,db2", "not a host name or address; one server only, of letters, digits, dots and hyphens"),
        ] {
            assert_eq!(said(&store(lines)), [(Concern::Refused, 2, text)], "{lines}");
        }
    }

    #[test]
    fn every_key_has_its_line() {
        let store = store("server db1\nlogin a\npassword b\ndb c\n");
        let expected = json!({"kind": "mysql", "servers": ["db1:3306"], "user": "a", "database": "c", "password": "b"});
        assert_eq!(Value::Object(store.data), expected);
        let lines: Vec<_> = store.lines.iter().map(|(key, line)| (key.as_str(), *line)).collect();
        assert_eq!(lines, [("database", (4, 4)), ("password", (3, 10)), ("servers", (1, 8)), ("user", (2, 7))]);
    }
}
