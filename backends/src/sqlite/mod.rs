//! SQLite: the tables in one file on this machine.
//!
//! Lookups run on threads of their own, each with a read-only connection, and never make a file. The file may be
//! replaced by rename at any time: the next question asks the new one.

mod catalog;
mod connection;
mod editor;
mod error;
mod facts;
mod rehearsal;
mod rows;
mod session;
mod settings;
mod shape;
mod sql;
mod statement;
#[cfg(test)]
mod tests;

use crate::authenticate::CompareAuthenticator;
use crate::registry::{Entry, OpenContext, Settings, SettingsError};
use async_trait::async_trait;
use connection::{File, Readers};
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{
    Authenticator, Backend, Catalog, Change, CredentialResolver, Deadline, Editor, LookupError, StoreFacts,
};
use settings::SqliteSettings;
use sql::Query;
use std::sync::Arc;

/// The registry's name.
const KIND: &str = "sqlite";

/// How the registry knows this store.
pub const ENTRY: Entry = Entry { kind: KIND, open, from_url: settings::from_url, schema: sql::schema };

/// A store that is one SQLite file.
pub struct SqliteStore {
    readers: Arc<Readers>,
    authenticator: CompareAuthenticator,
    catalog: catalog::SqliteCatalog,
    editor: editor::SqliteEditor,
}

fn open(settings: Settings, context: &OpenContext) -> Result<Arc<dyn Backend>, SettingsError> {
    SqliteStore::open(settings, context).map(|store| Arc::new(store) as Arc<dyn Backend>)
}

impl SqliteStore {
    /// Makes a store. Touches no file and starts no thread.
    ///
    /// # Errors
    /// When the settings are not usable.
    pub fn open(settings: Settings, context: &OpenContext) -> Result<Self, SettingsError> {
        let settings = SqliteSettings::read(settings)?;
        let place = format!("{KIND} {}", settings.path.display());
        let file = Arc::new(File::new(settings::absolute(&settings.path)?, place));
        let readers = Arc::new(Readers::new(Arc::clone(&file), settings.threads));
        let credentials = Arc::clone(&readers) as Arc<dyn CredentialResolver>;
        Ok(Self {
            authenticator: CompareAuthenticator::new(credentials, Arc::clone(&context.rules)),
            catalog: catalog::SqliteCatalog::new(file),
            editor: editor::SqliteEditor::new(Arc::clone(&readers)),
            readers,
        })
    }
}

#[async_trait]
impl Backend for SqliteStore {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn place(&self) -> String {
        self.readers.file().place.clone()
    }

    fn query_text(&self, ask: &Ask) -> String {
        rows::query_text(ask)
    }

    fn change_text(&self, change: &Change) -> Option<String> {
        crate::statement::of(change, &statement::DIALECT)
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        // Every question begins by reading the file's header.
        self.readers.ask(by, |_| Ok(())).await
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.readers.ask(by, |session| session.yes(Query::AnyMailbox)).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.readers.ask(by, facts::facts).await
    }

    fn catalog(&self) -> Option<&dyn Catalog> {
        Some(&self.catalog)
    }

    fn editor(&self) -> Option<&dyn Editor> {
        Some(&self.editor)
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        Some(&self.authenticator)
    }

    fn credentials(&self) -> Option<&dyn CredentialResolver> {
        Some(&*self.readers)
    }
}
