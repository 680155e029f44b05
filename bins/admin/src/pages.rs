//! A table read from its first row to its last, a page at a time.

use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::{Deadline, Scan, Table, TableRow};
use std::time::Duration;

/// Most rows of a page.
const ROWS: usize = 500;

/// How long one page may take: the first one waits until the store has sorted the whole table.
const PATIENCE: Duration = Duration::from_secs(600);

/// See the module.
pub(crate) struct Pages {
    scan: Box<dyn Scan>,
}

impl Pages {
    /// Begins to read `table`.
    ///
    /// # Errors
    /// If its store cannot be reached, or cannot list its rows.
    pub(crate) async fn begin(session: &Session, table: Table) -> Result<Self, Failure> {
        let stores = &session.stores;
        let store = match table {
            Table::Mailbox => &stores.mailbox,
            Table::Alias => &stores.alias,
            Table::Virtual | Table::Rcpthosts => &stores.virtuals,
        };
        // A server that is down is found out soon; only the reading itself may take long.
        store.ping(Deadline::after(session.config.deadline)).await?;
        let catalog = store.catalog().ok_or_else(|| {
            Failure::usage(format!("{}: this store cannot list the rows of table {table}", store.place()))
        })?;
        Ok(Self { scan: catalog.scan(table, None, Deadline::after(PATIENCE)).await? })
    }

    /// The next rows, in the order of [`TableRow::order`]; none at the end of the table.
    ///
    /// # Errors
    /// If the rest could not be read.
    pub(crate) async fn next(&mut self) -> Result<Vec<TableRow>, Failure> {
        Ok(self.scan.next(ROWS, Deadline::after(PATIENCE)).await?)
    }
}
