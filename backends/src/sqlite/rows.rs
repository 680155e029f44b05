//! The questions: which keys go into which statement.

use super::SqliteStore;
use super::connection::Readers;
use super::session::{Session, cell};
use super::shape::Shape;
use super::sql::Query;
use crate::inlined::inlined;
use async_trait::async_trait;
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, CredentialResolver, CredentialRow, Deadline, Host, HostRow, LookupError,
    MailboxResolver, MailboxRow, Secret, Username, VirtualKey, VirtualResolver, VirtualRow,
};
use rusqlite::Row;

/// The keys in order, each once: a key in two statements would bring its rows twice.
fn once<K: Ord + Clone>(keys: &[K]) -> Vec<K> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[async_trait]
impl MailboxResolver for SqliteStore {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        let names = once(names);
        let question = move |session: &mut Session| {
            let names: Vec<_> = names.iter().map(Username::as_str).collect();
            let mut found = Vec::new();
            session.select(Query::Mailboxes, &names, mailbox, &mut found)?;
            Ok(found)
        };
        self.readers.ask(by, question).await
    }
}

#[async_trait]
impl CredentialResolver for Readers {
    async fn credentials(&self, names: &[Username], by: Deadline) -> Result<Vec<CredentialRow>, LookupError> {
        let names = once(names);
        let question = move |session: &mut Session| {
            let names: Vec<_> = names.iter().map(Username::as_str).collect();
            let mut found = Vec::new();
            session.select(Query::Credentials, &names, credential, &mut found)?;
            Ok(found)
        };
        self.ask(by, question).await
    }
}

#[async_trait]
impl AliasResolver for SqliteStore {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        let keys = once(keys);
        self.readers.ask(by, move |session| aliases(session, &keys)).await
    }
}

#[async_trait]
impl VirtualResolver for SqliteStore {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        let keys = once(keys);
        self.readers.ask(by, move |session| virtuals(session, &keys)).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        let hosts = once(hosts);
        let question = move |session: &mut Session| {
            let hosts: Vec<_> = hosts.iter().map(Host::as_str).collect();
            let mut found = Vec::new();
            session.select(Query::Rcpthosts, &hosts, |row| Ok(HostRow { host: cell(row, 0)? }), &mut found)?;
            Ok(found)
        };
        self.readers.ask(by, question).await
    }
}

/// The statements for `ask` against the documented tables, with the keys written in.
pub(super) fn query_text(ask: &Ask) -> String {
    let one = |query: Query, keys: Vec<&str>| {
        let text = query.text(&Shape::documented(query.table()), keys.len() / query.key().len().max(1));
        text.map(|text| inlined(&text, keys, false)).unwrap_or_default()
    };
    match ask {
        Ask::Mailboxes(names) => one(Query::Mailboxes, names.iter().map(Username::as_str).collect()),
        Ask::Aliases(keys) => {
            one(Query::Aliases, keys.iter().flat_map(|key| [key.username.as_str(), key.alias.as_str()]).collect())
        }
        Ask::Rcpthosts(hosts) => one(Query::Rcpthosts, hosts.iter().map(Host::as_str).collect()),
        Ask::Virtuals(keys) => {
            let (mut pairs, mut patterns, mut any) = (Vec::new(), Vec::new(), Vec::new());
            for key in keys {
                match key {
                    VirtualKey::Exact { host, user } => pairs.extend([host.as_str(), user.as_str()]),
                    VirtualKey::Patterns { host } => patterns.push(host.as_str()),
                    VirtualKey::Any { host } => any.push(one(Query::HostHasRows, vec![host.as_str()])),
                }
            }
            let keyed = [(Query::Virtuals, pairs), (Query::Patterns, patterns)];
            let texts = keyed.into_iter().filter(|(_, keys)| !keys.is_empty()).map(|(query, keys)| one(query, keys));
            texts.chain(any).collect::<Vec<_>>().join("; ")
        }
    }
}

fn aliases(session: &mut Session, keys: &[AliasKey]) -> Result<Vec<AliasRow>, LookupError> {
    let mut found = Vec::new();
    let pairs: Vec<_> = keys.iter().flat_map(|key| [key.username.as_str(), key.alias.as_str()]).collect();
    session.select(Query::Aliases, &pairs, alias, &mut found)?;
    let blank: Vec<_> =
        keys.iter().filter(|key| key.alias.as_bytes().is_empty()).map(|key| key.username.as_str()).collect();
    if !blank.is_empty() && session.nullable(Query::NullAliases.table(), "alias")? {
        session.select(Query::NullAliases, &blank, alias, &mut found)?;
    }
    Ok(found)
}

/// Each statement finds rows that no other one finds, so that no row comes back twice.
fn virtuals(session: &mut Session, keys: &[VirtualKey]) -> Result<Vec<VirtualRow>, LookupError> {
    // Sorted, because the keys are.
    let patterns: Vec<_> =
        keys.iter().filter_map(|key| if let VirtualKey::Patterns { host } = key { Some(host) } else { None }).collect();
    let (mut pairs, mut blank, mut any) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match key {
            VirtualKey::Exact { host, user } => {
                let text = user.as_str();
                let among_patterns = text.is_empty() || text.contains(['%', '_']);
                if among_patterns && patterns.binary_search(&host).is_ok() {
                    continue;
                }
                pairs.extend([host.as_str(), text]);
                if text.is_empty() {
                    blank.push(host.as_str());
                }
            }
            VirtualKey::Patterns { .. } => {}
            VirtualKey::Any { host } => any.push(host),
        }
    }
    let mut found = Vec::new();
    session.select(Query::Virtuals, &pairs, virtual_row, &mut found)?;
    if !blank.is_empty() && session.nullable(Query::NullVirtuals.table(), "virtual_username")? {
        session.select(Query::NullVirtuals, &blank, virtual_row, &mut found)?;
    }
    let patterns: Vec<_> = patterns.into_iter().map(Host::as_str).collect();
    session.select(Query::Patterns, &patterns, virtual_row, &mut found)?;
    for host in any {
        // Any row of the host will do, also one that another key brought.
        if !found.iter().any(|row| host.matches(row.virtual_host.as_deref())) {
            session.select(Query::HostHasRows, &[host.as_str()], virtual_row, &mut found)?;
        }
    }
    Ok(found)
}

fn mailbox(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    Ok(MailboxRow {
        username: cell(row, 0)?,
        uid: cell(row, 1)?,
        gid: cell(row, 2)?,
        home: cell(row, 3)?,
        suspended: cell(row, 4)?,
    })
}

fn credential(row: &Row<'_>) -> rusqlite::Result<CredentialRow> {
    Ok(CredentialRow {
        mailbox: MailboxRow {
            username: cell(row, 0)?,
            uid: cell(row, 1)?,
            gid: cell(row, 2)?,
            home: cell(row, 3)?,
            suspended: cell(row, 6)?,
        },
        password: cell(row, 4)?.map(Secret::new),
        password_type: cell(row, 5)?,
    })
}

fn alias(row: &Row<'_>) -> rusqlite::Result<AliasRow> {
    Ok(AliasRow {
        username: cell(row, 0)?,
        alias: cell(row, 1)?,
        alias_username: cell(row, 2)?,
        alias_host: cell(row, 3)?,
        seq: cell(row, 4)?,
    })
}

fn virtual_row(row: &Row<'_>) -> rusqlite::Result<VirtualRow> {
    Ok(VirtualRow {
        virtual_host: cell(row, 0)?,
        virtual_username: cell(row, 1)?,
        username: cell(row, 2)?,
        ext: cell(row, 3)?,
    })
}
