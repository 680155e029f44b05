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
use super::source;
use crate::output::{Failure, text};
use lexer::Lexer;
use qmail_lookup_core::Cell;
use statements::Known;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Columns that the statement does not name, and what stands in them then.
    unlisted: Vec<(String, Cell)>,
    /// Whether the importer takes the column, or loses nothing without it.
    is_carried: Vec<bool>,
    is_wanted: bool,
}

impl Table {
    /// True if it has all these columns.
    pub(super) fn has(&self, columns: &[&str]) -> bool {
        let has = |name: &&str| {
            self.columns.iter().any(|own| own == name) || self.unlisted.iter().any(|(own, _)| own == name)
        };
        columns.iter().all(has)
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
        let Some(at) = self.table.columns.iter().position(|own| own == column) else {
            let (_, default) = self.table.unlisted.iter().find(|(own, _)| own == column)?;
            return default.as_deref();
        };
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
    /// How many rows came of each table that is wanted, by name.
    rows: BTreeMap<String, u64>,
    /// The table whose rows are being read.
    inserting: Option<Rc<Table>>,
    /// Line in which the statement begins.
    statement: u64,
    /// Rows of tables that are not wanted, and values of columns that are not carried (database, table, column).
    left: BTreeMap<(String, String, String), u64>,
    /// Of SET NAMES.
    charset: String,
    /// Rows of which a carried column may have other bytes in the database, by its character set and the dump's.
    foreign: BTreeMap<(String, String), u64>,
}

/// What a dump is read from.
pub(super) type Source = BufReader<Box<dyn Read>>;

impl Dump<Source> {
    /// Begins to read a file, or standard input for `-`.
    ///
    /// # Errors
    /// If it cannot be opened, or is compressed, or is in UTF-16.
    pub(super) fn open(path: &Path, carries: Carries) -> Result<Self, Failure> {
        let (name, source) = source::open(path)?;
        Self::new(name, BufReader::with_capacity(1 << 16, source), carries)
    }
}

impl<R: BufRead> Dump<R> {
    fn new(file: String, source: R, carries: Carries) -> Result<Self, Failure> {
        let mut lexer = Lexer::new(source);
        let first = lexer.first().map_err(|error| Failure::temporary(format!("{file}: {error}")))?;
        if matches!(first, [0xFE, 0xFF, _] | [0xFF, 0xFE, _]) {
            let what =
                "is in UTF-16, as Windows' > writes it; dump again with --result-file, or convert it: iconv -f UTF-16";
            return Err(Failure::usage(format!("{file}: {what}")));
        }
        if first == [0xEF, 0xBB, 0xBF] {
            lexer.skip_mark();
        }
        if matches!(first, [0x1F | 0x28 | 0xFD, ..] | [b'B', b'Z', b'h'] | [b'P', b'K', 3]) {
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
            rows: BTreeMap::new(),
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
        *self.rows.entry(table.name.clone()).or_default() += 1;
        let place = (table.database.clone(), table.name.clone());
        let known = self.known.get(&place);
        let mut foreign = BTreeSet::new();
        let columns = table.columns.iter().zip(&table.defaults).zip(&table.is_carried);
        for (((column, default), is_carried), cell) in columns.zip(cells) {
            let holds = cell.as_ref().filter(|bytes| !bytes.is_empty() && bytes.as_slice() != b"0");
            if !is_carried && holds.is_some() && cell != default {
                add(column);
            }
            let own = known.map(|known| known.charset(column)).unwrap_or_default();
            if *is_carried && holds.is_some_and(|bytes| may_differ(bytes, own, &self.charset)) {
                foreign.insert(own.to_owned());
            }
        }
        for own in foreign {
            *self.foreign.entry((own, self.charset.clone())).or_default() += 1;
        }
    }

    /// How many rows a table that is wanted has; `None` if the dump does not have it.
    pub(super) fn rows_of(&self, table: &str) -> Option<u64> {
        self.rows.get(table).copied()
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
        if self.lexer.has_strays {
            let why = "a part of it has no comments, so nothing shows that it is whole; compare the number of rows";
            losses.add(&self.file, why);
        }
        for ((own, dump), rows) in &self.foreign {
            let [own, dump] = [own, dump].map(|name| if name.is_empty() { "not named" } else { name });
            losses.add(
                format!("{rows} rows with bytes beyond ASCII, or with ? that may stand for them"),
                format!(
                    "character set of the column: {own}, of the dump: {dump}; the bytes are those of the dump. If homes \
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

/// True if a value that is `bytes` in a dump in character set `dump` may be others in a column of character set `own`.
/// Both are empty if they are not known.
fn may_differ(bytes: &[u8], own: &str, dump: &str) -> bool {
    // What the dump's character set does not have is a question mark in it.
    let (beyond, marked) = (!bytes.is_ascii(), bytes.contains(&b'?'));
    let old = |name: &str| matches!(name, "utf8" | "utf8mb3");
    match (own, dump) {
        ("binary", _) | (_, "binary") => false,
        ("", _) | (_, "") => beyond,
        _ if own == dump || (old(own) && (old(dump) || dump == "utf8mb4")) => false,
        (_, "utf8mb4") => beyond,
        ("utf8mb4", _) if old(dump) => marked,
        _ => beyond || marked,
    }
}

/// A name as it is compared.
fn lower(name: &[u8]) -> String {
    text(name).to_ascii_lowercase()
}
