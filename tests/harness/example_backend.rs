//! A store as somebody else might write one: a text file, a row a line, cells between tabs, NULL as `\N`, bytes that
//! are not printable as `\xNN`. It reads the file for every question, and has neither editor nor catalog.

use async_trait::async_trait;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, Backend, Cell, Deadline, ErrorKind, Host, HostRow, LookupError, MailboxResolver,
    MailboxRow, StoreFacts, Table, TableRow, Username, VirtualKey, VirtualResolver, VirtualRow,
};
use std::path::{Path, PathBuf};

/// The store.
#[derive(Clone, Debug)]
pub struct Tsv {
    path: PathBuf,
}

impl Tsv {
    /// A store over `path`. Looks at nothing yet.
    #[must_use]
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes `rows` to `path` and opens it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: impl Into<PathBuf>, rows: &[TableRow]) -> std::io::Result<Self> {
        let store = Self::open(path);
        let lines: Vec<_> = rows.iter().map(line).collect();
        std::fs::write(&store.path, lines.concat())?;
        Ok(store)
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn rows<R>(&self, by: Deadline, pick: impl Fn(TableRow) -> Option<R>) -> Result<Vec<R>, LookupError> {
        if by.passed() {
            return Err(LookupError::new(ErrorKind::Timeout, self.place(), "the deadline has passed"));
        }
        let text = std::fs::read_to_string(&self.path).map_err(|error| {
            LookupError::new(ErrorKind::Unreachable, self.place(), "the file cannot be read").with_source(error)
        })?;
        // A file cut in the middle of a line was cut anywhere: what is left of it is no whole set.
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(LookupError::new(ErrorKind::Schema, self.place(), "the last line is cut off"));
        }
        let mut rows = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let bad = || LookupError::new(ErrorKind::Schema, self.place(), format!("line {} is no row", n + 1));
            rows.extend(pick(parse(line).ok_or_else(bad)?));
        }
        Ok(rows)
    }
}

fn line(row: &TableRow) -> String {
    let cells = row.cells().into_iter().map(|cell| cell.map_or_else(|| "\\N".to_owned(), printable));
    let words: Vec<_> = [row.table().name().to_owned()].into_iter().chain(cells).collect();
    words.join("\t") + "\n"
}

fn parse(line: &str) -> Option<TableRow> {
    let mut words = line.split('\t');
    let name = words.next()?;
    let table = Table::ALL.into_iter().find(|table| table.name() == name)?;
    let cells = words.map(cell).collect::<Option<Vec<_>>>()?;
    (cells.len() == table.columns().len()).then(|| TableRow::from_cells(table, cells))
}

/// The cell that a word stands for; `None` if it stands for none.
fn cell(word: &str) -> Option<Cell> {
    if word == "\\N" {
        return Some(None);
    }
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some((plain, escaped)) = rest.split_once("\\x") {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = escaped.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(Some(bytes))
}

#[async_trait]
impl MailboxResolver for Tsv {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.rows(by, |row| match row {
            TableRow::Mailbox(row) => {
                names.iter().any(|name| name.matches(row.mailbox.username.as_deref())).then_some(row.mailbox)
            }
            _ => None,
        })
    }
}

#[async_trait]
impl AliasResolver for Tsv {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.rows(by, |row| match row {
            TableRow::Alias(row) => keys
                .iter()
                .any(|key| key.username.matches(row.username.as_deref()) && key.alias.matches(row.alias.as_deref()))
                .then_some(row),
            _ => None,
        })
    }
}

#[async_trait]
impl VirtualResolver for Tsv {
    /// Gives all rows of the hosts: more than was asked for, which a store may.
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.rows(by, |row| match row {
            TableRow::Virtual(row) => {
                keys.iter().any(|key| key.host().matches(row.virtual_host.as_deref())).then_some(row)
            }
            _ => None,
        })
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.rows(by, |row| match row {
            TableRow::Rcpthosts(row) => hosts.iter().any(|host| host.matches(row.host.as_deref())).then_some(row),
            _ => None,
        })
    }
}

#[async_trait]
impl Backend for Tsv {
    fn kind(&self) -> &'static str {
        "tsv"
    }

    fn place(&self) -> String {
        format!("tsv {}", self.path.display())
    }

    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.rows(by, |_| None::<()>).map(drop)
    }

    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        Ok(!self.rows(by, |row| (row.table() == Table::Mailbox).then_some(()))?.is_empty())
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.ping(by).await?;
        Ok(StoreFacts { server: self.place(), local: true, ..StoreFacts::default() })
    }
}
