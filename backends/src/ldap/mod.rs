//! An LDAP directory.
//!
//! - Which entries and attributes are the tables is a `mapping.rs`. Keys are compared once more by their bytes: a
//!   server's matching rules ignore blanks.
//! - A question is one search; a few connections carry those of all callers side by side.
//! - A directory reports much as "no such entry" that is none: an unknown attribute, a hidden base, a reference, a cut
//!   answer. Each is an error here (`subschema.rs`, `search.rs`). What remains is an entry that is hidden as a whole,
//!   which only the canary finds (rule K4), and a hidden attribute that need not be there, such as the one that says
//!   suspended: give the account read access to all that is mapped.
//! - Logins bind as the user on a connection of their own, or compare userPassword here; never one after the other.

mod authenticate;
mod catalog;
mod connection;
mod editing;
mod editor;
mod entry;
mod error;
mod facts;
mod filter;
mod finding;
mod foreseen;
mod inserting;
mod mapping;
mod name;
mod pages;
mod rehearsal;
mod renaming;
mod rows;
mod schema;
mod search;
mod settings;
mod stamp;
mod statement;
mod subschema;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod whole;
mod writing;

use crate::authenticate::CompareAuthenticator;
use crate::cells;
use crate::failover::Failover;
use crate::question::Question;
use crate::registry::{Entry, OpenContext, SettingsError};
use crate::workers::Again;
use async_trait::async_trait;
use authenticate::BindAuthenticator;
use connection::{Connection, LdapServer, PER_LINE, Reply};
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Authenticator, Backend, Catalog, Cell, Change, CredentialResolver, Deadline,
    Editor, Host, HostRow, LookupError, MailboxResolver, MailboxRow, StoreFacts, Username, VirtualKey, VirtualResolver,
    VirtualRow,
};
use settings::{Auth, Settings};
use std::sync::Arc;

/// The registry's line.
pub const ENTRY: Entry = Entry { kind: "ldap", open, from_url: url::settings, schema: schema::schema };

fn open(settings: crate::registry::Settings, context: &OpenContext) -> Result<Arc<dyn Backend>, SettingsError> {
    let settings = Arc::new(Settings::read(settings)?);
    let by_address = settings.mapping.virtuals.as_ref().is_some_and(|map| !map.addresses.is_empty());
    if by_address && context.rules.virtual_patterns == VirtualPatterns::Like {
        let problem = "virtual recipients of this mapping are addresses, in which _ and % mean themselves; \
                       set rules.virtual_patterns = \"plain\"";
        return Err(settings::error("mapping", problem));
    }
    let server = |server| Arc::new(LdapServer::new(&settings, server));
    let servers = settings.servers.iter().map(server).collect();
    let servers = Failover::new(servers, settings.connections * PER_LINE);
    let store = Arc::new(Store { servers, settings: Arc::clone(&settings) });
    let authenticator: Box<dyn Authenticator> = match settings.auth {
        Auth::Bind => Box::new(BindAuthenticator::new(Arc::clone(&store), Arc::clone(&context.rules))),
        Auth::Compare => {
            let rows: Arc<dyn CredentialResolver> = Arc::<Store>::clone(&store);
            Box::new(CompareAuthenticator::new(rows, Arc::clone(&context.rules)))
        }
    };
    Ok(Arc::new(LdapStore { store, authenticator }))
}

/// The servers of one store, with their connections.
struct Store {
    servers: Failover<Arc<LdapServer>>,
    settings: Arc<Settings>,
}

struct LdapStore {
    store: Arc<Store>,
    authenticator: Box<dyn Authenticator>,
}

impl Store {
    /// Asks a question that has keys.
    async fn reply(&self, question: Question, by: Deadline, again: Again) -> Result<Reply, LookupError> {
        self.servers.ask(question.pieces(), by, again).await
    }

    async fn ask<T>(&self, question: Question, by: Deadline, row: fn(Vec<Cell>) -> T) -> Result<Vec<T>, LookupError> {
        let pieces = question.pieces();
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.servers.ask(pieces, by, Again::Allowed).await?;
        Ok(reply.rows.into_iter().map(|found| row(found.cells)).collect())
    }

    /// A connection of its own to the first server that can be reached, logged in as the configured account.
    async fn reach(&self, by: Deadline) -> Result<(&Arc<LdapServer>, Connection), LookupError> {
        let servers: Vec<_> = self.servers.connectors().collect();
        let mut errors = Vec::new();
        for (n, server) in servers.iter().copied().enumerate() {
            let share = by.left() / u32::try_from(servers.len() - n).unwrap_or(u32::MAX);
            match server.open(by.or_after(share)).await {
                Ok(conn) => return Ok((server, conn)),
                Err(error) => errors.push(error),
            }
        }
        Err(self.servers.none_reached(errors))
    }
}

#[async_trait]
impl MailboxResolver for LdapStore {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.store.ask(Question::Mailboxes(names.to_vec()), by, cells::mailbox).await
    }
}

#[async_trait]
impl AliasResolver for LdapStore {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.store.ask(Question::Aliases(keys.to_vec()), by, cells::alias).await
    }
}

#[async_trait]
impl VirtualResolver for LdapStore {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.store.ask(Question::Virtuals(keys.to_vec()), by, cells::virtual_row).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.store.ask(Question::Rcpthosts(hosts.to_vec()), by, cells::host).await
    }
}

#[async_trait]
impl Backend for LdapStore {
    fn kind(&self) -> &'static str {
        ENTRY.kind
    }

    fn place(&self) -> String {
        self.store.servers.place().to_owned()
    }

    fn query_text(&self, ask: &Ask) -> String {
        filter::text(&Question::from(ask), &self.store.settings.mapping)
    }

    fn change_text(&self, change: &Change) -> Option<String> {
        let settings = &self.store.settings;
        settings.is_native().then(|| statement::text(change, &settings.mapping)).flatten()
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.store.servers.ping(by).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        let rows = self.store.ask(Question::AnyMailbox, by, |_| ()).await?;
        Ok(!rows.is_empty())
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.store.facts(by).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        self.store.settings.is_native().then_some(&*self.store as &dyn Catalog)
    }

    fn editor(&self) -> Option<&dyn Editor> {
        self.store.settings.is_native().then_some(&*self.store as &dyn Editor)
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        Some(&*self.authenticator)
    }
}
