//! Questions and rows as text, for `explain` and for logs at debug level. Routing rows hold no password.

use super::{Ask, Told};
use crate::error::printable;
use crate::key::VirtualKey;
use std::fmt;

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T>(f: &mut fmt::Formatter<'_>, table: &str, keys: &[T], one: impl Fn(&T) -> String) -> fmt::Result {
            write!(f, "{table}: {}", keys.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        match self {
            Self::Mailboxes(names) => list(f, "mailbox", names, ToString::to_string),
            Self::Aliases(keys) => list(f, "alias", keys, |key| format!("({}, '{}')", key.username, key.alias)),
            Self::Virtuals(keys) => list(f, "virtual", keys, |key| match key {
                VirtualKey::Exact { host, user } => format!("'{user}'@{host}"),
                VirtualKey::Patterns { host } => format!("patterns@{host}"),
                VirtualKey::Any { host } => format!("any@{host}"),
            }),
            Self::Rcpthosts(hosts) => list(f, "rcpthosts", hosts, ToString::to_string),
        }
    }
}

/// The rows as `column=value` texts, NULL left out.
#[must_use]
pub fn shown(told: &Told) -> Vec<String> {
    fn row(cells: &[(&str, &Option<Vec<u8>>)]) -> String {
        let texts = cells.iter().filter_map(|(name, cell)| Some((name, cell.as_deref()?)));
        texts.map(|(name, bytes)| format!("{name}={}", value(bytes))).collect::<Vec<_>>().join(" ")
    }
    match told {
        Told::Mailboxes(rows) => rows
            .iter()
            .map(|r| {
                row(&[
                    ("username", &r.username),
                    ("uid", &r.uid),
                    ("gid", &r.gid),
                    ("home", &r.home),
                    ("suspended", &r.suspended),
                ])
            })
            .collect(),
        Told::Aliases(rows) => rows
            .iter()
            .map(|r| {
                row(&[
                    ("username", &r.username),
                    ("alias", &r.alias),
                    ("alias_username", &r.alias_username),
                    ("alias_host", &r.alias_host),
                    ("seq", &r.seq),
                ])
            })
            .collect(),
        Told::Virtuals(rows) => rows
            .iter()
            .map(|r| {
                row(&[
                    ("username", &r.username),
                    ("ext", &r.ext),
                    ("virtual_username", &r.virtual_username),
                    ("virtual_host", &r.virtual_host),
                ])
            })
            .collect(),
        Told::Rcpthosts(rows) => rows.iter().map(|r| row(&[("host", &r.host)])).collect(),
    }
}

/// Valid UTF-8 without control characters stays readable; anything else is escaped.
fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => format!("'{text}'"),
        _ => format!("'{}'", printable(bytes)),
    }
}
