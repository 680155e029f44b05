//! Changing rows.

use crate::catalog::{Table, TableRow};
use crate::limits;
use crate::{Deadline, LookupError};
use std::error::Error as StdError;
use std::fmt;

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a row.
    Insert(TableRow),
    /// Puts `new` in the place of one row that equals `old` in every cell; fails unless there is one.
    Replace {
        /// The row as it must be now.
        old: TableRow,
        /// The row as it shall be.
        new: TableRow,
    },
    /// Removes one row that equals this one in every cell; fails unless there is one.
    Delete(TableRow),
}

/// How the tables are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Width of column username; documented is 32. Unit: characters.
    pub username_width: u16,
    /// Adds column `seq` to table alias, which is not documented.
    pub with_seq: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { username_width: 32, with_seq: false }
    }
}

impl TableOptions {
    /// Widest username column that makes sense.
    pub const WIDTH_MAX: u16 = {
        assert!(limits::USERNAME_MAX == 128, "keep the two in step");
        128
    };
}

/// How much of a list of changes was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing.
    Nothing,
    /// Exactly the first `applied` of them.
    Partial {
        /// How many.
        applied: usize,
    },
    /// It is not known.
    Unknown,
}

/// A list of changes that was not carried out whole.
#[derive(Clone, Debug)]
pub struct EditError {
    /// How much of it was carried out.
    pub applied: Applied,
    /// Place in the list of the change that failed, if one did.
    pub change: Option<usize>,
    /// What went wrong.
    pub cause: EditCause,
}

/// Why a change was not carried out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EditCause {
    /// The row to replace or delete is not there, or is not as it was.
    RowIsGone,
    /// The store refused the row: it is there already, does not fit, or may not be NULL. The text is the store's.
    RowRefused(String),
    /// The store could not be asked.
    Store(LookupError),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(n) = self.change {
            write!(f, "change {}: ", n + 1)?;
        }
        match &self.cause {
            EditCause::RowIsGone => f.write_str("the row is gone or was changed by somebody else")?,
            EditCause::RowRefused(text) => write!(f, "the store refused the row: {text}")?,
            EditCause::Store(error) => write!(f, "{error}")?,
        }
        match self.applied {
            Applied::Nothing => f.write_str("; nothing was changed"),
            Applied::Partial { applied } => write!(f, "; the first {applied} changes were made"),
            Applied::Unknown => f.write_str("; it is not known whether anything was changed"),
        }
    }
}

impl StdError for EditError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            EditCause::Store(error) => Some(error),
            EditCause::RowIsGone | EditCause::RowRefused(_) => None,
        }
    }
}

/// What table alias does with the numbers of its rows (column seq, rule A3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// It has no such column.
    None,
    /// No two rows may have the same number, and a row without one gets the next.
    Unique,
    /// A number is kept as it is given, or left out.
    Free,
}

/// Rows put to a store for trial: what it would refuse is found out, and nobody else can see any of them.
#[async_trait::async_trait]
pub trait Rehearsal: Send {
    /// Puts `rows` to the store, after those of earlier calls. Gives the places in `rows` of those that it would refuse,
    /// in order, and why; never a value.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn insert(&mut self, rows: &[TableRow], by: Deadline) -> Result<Vec<(usize, String)>, LookupError>;

    /// True if what rows of `table` would meet is found out; no others may be put to it.
    fn covers(&self, table: Table) -> bool {
        let _ = table;
        true
    }
}

/// Changes rows and makes tables.
///
/// # Contract
/// - One call is one transaction where the store has transactions.
/// - It is never retried; the error says how much was done.
/// - What is written reads back as the same cells, or is refused.
#[async_trait::async_trait]
pub trait Editor: Send + Sync {
    /// Carries out `changes` in order.
    ///
    /// # Errors
    /// Says which change failed, why, and what was done.
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError>;

    /// Makes those of `tables` that are not there and changes none that is. Returns for each whether it was made.
    ///
    /// # Errors
    /// If a table could not be made.
    async fn create_tables(
        &self,
        tables: &[Table],
        options: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError>;

    /// As [`Editor::apply`], and reads each row back that it wrote: before the changes are kept where the store has
    /// transactions. A row that is not there as it was written is a [`EditCause::RowRefused`].
    ///
    /// # Errors
    /// As [`Editor::apply`].
    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError>;

    /// The rows of `table` whose first key column (username, virtual_host, host) is `key` when folded: whole, as
    /// [`Change::Replace`] and [`Change::Delete`] want them, in the order of [`TableRow::order`].
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn rows(&self, table: Table, key: &[u8], by: Deadline) -> Result<Vec<TableRow>, LookupError>;

    /// What the table alias that is there does with numbers.
    ///
    /// # Errors
    /// If the store could not be asked, or has no such table.
    async fn numbering(&self, by: Deadline) -> Result<Numbering, LookupError>;

    /// Begins a rehearsal with empty tables that are like those that are there; like those that [`Editor::create_tables`]
    /// would make with `options` where there are none. `None` if the store cannot tell beforehand what any of them refuses;
    /// see [`Rehearsal::covers`] for one.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn rehearse(&self, options: TableOptions, by: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError>;
}
