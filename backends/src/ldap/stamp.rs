//! A stamp of tables: contextCSN, which OpenLDAP writes into the top entry of a database with every change, where the
//! overlay syncprov or replication is set up.
//!
//! It covers the whole database that a table's base is in, so it also differs when something else there has changed. A
//! part of the tree below the base that is a database of its own is not covered; then there is no stamp.

use super::Store;
use super::connection::Connection;
use super::search::Search;
use crate::workers::Failure;
use ldap3::Scope;
use qmail_lookup_core::{Deadline, LookupError, Table};
use std::collections::BTreeSet;
use tokio::time::timeout_at;

const CONTEXTS: &str = "namingContexts";
const CONTEXT_CSN: &str = "contextCSN";

impl Store {
    pub(super) async fn stamp_of(&self, tables: &[Table], by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        let (server, conn) = self.reach(by).await?;
        let mapping = &server.settings.mapping;
        let bases: BTreeSet<_> =
            tables.iter().filter_map(|&table| mapping.place(table)).map(|place| place.base).collect();
        let stamp = timeout_at(by.instant().into(), stamp(&conn, &bases, server.context())).await;
        match stamp.map_err(|_| server.too_late())? {
            Ok(stamp) => Ok(stamp),
            // A server that does not show it has none.
            Err(Failure::Answered(_)) => Ok(None),
            Err(lost) => Err(lost.into_error()),
        }
    }
}

async fn stamp(
    conn: &Connection,
    bases: &BTreeSet<&str>,
    at: &super::error::Context,
) -> Result<Option<Vec<u8>>, Failure> {
    let contexts = values(conn, "", CONTEXTS, at).await?;
    let contexts: Vec<String> = contexts.iter().map(|dn| String::from_utf8_lossy(dn).into_owned()).collect();
    let mut databases = BTreeSet::new();
    for base in bases {
        let Some(database) = database_of(base, &contexts) else { return Ok(None) };
        databases.insert(database);
    }
    let mut stamp = Vec::new();
    for database in databases {
        // One value for each server that takes changes.
        let mut numbers = values(conn, database, CONTEXT_CSN, at).await?;
        if numbers.is_empty() {
            return Ok(None);
        }
        numbers.sort_unstable();
        stamp.extend([database.as_bytes(), b"\n", &numbers.join(&b'\n'), b"\n\n"].concat());
    }
    Ok(Some(stamp))
}

/// The values of an attribute of one entry.
async fn values(
    conn: &Connection,
    dn: &str,
    attribute: &str,
    at: &super::error::Context,
) -> Result<Vec<Vec<u8>>, Failure> {
    let search = Search {
        base: dn.to_owned(),
        filter: "(objectClass=*)".to_owned(),
        attributes: vec![attribute.to_owned()],
        one: false,
    };
    let entries = conn.search_scope(&search, Scope::Base, at).await?;
    Ok(entries.first().map(|entry| entry.attributes.values(attribute).to_vec()).unwrap_or_default())
}

/// The database that holds all that is at and below `base`; `None` if no single one does.
fn database_of<'a>(base: &str, contexts: &'a [String]) -> Option<&'a str> {
    let base = plain(base);
    let holds = |above: &[String], below: &[String]| below.ends_with(above);
    let known: Vec<(&String, Vec<String>)> = contexts.iter().map(|context| (context, plain(context))).collect();
    if known.iter().any(|(_, context)| holds(&base, context) && context.len() > base.len()) {
        return None;
    }
    let above = known.iter().filter(|(_, context)| holds(context, &base));
    above.max_by_key(|(_, context)| context.len()).map(|(context, _)| context.as_str())
}

/// A DN as its parts, as servers compare them as far as we need to know: what is spelled otherwise is not found.
fn plain(dn: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in dn.chars() {
        match (c, parts.last_mut()) {
            (',', _) if !escaped => parts.push(String::new()),
            (c, Some(part)) => part.push(c.to_ascii_lowercase()),
            (_, None) => {}
        }
        escaped = c == '\\' && !escaped;
    }
    let part = |part: String| match part.split_once('=') {
        Some((name, value)) => format!("{}={}", name.trim(), value.trim()),
        None => part.trim().to_owned(),
    };
    parts.into_iter().map(part).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_belongs_to_the_nearest_database_above_it() {
        let contexts = ["dc=test", "ou=mail, DC=Test", "o=other"].map(str::to_owned);
        for (base, database) in [
            ("ou=x,dc=test", Some("dc=test")),
            ("OU = virtual , ou=Mail,dc=test", Some("ou=mail, DC=Test")),
            ("ou=mail,dc=test", Some("ou=mail, DC=Test")),
            ("xou=mail,dc=test", Some("dc=test")),
            ("ou=a\\,ou=mail,dc=test", Some("dc=test")),
            ("o=other", Some("o=other")),
            // One part of it is in another database.
            ("dc=test", None),
            ("o=none", None),
        ] {
            assert_eq!(database_of(base, &contexts), database, "{base}");
        }
        assert_eq!(database_of("o=x", &["".to_owned()]), Some(""));
    }
}
