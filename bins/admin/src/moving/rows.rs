//! Whole tables in temporary files, in the order of scans: all passes over them see the same rows, and no store has to
//! hold a reader while another is written.

use crate::output::Failure;
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_backends::spool::{Place, Spool};
use qmail_lookup_core::moving::set_key;
use qmail_lookup_core::{Cell, Deadline, Table, TableRow};
use std::time::Duration;

/// The four tables.
pub(crate) struct Rows {
    spools: [Spool; 4],
}

fn trouble(error: impl std::fmt::Display) -> Failure {
    Failure::temporary(format!("temporary file: {error} (set TMPDIR to a directory with room)"))
}

impl Rows {
    /// None yet.
    ///
    /// # Errors
    /// If there is no room for a temporary file.
    pub(crate) fn new() -> Result<Self, Failure> {
        let spool = || Spool::open().map_err(trouble);
        Ok(Self { spools: [spool()?, spool()?, spool()?, spool()?] })
    }

    fn spool(&self, table: Table) -> &Spool {
        let [mailbox, alias, virtuals, rcpthosts] = &self.spools;
        match table {
            Table::Mailbox => mailbox,
            Table::Alias => alias,
            Table::Virtual => virtuals,
            Table::Rcpthosts => rcpthosts,
        }
    }

    /// Adds a row, in any order.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(crate) fn add(&mut self, row: &TableRow) -> Result<(), Failure> {
        self.spool(row.table()).add(row).map_err(trouble)
    }

    /// All were added.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.spools.iter().try_for_each(Spool::finish).map_err(trouble)
    }

    /// Reads the tables of the stores; `step` is told of each page how many rows it had.
    ///
    /// # Errors
    /// If a store cannot be read to its end, or cannot list its rows; or hides passwords, if they are wanted.
    pub(crate) async fn of(session: &Session, passwords: bool, step: impl FnMut(Table, u64)) -> Result<Self, Failure> {
        let rows = Self::of_tables(session, &Table::ALL, step).await?;
        if passwords {
            rows.show_passwords(session).await?;
        }
        Ok(rows)
    }

    /// Fails if the store of mailboxes has more passwords than it has shown.
    ///
    /// # Errors
    /// That, or if it cannot be asked.
    pub(crate) async fn show_passwords(&self, session: &Session) -> Result<(), Failure> {
        let store = &session.stores.mailbox;
        let by = Deadline::after(PATIENCE);
        let Some(catalog) = store.catalog() else { return Ok(()) };
        let Some(without) = catalog.without_password(by).await? else { return Ok(()) };
        let (mut pages, mut shown) = (self.pages(Table::Mailbox), 0_u64);
        loop {
            let page = pages.next_page()?;
            if page.is_empty() {
                break;
            }
            let lacks = |row: &&TableRow| match row {
                TableRow::Mailbox(row) => {
                    let blank = row.password.as_ref().is_some_and(|password| password.expose().is_empty());
                    blank && row.password_type.as_deref() == Some(b"Password")
                }
                _ => false,
            };
            shown += page.iter().filter(lacks).count() as u64;
        }
        if shown == without {
            return Ok(());
        }
        Err(Failure::temporary(format!(
            "{}: {shown} mailboxes show no password, but {without} have none: the others are hidden from this account, or \
             were just changed (let it read them, or leave passwords out)",
            store.place()
        )))
    }

    /// As [`Rows::of`], of these tables only.
    ///
    /// # Errors
    /// As [`Rows::of`].
    pub(crate) async fn of_tables(
        session: &Session,
        tables: &[Table],
        step: impl FnMut(Table, u64),
    ) -> Result<Self, Failure> {
        Self::of_changed(session, tables, |row| row, step).await
    }

    /// As [`Rows::of_tables`], each row as `change` makes it, in the order that it has then.
    ///
    /// # Errors
    /// As [`Rows::of`].
    pub(crate) async fn of_changed(
        session: &Session,
        tables: &[Table],
        change: fn(TableRow) -> TableRow,
        mut step: impl FnMut(Table, u64),
    ) -> Result<Self, Failure> {
        let mut rows = Self::new()?;
        for &table in tables {
            let mut pages = Pages::begin(session, table).await?;
            loop {
                let page = pages.next().await?;
                if page.is_empty() {
                    break;
                }
                let count = page.len() as u64;
                page.into_iter().try_for_each(|row| rows.add(&change(row)))?;
                step(table, count);
            }
        }
        rows.finish()?;
        Ok(rows)
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(crate) fn count(&self, table: Table) -> Result<u64, Failure> {
        self.spool(table).rows().map_err(trouble)
    }

    /// The rows of a table in the order of scans, some at once, however many one set has.
    pub(crate) fn pages(&self, table: Table) -> SpoolPages<'_> {
        SpoolPages { spool: self.spool(table), table, place: Place::default() }
    }

    /// The rows of a table that are of one set (see [`set_key`]), set after set in the order of scans.
    pub(crate) fn sets(&self, table: Table) -> Sets<'_> {
        Sets { pages: self.pages(table), page: Vec::new().into_iter().peekable() }
    }
}

/// How long a store may count.
const PATIENCE: Duration = Duration::from_secs(600);

/// Rows that are read from the temporary file at once.
const PAGE: usize = 500;

/// See [`Rows::pages`].
pub(crate) struct SpoolPages<'r> {
    spool: &'r Spool,
    table: Table,
    place: Place,
}

impl SpoolPages<'_> {
    /// The next rows; none at the end of the table.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(crate) fn next_page(&mut self) -> Result<Vec<TableRow>, Failure> {
        self.spool.page(self.table, &mut self.place, PAGE).map_err(trouble)
    }
}

/// See [`Rows::sets`].
pub(crate) struct Sets<'r> {
    pages: SpoolPages<'r>,
    page: std::iter::Peekable<std::vec::IntoIter<TableRow>>,
}

impl Sets<'_> {
    fn peek(&mut self) -> Result<Option<&TableRow>, Failure> {
        if self.page.peek().is_none() {
            self.page = self.pages.next_page()?.into_iter().peekable();
        }
        Ok(self.page.peek())
    }

    /// What the rows of the next set have in common; `None` at the end of the table.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(crate) fn peek_key(&mut self) -> Result<Option<Vec<Cell>>, Failure> {
        Ok(self.peek()?.map(set_key))
    }

    /// The next set; empty at the end of the table.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(crate) fn next_set(&mut self) -> Result<Vec<TableRow>, Failure> {
        let mut set: Vec<TableRow> = Vec::new();
        while let Some(row) = self.peek()? {
            if set.first().is_some_and(|first| set_key(first) != set_key(row)) {
                break;
            }
            set.extend(self.page.next());
        }
        Ok(set)
    }
}
