//! A table read from its first row to its last, a page at a time.

use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::{Deadline, Scan, Table, TableRow};
use std::time::Duration;

/// Most rows of a page.
const ROWS: usize = 500;

/// How long the first page may take: it waits until the store has sorted the whole table.
const SORTING: Duration = Duration::from_secs(600);

/// How long each page after it may take: a store that says nothing any more is found out.
const READING: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Pages {
    scan: Box<dyn Scan>,
    /// True if the first page was read.
    is_sorted: bool,
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
        Ok(Self { scan: catalog.scan(table, None, Deadline::after(SORTING)).await?, is_sorted: false })
    }

    /// The next rows, in the order of [`TableRow::order`]; none at the end of the table.
    ///
    /// # Errors
    /// If the rest could not be read.
    pub(crate) async fn next(&mut self) -> Result<Vec<TableRow>, Failure> {
        let patience = if self.is_sorted { READING } else { SORTING };
        let rows = self.scan.next(ROWS, Deadline::after(patience)).await?;
        self.is_sorted = true;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::LookupError;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    /// Notes how much time it is given.
    struct Patient(Arc<Mutex<Vec<Duration>>>);

    impl Scan for Patient {
        fn next<'s, 'f>(
            &'s mut self,
            _: usize,
            by: Deadline,
        ) -> Pin<Box<dyn Future<Output = Result<Vec<TableRow>, LookupError>> + Send + 'f>>
        where
            's: 'f,
            Self: 'f,
        {
            self.0.lock().unwrap().push(by.left());
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    #[test]
    fn only_the_first_page_may_take_as_long_as_sorting_does() {
        let given = Arc::new(Mutex::new(Vec::new()));
        let mut pages = Pages { scan: Box::new(Patient(Arc::clone(&given))), is_sorted: false };
        for _ in 0..3 {
            futures_util::FutureExt::now_or_never(pages.next()).unwrap().unwrap();
        }
        let minutes: Vec<_> = given.lock().unwrap().iter().map(|left| left.as_secs().div_ceil(60)).collect();
        assert_eq!(minutes, [10, 1, 1]);
    }
}
