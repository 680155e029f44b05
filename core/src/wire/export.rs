//! What `qmail-lookup export` writes: one row a line (docs/export.md).

use crate::catalog::{Table, TableRow};
use crate::lint::key_of;
use crate::mailbox::Cell;
use std::fmt;

/// The first line. Another version has another number.
pub const FIRST: &[u8] = b"# qmail-lookup export 1";

/// The second line of a text that was written without passwords.
pub const WITHOUT_PASSWORDS: &[u8] = b"# without passwords";

/// Longest line that is written and read, its newline included. Unit: bytes. Source: ours; a cell of 16 MiB is no address, path or program.
pub const LINE_MAX: usize = 64 << 20;

/// Place of the password among the cells of table mailbox.
const PASSWORD: usize = 4;

/// Writes rows as lines. The same rows in the same order give the same bytes.
#[derive(Debug)]
pub struct Writer {
    passwords: bool,
    /// How many of [`Table::ALL`] have their heading.
    headed: usize,
    rows: u64,
    line_max: usize,
}

/// A row whose line no reader takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its table.
    pub table: Table,
    /// The beginning of its key, for people.
    pub key: String,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, key } = self;
        write!(
            f,
            "table {table}, row {key}: its line would be longer than 64 MiB, and could not be imported: shorten it"
        )
    }
}

impl std::error::Error for TooLong {}

impl Writer {
    /// Begins a text in `out`; without `passwords` each of them is written as NULL, and a line says so.
    #[must_use]
    pub fn new(passwords: bool, out: &mut Vec<u8>) -> Self {
        for line in [Some(FIRST), (!passwords).then_some(WITHOUT_PASSWORDS)].into_iter().flatten() {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        Self { passwords, headed: 0, rows: 0, line_max: LINE_MAX }
    }

    /// Adds a row to `out`. Rows come table by table in the order of [`Table::ALL`].
    ///
    /// # Errors
    /// If its line would be longer than [`LINE_MAX`]; it is not added then.
    pub fn row(&mut self, row: &TableRow, out: &mut Vec<u8>) -> Result<(), TooLong> {
        const SHOWN: usize = 100;
        let table = row.table();
        self.head(Table::ALL.iter().position(|one| *one == table).map_or(0, |at| at + 1), out);
        let begin = out.len();
        out.extend_from_slice(table.name().as_bytes());
        for (at, cell) in row.cells().into_iter().enumerate() {
            out.push(b'\t');
            let hidden = !self.passwords && table == Table::Mailbox && at == PASSWORD;
            match cell.filter(|_| !hidden) {
                Some(bytes) => escape(bytes, out),
                None => out.extend_from_slice(b"\\N"),
            }
        }
        out.push(b'\n');
        if out.len() - begin > self.line_max {
            out.truncate(begin);
            return Err(TooLong { table, key: key_of(row).chars().take(SHOWN).collect() });
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends the text.
    pub fn end(mut self, out: &mut Vec<u8>) {
        self.head(Table::ALL.len(), out);
        out.extend_from_slice(format!("# end {} rows\n", self.rows).as_bytes());
    }

    fn head(&mut self, wanted: usize, out: &mut Vec<u8>) {
        for table in Table::ALL.iter().take(wanted).skip(self.headed) {
            out.extend_from_slice(&heading(*table));
            out.push(b'\n');
        }
        self.headed = self.headed.max(wanted);
    }
}

/// `# TABLE` and its columns, between tabs.
fn heading(table: Table) -> Vec<u8> {
    format!("# {table}\t{}", table.columns().join("\t")).into_bytes()
}

/// Writes a cell: what can be seen stays as it is, other bytes become `\xHH`.
fn escape(cell: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    for chunk in cell.utf8_chunks() {
        for c in chunk.valid().chars() {
            let (begin, end) = (at, at + c.len_utf8());
            // A blank at an end would be invisible, and editors take it away.
            let outer = c == ' ' && (begin == 0 || end == cell.len());
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                _ if outer || is_hidden(c) => hex(c.encode_utf8(&mut [0; 4]).as_bytes(), out),
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            at = end;
        }
        hex(chunk.invalid(), out);
        at += chunk.invalid().len();
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
    }
}

/// What a person would not see, or would see in another place: control characters, marks that turn text around, blanks
/// other than the plain one. The list is fixed, so that no release writes other bytes than the one before.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1F' | '\x7F'..='\u{A0}' | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{1680}'
        | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{2000}'..='\u{200F}' | '\u{2028}'..='\u{202F}'
        | '\u{205F}'..='\u{206F}' | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{E000}'..='\u{F8FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..)
}

/// A text that `export` did not write, or that was cut off or changed. Never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, the table's name is the first; `None` if it is about the whole line.
    pub field: Option<usize>,
    /// Name of the column, if it is about one.
    pub column: Option<&'static str>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = self.field {
            write!(f, ", field {field}")?;
        }
        if let Some(column) = self.column {
            write!(f, " ({column})")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Wrong {}

const CR_LF: &str = "the line ends in CR LF, as on Windows: take the CRs away";

/// Reads lines as rows.
#[derive(Debug, Default)]
pub struct Reader {
    line: u64,
    without_passwords: bool,
    headed: Vec<Table>,
    rows: u64,
    ended: bool,
}

impl Reader {
    /// One that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True if the text says that it was written without passwords.
    #[must_use]
    pub fn without_passwords(&self) -> bool {
        self.without_passwords
    }

    /// Takes the next line with the newline at its end; gives its row if it is one.
    ///
    /// # Errors
    /// If it is not what `export` writes there.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<TableRow>, Wrong> {
        self.line += 1;
        let cut = "the line is cut off: the file is not complete; export again";
        let line = line.strip_suffix(b"\n").ok_or_else(|| self.wrong(cut))?;
        if self.line == 1 {
            return self.first(line).map(|()| None);
        }
        if self.ended {
            return Err(self.wrong("nothing may stand behind the line '# end'"));
        }
        if line.ends_with(b"\r") {
            return Err(self.wrong(CR_LF));
        }
        if line.first() == Some(&b'#') { self.comment(line).map(|()| None) } else { self.row(line).map(Some) }
    }

    /// Nothing follows the last line.
    ///
    /// # Errors
    /// If it was not the last one of a whole text.
    pub fn end(&self) -> Result<(), Wrong> {
        let cut = "the file ends here without a line '# end': it is not complete; export again";
        if self.ended { Ok(()) } else { Err(self.wrong(cut)) }
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { line: self.line, field: None, column: None, what: what.into() }
    }

    fn first(&self, line: &[u8]) -> Result<(), Wrong> {
        if line == FIRST {
            return Ok(());
        }
        if line.strip_suffix(b"\r") == Some(FIRST) {
            return Err(self.wrong(CR_LF));
        }
        let (all, version) = (FIRST.strip_suffix(b"1").unwrap_or(FIRST), "of another version: use its qmail-lookup");
        let foreign = "not what `qmail-lookup export` writes: the first line must be '# qmail-lookup export 1'";
        Err(self.wrong(if line.starts_with(all) { version } else { foreign }))
    }

    fn comment(&mut self, line: &[u8]) -> Result<(), Wrong> {
        if line == WITHOUT_PASSWORDS && self.line == 2 {
            self.without_passwords = true;
            return Ok(());
        }
        if let Some(table) = Table::ALL.into_iter().find(|table| line == heading(*table)) {
            self.headed.push(table);
            return Ok(());
        }
        let count = line.strip_prefix(b"# end ").and_then(|rest| rest.strip_suffix(b" rows"));
        let Some(count) = count else {
            return Err(self.wrong("a comment that `export` does not write"));
        };
        if count != self.rows.to_string().as_bytes() {
            let rows = self.rows;
            return Err(self.wrong(format!("there are {rows} rows before it, and the line names another number")));
        }
        self.ended = true;
        Ok(())
    }

    fn row(&mut self, line: &[u8]) -> Result<TableRow, Wrong> {
        let mut fields = line.split(|&b| b == b'\t');
        let name = fields.next().unwrap_or_default();
        let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == name);
        let at = |field, column, what: &str| Wrong { field: Some(field), column, ..self.wrong(what) };
        let table = table.ok_or_else(|| at(1, None, "no name of a table: mailbox, alias, virtual or rcpthosts"))?;
        if !self.headed.contains(&table) {
            return Err(at(1, None, "the line with the names of the table's columns does not stand before it"));
        }
        let columns = table.columns();
        let found = fields.clone().count();
        if found != columns.len() {
            let wanted = columns.len();
            return Err(self.wrong(format!("{found} cells, and table {table} has {wanted}; tabs separate them")));
        }
        let cells = fields
            .zip(columns)
            .enumerate()
            .map(|(place, (field, column))| unescape(field).map_err(|what| at(place + 2, Some(*column), what)));
        let row = TableRow::from_cells(table, cells.collect::<Result<Vec<_>, _>>()?);
        if let TableRow::Mailbox(mailbox) = &row
            && self.without_passwords
            && mailbox.password.is_some()
        {
            let what = "a password, and the second line says that there are none";
            return Err(at(PASSWORD + 2, columns.get(PASSWORD).copied(), what));
        }
        self.rows += 1;
        Ok(row)
    }
}

/// The cell that `field` is.
fn unescape(field: &[u8]) -> Result<Cell, &'static str> {
    const ESCAPES: &str = r"a backslash begins \\, \t, \n, \xHH or, alone, \N";
    if field == b"\\N" {
        return Ok(None);
    }
    let text = std::str::from_utf8(field).map_err(|_| r"no UTF-8: other bytes are written as \xHH")?;
    // Never longer than what stands there, so that no part of a password is left behind in freed memory.
    let mut cell = Vec::with_capacity(field.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            if is_hidden(c) {
                return Err(r"a character that cannot be seen: it is written as \xHH");
            }
            cell.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        cell.push(match chars.next() {
            Some('\\') => b'\\',
            Some('t') => b'\t',
            Some('n') => b'\n',
            Some('x') => {
                let mut digit = || chars.next().and_then(|digit| digit.to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(ESCAPES) };
                u8::try_from(high * 16 + low).map_err(|_| ESCAPES)?
            }
            _ => return Err(ESCAPES),
        });
    }
    Ok(Some(cell))
}

#[cfg(test)]
mod tests;
