//! What the tables of a store can hold. One data set serves every store, so a table that refuses a row (a primary
//! key, an enum, a narrow column, a small character set) has to say so, and holds the rest.

use qmail_lookup_core::{Cell, Table, TableRow};
use std::collections::BTreeSet;

/// What text columns can hold, and in which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Text {
    /// ASCII only.
    Ascii,
    /// ISO 8859-1, one byte a character.
    Latin1,
    /// UTF-8 of at most three bytes a character.
    Bmp,
    /// UTF-8.
    Unicode,
    /// Any bytes.
    Bytes,
}

impl Text {
    /// `bytes`, given in UTF-8 where they are text, as such a column stores them; `None` if it cannot.
    #[must_use]
    pub fn store(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(bytes).ok();
        let kept = match self {
            Self::Ascii => bytes.is_ascii(),
            Self::Latin1 => return text?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
            Self::Bmp => text?.chars().all(|c| u32::from(c) <= 0xFFFF),
            Self::Unicode => text.is_some(),
            Self::Bytes => true,
        };
        kept.then(|| bytes.to_vec())
    }
}

/// What uid and gid columns can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Whole numbers from the first to the second.
    Range(i64, i64),
    /// Anything.
    Any,
}

impl Ids {
    /// `int unsigned`.
    pub const UNSIGNED: Self = Self::Range(0, 0xFFFF_FFFF);
    /// `int`.
    pub const SIGNED: Self = Self::Range(-0x8000_0000, 0x7FFF_FFFF);
    /// What the documented SQLite tables check for.
    pub const CHECKED: Self = Self::Range(0, 0xFFFF_FFFE);

    fn holds(self, cell: &[u8]) -> bool {
        let Self::Range(from, to) = self else { return true };
        let number = std::str::from_utf8(cell).ok().and_then(|digits| digits.parse::<i64>().ok());
        // Spelled otherwise ("007") it would come back otherwise.
        number.is_some_and(|n| n.to_string().as_bytes() == cell && (from..=to).contains(&n))
    }
}

/// What a case needs a table to hold. Cases that need more than a store's tables can hold are not built for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// NULL in columns that may be blank.
    Nulls,
    /// Two mailbox rows for one name.
    Duplicates,
    /// Letters of ISO 8859-1 in keys.
    Latin1Keys,
    /// Letters of any script in keys.
    UnicodeKeys,
    /// Letters of any script in values.
    UnicodeValues,
    /// Any bytes in keys.
    ByteKeys,
    /// Numbers out of range, or no numbers at all, in uid and gid.
    FreeIds,
    /// uid and gid up to 2^32-2.
    LargeIds,
    /// Any word in suspended and password_type.
    FreeWords,
    /// Columns suspended and password_type.
    LoginColumns,
    /// Rows without an owner.
    EmptyNames,
    /// Names of 128 bytes.
    WideNames,
    /// A primary key that refuses a second row.
    Unique,
    /// Column seq.
    Seq,
    /// No column seq.
    NoSeq,
}

/// What the tables of a store can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Key columns.
    pub keys: Text,
    /// Home, instructions, passwords.
    pub values: Text,
    /// NULL can be stored.
    pub nulls: bool,
    /// The key of mailbox and rcpthosts is a primary key.
    pub unique: bool,
    /// uid and gid.
    pub ids: Ids,
    /// suspended and password_type hold any word, not the documented ones only.
    pub free_words: bool,
    /// Columns suspended and password_type are there.
    pub login_columns: bool,
    /// Column username may be empty.
    pub empty_names: bool,
    /// Homes and hosts may be empty.
    pub empty_values: bool,
    /// Longest name. Unit: bytes.
    pub width: usize,
    /// Column seq is there.
    pub seq: bool,
}

impl Shape {
    /// Holds everything.
    #[must_use]
    pub fn anything() -> Self {
        Self {
            keys: Text::Bytes,
            values: Text::Bytes,
            nulls: true,
            unique: false,
            ids: Ids::Any,
            free_words: true,
            login_columns: true,
            empty_names: true,
            empty_values: true,
            width: 255,
            seq: true,
        }
    }

    /// The documented tables: ASCII keys, primary keys, enums, nothing NULL, names of 32 bytes.
    #[must_use]
    pub fn documented() -> Self {
        Self {
            keys: Text::Ascii,
            values: Text::Unicode,
            nulls: false,
            unique: true,
            ids: Ids::UNSIGNED,
            free_words: false,
            login_columns: true,
            empty_names: true,
            empty_values: true,
            width: 32,
            seq: false,
        }
    }

    /// The documented tables, widened and with column seq.
    #[must_use]
    pub fn with_seq() -> Self {
        Self { width: 128, seq: true, ..Self::documented() }
    }

    /// True if the tables hold what a case needs.
    #[must_use]
    pub fn allows(&self, need: Need) -> bool {
        match need {
            Need::Nulls => self.nulls,
            Need::Duplicates => !self.unique,
            Need::Latin1Keys => self.keys >= Text::Latin1,
            Need::UnicodeKeys => self.keys >= Text::Unicode,
            Need::UnicodeValues => self.values >= Text::Unicode,
            Need::ByteKeys => self.keys == Text::Bytes,
            Need::FreeIds => self.ids == Ids::Any,
            Need::LargeIds => self.ids.holds(b"4294967294"),
            Need::FreeWords => self.free_words && self.login_columns,
            Need::LoginColumns => self.login_columns,
            Need::EmptyNames => self.empty_names,
            Need::WideNames => self.width >= 128,
            Need::Unique => self.unique,
            Need::Seq => self.seq,
            Need::NoSeq => !self.seq,
        }
    }

    /// `all` as these tables hold them: rows they refuse left out, columns they lack blanked.
    #[must_use]
    pub fn rows(&self, all: &[TableRow]) -> Vec<TableRow> {
        let mut taken = BTreeSet::new();
        let fits = all.iter().filter_map(|row| self.store(row));
        fits.filter(|row| !self.unique || row.key_columns_unique().is_none_or(|key| taken.insert(key))).collect()
    }

    /// One row as these tables hold it; `None` if they refuse it.
    #[must_use]
    pub fn store(&self, row: &TableRow) -> Option<TableRow> {
        let table = row.table();
        let mut cells = Vec::new();
        for (column, cell) in table.columns().iter().zip(row.cells()) {
            cells.push(self.cell(column, cell)?);
        }
        Some(TableRow::from_cells(table, cells))
    }

    fn cell(&self, column: &str, cell: Option<&[u8]>) -> Option<Cell> {
        match column {
            "seq" if !self.seq => return Some(None),
            "suspended" | "password_type" if !self.login_columns => return Some(None),
            _ => {}
        }
        let Some(bytes) = cell else { return self.nulls.then_some(None) };
        let fits = match column {
            "uid" | "gid" => self.ids.holds(bytes),
            "suspended" => self.free_words || matches!(bytes, b"N" | b"Y"),
            "password_type" => self.free_words || DOCUMENTED_TYPES.contains(&bytes),
            "username" if bytes.is_empty() => self.empty_names,
            "home" | "host" | "virtual_host" if bytes.is_empty() => self.empty_values,
            "username" | "alias" | "virtual_username" | "ext" => bytes.len() <= self.width,
            _ => true,
        };
        let text = match column {
            "username" | "alias" | "virtual_username" | "virtual_host" | "ext" | "host" => self.keys,
            _ => self.values,
        };
        if fits { text.store(bytes).map(Some) } else { None }
    }
}

const DOCUMENTED_TYPES: [&[u8]; 3] = [b"Password", b"Crypt-Password", b"MySQL-Password"];

trait UniqueKey {
    fn key_columns_unique(&self) -> Option<(Table, Vec<u8>)>;
}

impl UniqueKey for TableRow {
    /// The key as the strictest primary key sees it: case folded, trailing blanks ignored.
    fn key_columns_unique(&self) -> Option<(Table, Vec<u8>)> {
        let table = self.table();
        if !matches!(table, Table::Mailbox | Table::Rcpthosts) {
            return None;
        }
        let key = self.cells().first().copied().flatten().unwrap_or_default();
        Some((table, key.trim_ascii_end().to_ascii_lowercase()))
    }
}
