//! The rows of a file of mysqldump or mariadb-dump, one at a time, and what else it holds.
//!
//! | what | room |
//! |---|---|
//! | words, quotes, comments | `lexer` |
//! | statements: which tables there are, and their rows | `statements` |
//! | what is left behind, and whether the file is whole | here |

mod lexer;
mod statements;
#[cfg(test)]
mod tests;

use super::losses::Losses;
use crate::output::{Failure, text};
use lexer::Lexer;
use qmail_lookup_core::Cell;
use statements::Known;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// A table of the dump.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Database that the dump had named when the table came; empty if it names none.
    database: String,
    /// In lower case.
    pub(super) name: String,
    /// Names of the columns in lower case, in the order of the values.
    pub(super) columns: Vec<String>,
    /// What stands in a column of which nothing was said.
    defaults: Vec<Cell>,
    /// Whether the importer takes the column, or loses nothing without it.
    is_carried: Vec<bool>,
    is_wanted: bool,
}

impl Table {
    /// True if it has all these columns.
    pub(super) fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|name| self.columns.iter().any(|own| own == name))
    }
}

/// A row of a table that the importer wants.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) table: Rc<Table>,
    cells: Vec<Cell>,
}

impl Row {
    /// A cell; `None` if it is NULL, or if there is no such column.
    pub(super) fn get(&self, column: &str) -> Option<&[u8]> {
        let at = self.table.columns.iter().position(|own| own == column)?;
        self.cells.get(at)?.as_deref()
    }

    /// A cell; empty if it is NULL, or if there is no such column.
    pub(super) fn bytes(&self, column: &str) -> &[u8] {
        self.get(column).unwrap_or_default()
    }
}

/// Says which columns of a table the importer takes; `None` if it does not want the table.
pub(super) type Carries = fn(&Table) -> Option<&'static [&'static str]>;

/// A dump being read.
pub(super) struct Dump<R> {
    file: String,
    lexer: Lexer<R>,
    carries: Carries,
    database: String,
    /// What CREATE TABLE said, by database and name.
    known: BTreeMap<(String, String), Known>,
    /// Each table whose rows came or that was made: whether it is wanted.
    seen: BTreeMap<(String, String), bool>,
    /// The table whose rows are being read.
    inserting: Option<Rc<Table>>,
    /// Line in which the statement begins.
    statement: u64,
    /// Rows of tables that are not wanted, and values of columns that are not carried (database, table, column).
    left: BTreeMap<(String, String, String), u64>,
    /// Of SET NAMES.
    charset: String,
    /// Rows with bytes beyond ASCII in a carried column, by table's and dump's character set.
    foreign: BTreeMap<(String, String), u64>,
}

/// What a dump is read from.
pub(super) type Source = BufReader<Box<dyn Read>>;

impl Dump<Source> {
    /// Begins to read a file, or standard input for `-`.
    ///
    /// # Errors
    /// If it cannot be opened, or is compressed.
    pub(super) fn open(path: &Path, carries: Carries) -> Result<Self, Failure> {
        let (name, source): (_, Box<dyn Read>) = if path.as_os_str() == "-" {
            ("standard input".to_owned(), Box::new(io::stdin()))
        } else {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
            (name, Box::new(file))
        };
        Self::new(name, BufReader::with_capacity(1 << 16, source), carries)
    }
}

impl<R: BufRead> Dump<R> {
    fn new(file: String, source: R, carries: Carries) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(source);
        let first = lexer.peek().map_err(|error| Failure::temporary(format!("{file}: {error}")))?;
        if matches!(first, Some(0x1F | 0x28 | 0xFD)) {
            let what =
                "is not the text that mysqldump writes; is it compressed? (zcat FILE | qmail-lookup import ... -)";
            return Err(Failure::usage(format!("{file}: {what}")));
        }
        Ok(Self {
            file,
            lexer,
            carries,
            database: String::new(),
            known: BTreeMap::new(),
            seen: BTreeMap::new(),
            inserting: None,
            statement: 1,
            left: BTreeMap::new(),
            charset: String::new(),
            foreign: BTreeMap::new(),
        })
    }

    /// The next row of a table that is wanted; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, is cut off, or holds something else.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Failure> {
        loop {
            if let Some(table) = self.inserting.clone() {
                let cells = self.row(&table)?;
                self.count(&table, &cells);
                if table.is_wanted {
                    return Ok(Some(Row { table, cells }));
                }
            } else if !self.statement()? {
                return Ok(None);
            }
        }
    }

    /// Notes what of a row is left behind.
    fn count(&mut self, table: &Table, cells: &[Cell]) {
        let mut add = |column: &str| {
            let place = (table.database.clone(), table.name.clone(), column.to_owned());
            *self.left.entry(place).or_default() += 1;
        };
        if !table.is_wanted {
            return add("");
        }
        let mut is_foreign = false;
        let columns = table.columns.iter().zip(&table.defaults).zip(&table.is_carried);
        for (((column, default), is_carried), cell) in columns.zip(cells) {
            let holds = cell.as_ref().filter(|bytes| !bytes.is_empty() && bytes.as_slice() != b"0");
            if !is_carried && holds.is_some() && cell != default {
                add(column);
            }
            is_foreign |= *is_carried && holds.is_some_and(|bytes| !bytes.is_ascii());
        }
        if is_foreign {
            let place = (table.database.clone(), table.name.clone());
            let own = self.known.get(&place).map(|known| known.charset.clone()).unwrap_or_default();
            *self.foreign.entry((own, self.charset.clone())).or_default() += 1;
        }
    }

    /// Says what was left behind. To be called at the end of the rows.
    ///
    /// # Errors
    /// If none of the wanted tables was there, or the file was cut off.
    pub(super) fn finish(self, wanted: &str, losses: &mut Losses) -> Result<(), Failure> {
        let name = |database: &str, table: &str| {
            if database.is_empty() { table.to_owned() } else { format!("{database}.{table}") }
        };
        if !self.seen.values().any(|is_wanted| *is_wanted) {
            let have: Vec<_> = self.seen.keys().map(|(database, table)| name(database, table)).take(20).collect();
            let have = if have.is_empty() { "no table".to_owned() } else { have.join(", ") };
            return Err(Failure::usage(format!("{}: {wanted} expected, and the dump has {have}", self.file)));
        }
        if !self.lexer.has_trailer {
            if self.lexer.has_header {
                let why = "cut off: the line \"-- Dump completed\" is missing at its end; dump again";
                return Err(Failure::usage(format!("{}: {why}", self.file)));
            }
            let why = "the dump has no comments, so nothing shows that it is whole; compare the number of rows";
            losses.add(&self.file, why);
        }
        for ((own, dump), rows) in &self.foreign {
            let is_utf8 = |name: &str| name.starts_with("utf8");
            if dump == own || dump == "binary" || (is_utf8(dump) && is_utf8(own)) {
                continue;
            }
            let [own, dump] = [own, dump].map(|name| if name.is_empty() { "not named" } else { name });
            losses.add(
                format!("{rows} rows with bytes beyond ASCII"),
                format!(
                    "character set of the table: {own}, of the dump: {dump}; the bytes are those of the dump. If homes \
                     have other bytes on disk, dump again with --default-character-set=binary"
                ),
            );
        }
        for ((database, table, column), count) in &self.left {
            let table = name(database, table);
            let (what, why) = match column.as_str() {
                "" => (format!("table {table}"), format!("{count} rows, which are not carried over")),
                _ => (format!("table {table}, column {column}"), format!("{count} values, which are not carried over")),
            };
            losses.add(what, why);
        }
        Ok(())
    }

    fn trouble(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::InvalidData => self.wrong("", &error.to_string()),
            io::ErrorKind::UnexpectedEof => self.cut(),
            _ => Failure::temporary(format!("{}: {error}", self.file)),
        }
    }

    /// The file ends within a statement.
    fn cut(&self) -> Failure {
        let what = format!("cut off: the statement that begins in line {} does not end; dump again", self.statement);
        Failure::usage(format!("{}: {what}", self.file))
    }

    /// Something else stands where the reader is.
    pub(super) fn wrong(&self, table: &str, expected: &str) -> Failure {
        let table = if table.is_empty() { String::new() } else { format!("table {table}: ") };
        Failure::usage(format!("{}:{}: {table}{expected}", self.file, self.lexer.line))
    }
}

/// A name as it is compared.
fn lower(name: &[u8]) -> String {
    text(name).to_ascii_lowercase()
}
