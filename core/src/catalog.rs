//! Reading whole tables, for export, migration, comparison and lint.

use crate::alias::AliasRow;
use crate::credential::CredentialRow;
use crate::mailbox::Cell;
use crate::rcpthosts::HostRow;
use crate::virtuals::VirtualRow;
use crate::{Deadline, LookupError};
use std::fmt;

/// The four documented tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Who has a mailbox.
    Mailbox,
    /// How their mail is delivered.
    Alias,
    /// Which virtual recipients there are.
    Virtual,
    /// Which domains are accepted.
    Rcpthosts,
}

impl Table {
    /// All of them, in the order in which they are created and copied.
    pub const ALL: [Self; 4] = [Self::Mailbox, Self::Alias, Self::Virtual, Self::Rcpthosts];

    /// Name as documented.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Alias => "alias",
            Self::Virtual => "virtual",
            Self::Rcpthosts => "rcpthosts",
        }
    }

    /// Documented columns, in the order of [`TableRow::cells`]. `seq` (alias) is ours and optional.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Mailbox => &["username", "uid", "gid", "home", "password", "password_type", "suspended"],
            Self::Alias => &["username", "alias", "alias_username", "alias_host", "seq"],
            Self::Virtual => &["virtual_host", "virtual_username", "username", "ext"],
            Self::Rcpthosts => &["host"],
        }
    }

    /// Columns that old tables may lack; they then read as NULL.
    #[must_use]
    pub fn optional_columns(self) -> &'static [&'static str] {
        match self {
            Self::Mailbox => &["password_type", "suspended"],
            Self::Alias => &["seq"],
            Self::Virtual | Self::Rcpthosts => &[],
        }
    }

    /// How many of the first columns are the key.
    #[must_use]
    pub fn key_columns(self) -> usize {
        match self {
            Self::Mailbox | Self::Rcpthosts => 1,
            Self::Alias | Self::Virtual => 2,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A row of any table, cells as stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableRow {
    /// Of table mailbox, passwords included.
    Mailbox(CredentialRow),
    /// Of table alias.
    Alias(AliasRow),
    /// Of table virtual.
    Virtual(VirtualRow),
    /// Of table rcpthosts.
    Rcpthosts(HostRow),
}

impl TableRow {
    /// Which table it is of.
    #[must_use]
    pub fn table(&self) -> Table {
        match self {
            Self::Mailbox(_) => Table::Mailbox,
            Self::Alias(_) => Table::Alias,
            Self::Virtual(_) => Table::Virtual,
            Self::Rcpthosts(_) => Table::Rcpthosts,
        }
    }

    /// The cells in the order of [`Table::columns`].
    #[must_use]
    pub fn cells(&self) -> Vec<Option<&[u8]>> {
        match self {
            Self::Mailbox(row) => {
                let m = &row.mailbox;
                let password = row.password.as_ref().map(crate::password::Secret::expose);
                vec![
                    m.username.as_deref(),
                    m.uid.as_deref(),
                    m.gid.as_deref(),
                    m.home.as_deref(),
                    password,
                    row.password_type.as_deref(),
                    m.suspended.as_deref(),
                ]
            }
            Self::Alias(row) => vec![
                row.username.as_deref(),
                row.alias.as_deref(),
                row.alias_username.as_deref(),
                row.alias_host.as_deref(),
                row.seq.as_deref(),
            ],
            Self::Virtual(row) => vec![
                row.virtual_host.as_deref(),
                row.virtual_username.as_deref(),
                row.username.as_deref(),
                row.ext.as_deref(),
            ],
            Self::Rcpthosts(row) => vec![row.host.as_deref()],
        }
    }

    /// Makes a row from cells in the order of [`Table::columns`]; missing ones are NULL.
    #[must_use]
    pub fn from_cells(table: Table, cells: impl IntoIterator<Item = Cell>) -> Self {
        let mut cells = cells.into_iter();
        let mut next = || cells.next().flatten();
        match table {
            Table::Mailbox => {
                let mut row = CredentialRow::default();
                row.mailbox.username = next();
                row.mailbox.uid = next();
                row.mailbox.gid = next();
                row.mailbox.home = next();
                row.password = next().map(crate::password::Secret::new);
                row.password_type = next();
                row.mailbox.suspended = next();
                Self::Mailbox(row)
            }
            Table::Alias => Self::Alias(AliasRow {
                username: next(),
                alias: next(),
                alias_username: next(),
                alias_host: next(),
                seq: next(),
            }),
            Table::Virtual => Self::Virtual(VirtualRow {
                virtual_host: next(),
                virtual_username: next(),
                username: next(),
                ext: next(),
            }),
            Table::Rcpthosts => Self::Rcpthosts(HostRow { host: next() }),
        }
    }

    /// True if the key columns of both are equal when folded, and both are of one table.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        let key = |row: &Self| row.order().into_iter().take(row.table().key_columns()).collect::<Vec<_>>();
        self.table() == other.table() && key(self) == key(other)
    }

    /// What scans are ordered by: the key columns folded, then every cell as stored. NULL comes before empty.
    #[must_use]
    pub fn order(&self) -> Vec<Cell> {
        let cells = self.cells();
        let keys = cells.iter().take(self.table().key_columns());
        let folded = keys.map(|cell| cell.map(<[u8]>::to_ascii_lowercase));
        folded.chain(cells.iter().map(|cell| cell.map(<[u8]>::to_vec))).collect()
    }
}

/// Where a scan was: after `seen` rows that equal `row`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The last row that was taken.
    pub row: TableRow,
    /// How many equal to it were taken, itself included; at least 1.
    pub seen: u64,
}

/// Reads whole tables.
#[async_trait::async_trait]
pub trait Catalog: Send + Sync {
    /// Begins to read `table`, after `after` if it is given.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn scan(&self, table: Table, after: Option<&Mark>, by: Deadline) -> Result<Box<dyn Scan>, LookupError>;

    /// How many rows of table mailbox have no password, by the store's own count: a scan that shows more of them (blank,
    /// of type `Password`) was not shown all passwords. `None` if a store shows a row whole or not at all.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn without_password(&self, _by: Deadline) -> Result<Option<u64>, LookupError> {
        Ok(None)
    }

    /// Something that differs whenever `tables` differ, and that costs less than reading them: two equal stamps mean that
    /// nothing has changed between them. `None` if the store has nothing of the kind.
    ///
    /// # Errors
    /// If the store could not be asked.
    async fn stamp(&self, _tables: &[Table], _by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        Ok(None)
    }
}

/// A table being read. It owns its connection, which closes with it.
///
/// # Contract
/// - Rows come in the order of [`TableRow::order`], duplicates kept.
/// - An empty batch means that the whole table was read; a scan that was cut is an error.
#[async_trait::async_trait]
pub trait Scan: Send {
    /// The next rows, at most `max`.
    ///
    /// # Errors
    /// If the rest could not be read.
    async fn next(&mut self, max: usize, by: Deadline) -> Result<Vec<TableRow>, LookupError>;
}
