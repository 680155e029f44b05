//! What a directory would refuse, found out without asking it: a row without a form as an entry, and a second row of a
//! key that may be there once.

use super::catalog::spooling;
use super::editing::THERE;
use super::entry;
use super::error::Context;
use super::finding::{is_unique, key};
use super::mapping::Mapping;
use super::settings::Settings;
use async_trait::async_trait;
use qmail_lookup_core::{Deadline, LookupError, Rehearsal, TableRow};
use rusqlite::Connection;
use std::sync::Arc;

/// Memory for the keys so far; the rest goes to a file without a name. Unit: KiB.
const CACHE: i64 = 4096;

/// Rows on trial.
pub(super) struct Trial {
    /// The keys so far.
    keys: Connection,
    mapping: Arc<Mapping>,
    context: Context,
}

impl Trial {
    /// Without rows.
    ///
    /// # Errors
    /// If the temporary file cannot be made.
    pub(super) fn new(settings: &Settings, context: &Context) -> Result<Self, LookupError> {
        let open = || {
            let keys = Connection::open("")?;
            keys.execute_batch(&format!(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE};
                 CREATE TABLE keys (place TEXT, key BLOB, PRIMARY KEY (place, key)) WITHOUT ROWID; BEGIN"
            ))?;
            Ok(keys)
        };
        let keys = open().map_err(|error| spooling(context, error))?;
        Ok(Self { keys, mapping: Arc::clone(&settings.mapping), context: context.clone() })
    }

    /// Why the row would be refused.
    fn judge(&self, row: &TableRow) -> rusqlite::Result<Option<String>> {
        let table = row.table();
        if self.mapping.place(table).is_none() {
            return Ok(Some(format!("table {table} is not in the directory (store.mapping)")));
        }
        if let Err(problem) = entry::judged(row) {
            return Ok(Some(problem));
        }
        if !is_unique(row) {
            return Ok(None);
        }
        let mut add = self.keys.prepare_cached("INSERT OR IGNORE INTO keys VALUES (?1, ?2)")?;
        let new = add.execute((table.name(), key(row).1.concat()))? == 1;
        Ok((!new).then(|| THERE.to_owned()))
    }
}

#[async_trait]
impl Rehearsal for Trial {
    async fn insert(&mut self, rows: &[TableRow], _: Deadline) -> Result<Vec<(usize, String)>, LookupError> {
        let mut refused = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let problem = self.judge(row).map_err(|error| spooling(&self.context, error))?;
            refused.extend(problem.map(|problem| (place, problem)));
        }
        Ok(refused)
    }
}
