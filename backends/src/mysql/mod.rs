//! MySQL and MariaDB.

mod binds;
mod catalog;
mod connection;
mod editor;
mod error;
mod facts;
mod reading;
mod rehearsal;
mod rows;
mod settings;
mod shape;
mod sql;
mod statement;
#[cfg(test)]
mod tests;
mod url;

use crate::authenticate::CompareAuthenticator;
use crate::cells;
use crate::failover::Failover;
use crate::inlined::inlined;
use crate::question::Question;
use crate::registry::{Entry, OpenContext, SettingsError};
use crate::workers::Again;
use async_trait::async_trait;
use binds::Missing;
use connection::{Connection, MysqlServer};
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Authenticator, Backend, Catalog, Cell, Change, CredentialResolver,
    CredentialRow, Deadline, Editor, Host, HostRow, LookupError, MailboxResolver, MailboxRow, StoreFacts, Table,
    Username, VirtualKey, VirtualResolver, VirtualRow,
};
use settings::Settings;
use sql::Session;
use std::sync::Arc;

/// The registry's line.
pub const ENTRY: Entry = Entry { kind: "mysql", open, from_url: url::settings, schema: sql::schema };

fn open(settings: crate::registry::Settings, context: &OpenContext) -> Result<Arc<dyn Backend>, SettingsError> {
    let settings = Settings::read(settings)?;
    let server = |server| MysqlServer::new(&settings, server, context.deadline);
    let servers = settings.servers.iter().map(server).collect();
    let store = Arc::new(Store { servers: Failover::new(servers, settings.connections) });
    let rows: Arc<dyn CredentialResolver> = Arc::<Store>::clone(&store);
    let authenticator = CompareAuthenticator::new(rows, Arc::clone(&context.rules));
    Ok(Arc::new(Mysql { store, authenticator }))
}

/// The servers of one store, with their connections.
struct Store {
    servers: Failover<MysqlServer>,
}

struct Mysql {
    store: Arc<Store>,
    authenticator: CompareAuthenticator,
}

impl Store {
    async fn ask<T>(
        &self,
        question: Question,
        by: Deadline,
        again: Again,
        row: fn(Vec<Cell>) -> T,
    ) -> Result<Vec<T>, LookupError> {
        let pieces = question.pieces();
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.servers.ask(pieces, by, again).await?;
        Ok(rows.into_iter().map(row).collect())
    }
}

impl Store {
    /// A connection of its own to the first server that can be reached.
    async fn reach(&self, kind: Session, by: Deadline) -> Result<(&MysqlServer, Connection), LookupError> {
        let servers: Vec<_> = self.servers.connectors().collect();
        let mut errors = Vec::new();
        for (n, server) in servers.iter().copied().enumerate() {
            let share = by.left() / u32::try_from(servers.len() - n).unwrap_or(u32::MAX);
            match server.open(kind, by.or_after(share)).await {
                Ok(conn) => return Ok((server, conn)),
                Err(error) => errors.push(error),
            }
        }
        Err(self.servers.none_reached(errors))
    }
}

#[async_trait]
impl CredentialResolver for Store {
    async fn credentials(&self, names: &[Username], by: Deadline) -> Result<Vec<CredentialRow>, LookupError> {
        self.ask(Question::Credentials(names.to_vec()), by, Again::Never, cells::credential).await
    }
}

#[async_trait]
impl MailboxResolver for Mysql {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.store.ask(Question::Mailboxes(names.to_vec()), by, Again::Allowed, rows::mailbox).await
    }
}

#[async_trait]
impl AliasResolver for Mysql {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.store.ask(Question::Aliases(keys.to_vec()), by, Again::Allowed, cells::alias).await
    }
}

#[async_trait]
impl VirtualResolver for Mysql {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.store.ask(Question::Virtuals(keys.to_vec()), by, Again::Allowed, cells::virtual_row).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.store.ask(Question::Rcpthosts(hosts.to_vec()), by, Again::Allowed, cells::host).await
    }
}

#[async_trait]
impl Backend for Mysql {
    fn kind(&self) -> &'static str {
        ENTRY.kind
    }

    fn place(&self) -> String {
        self.store.servers.place().to_owned()
    }

    fn query_text(&self, ask: &Ask) -> String {
        let question = match ask {
            Ask::Mailboxes(names) => Question::Mailboxes(names.clone()),
            Ask::Aliases(keys) => Question::Aliases(keys.clone()),
            Ask::Virtuals(keys) => Question::Virtuals(keys.clone()),
            Ask::Rcpthosts(hosts) => Question::Rcpthosts(hosts.clone()),
        };
        // As for the documented tables, which have no such column.
        let mut missing = Missing::default();
        missing.note(Table::Alias, "seq");
        let texts = question.pieces().into_iter().map(|piece| {
            let statement = sql::lookup(&piece, &missing);
            let keys = statement.binds.into_keys();
            inlined(&statement.text, keys.iter().map(String::as_str), true)
        });
        texts.collect::<Vec<_>>().join(";\n")
    }

    fn change_text(&self, change: &Change) -> Option<String> {
        crate::statement::of(change, &statement::DIALECT)
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.store.servers.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        let rows = self.store.ask(Question::AnyMailbox, by, Again::Allowed, |_| ()).await?;
        Ok(!rows.is_empty())
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.store.facts(by).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(&*self.store)
    }

    fn editor(&self) -> Option<&dyn Editor> {
        Some(&*self.store)
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        Some(&self.authenticator)
    }

    fn credentials(&self) -> Option<&dyn CredentialResolver> {
        Some(&*self.store)
    }
}
