//! Statements of a dump: those that make tables, those that hold rows, and the few that change what the others mean.

use super::lexer::{Lexer, Token, VALUE_MAX};
use super::{Dump, Table, lower};
use crate::output::Failure;
use qmail_lookup_core::Cell;
use std::io::BufRead;
use std::rc::Rc;

/// What CREATE TABLE says of a table.
#[derive(Debug, Default)]
pub(super) struct Known {
    columns: Vec<Column>,
    /// The character set of its text, in lower case; empty if it is not said.
    charset: String,
}

impl Known {
    /// The character set that the column is stored in: `binary` if it holds no text, empty if it is not said.
    pub(super) fn charset(&self, column: &str) -> &str {
        let own = self.columns.iter().find(|own| own.name == column);
        own.and_then(|own| own.charset.as_deref()).unwrap_or(&self.charset)
    }
}

/// Types of columns that have a character set.
const TEXT: [&str; 9] = ["CHARACTER", "CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET"];

#[derive(Debug, Default)]
struct Column {
    name: String,
    default: Cell,
    is_computed: bool,
    /// `None` if it has the table's.
    charset: Option<String>,
}

/// What an item of CREATE TABLE begins with if it is no column.
const NO_COLUMN: [&str; 11] =
    ["PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK", "PERIOD", "LIKE"];

impl<R: BufRead> Dump<R> {
    fn token(&mut self) -> Result<Token, Failure> {
        Lexer::next(&mut self.lexer).map_err(|error| self.trouble(&error))
    }

    /// The next word; a file that ends here is cut off.
    fn inside(&mut self) -> Result<Token, Failure> {
        match self.token()? {
            Token::End => Err(self.cut()),
            token => Ok(token),
        }
    }

    fn skip(&mut self) -> Result<(), Failure> {
        while self.inside()? != Token::Symbol(b';') {}
        Ok(())
    }

    /// Reads the next statement, up to its first row if it holds rows. False at the end of the file.
    pub(super) fn statement(&mut self) -> Result<bool, Failure> {
        let first = self.token()?;
        self.statement = self.lexer.line;
        match first {
            Token::End => return Ok(false),
            Token::Symbol(b';') => {}
            word if word.is("DELIMITER") => {
                if !self.lexer.skip_other_delimiter().map_err(|error| self.trouble(&error))? {
                    return Err(self.cut());
                }
            }
            word if word.is("CREATE") => self.create()?,
            word if word.is("COPY") || word.is("LOAD") => {
                let what = "rows that are no INSERT statements (COPY, LOAD DATA) cannot be read; dump with mysqldump or \
                            mariadb-dump, and without --tab";
                return Err(self.wrong("", what));
            }
            word if word.is("INSERT") || word.is("REPLACE") => self.insert()?,
            word if word.is("USE") => {
                let token = self.inside()?;
                self.database = self.name(token)?;
                self.skip()?;
            }
            word if word.is("SET") => {
                let is_names = self.inside()?;
                if is_names == Token::Symbol(b';') {
                    return Ok(true);
                }
                if is_names.is("NAMES") {
                    let token = self.inside()?;
                    self.charset = self.name(token)?;
                }
                self.skip()?;
            }
            _ => self.skip()?,
        }
        Ok(true)
    }

    /// A name, in lower case.
    fn name(&self, token: Token) -> Result<String, Failure> {
        match token {
            Token::Word(name) | Token::Name(name) | Token::Text(name) => Ok(lower(&name)),
            _ => Err(self.wrong("", "a name is expected here")),
        }
    }

    /// `NAME` or `DATABASE.NAME`, and what stands behind it.
    fn place(&mut self, first: Token) -> Result<((String, String), Token), Failure> {
        let mut name = self.name(first)?;
        let mut database = self.database.clone();
        let mut next = self.inside()?;
        if next == Token::Symbol(b'.') {
            let token = self.inside()?;
            database = std::mem::replace(&mut name, self.name(token)?);
            next = self.inside()?;
        }
        Ok(((database, name), next))
    }

    fn create(&mut self) -> Result<(), Failure> {
        let mut token = self.inside()?;
        while ["OR", "REPLACE", "TEMPORARY"].iter().any(|word| token.is(word)) {
            token = self.inside()?;
        }
        if !token.is("TABLE") {
            return if token == Token::Symbol(b';') { Ok(()) } else { self.skip() };
        }
        token = self.inside()?;
        while ["IF", "NOT", "EXISTS"].iter().any(|word| token.is(word)) {
            token = self.inside()?;
        }
        let (place, mut token) = self.place(token)?;
        if self.known.contains_key(&place) && self.seen.get(&place) == Some(&true) {
            let what = "it is made twice: the file is of two dumps, or two tables differ by capitals only";
            return Err(self.wrong(&place.1, what));
        }
        let mut known = Known::default();
        if token == Token::Symbol(b'(') {
            while self.item(&mut known)? {}
            token = self.inside()?;
        }
        // Options: `DEFAULT CHARSET=latin1`.
        while token != Token::Symbol(b';') {
            let is_charset = token.is("CHARSET");
            token = self.inside()?;
            if is_charset && token == Token::Symbol(b'=') {
                token = self.inside()?;
                if let Token::Word(name) = &token {
                    known.charset = lower(name);
                }
            }
        }
        self.known.insert(place.clone(), known);
        self.table(place, None).map(drop)
    }

    /// One item of CREATE TABLE's list; false if it was the last.
    fn item(&mut self, known: &mut Known) -> Result<bool, Failure> {
        let first = self.inside()?;
        let is_column = match &first {
            Token::Name(_) | Token::Text(_) => true,
            word => !NO_COLUMN.iter().any(|keyword| word.is(keyword)),
        };
        let mut column = Column { name: self.name(first)?, ..Column::default() };
        let (mut depth, mut is_default) = (0_u32, false);
        let (mut is_type, mut last) = (true, Token::End);
        let is_last = loop {
            let token = self.inside()?;
            if std::mem::take(&mut is_type) && !TEXT.iter().any(|text| token.is(text)) {
                column.charset = Some("binary".to_owned());
            }
            if let (true, 0, Token::Word(name)) = (last.is("SET") || last.is("COLLATE"), depth, &token) {
                // `CHARACTER SET latin1`; or only a collation of it, `latin1_bin`.
                let name = lower(name);
                column.charset = Some(name.split('_').next().unwrap_or_default().to_owned());
            }
            match &token {
                Token::Symbol(b'(') => depth += 1,
                Token::Symbol(b')') if depth == 0 => break true,
                Token::Symbol(b')') => depth -= 1,
                Token::Symbol(b',') if depth == 0 => break false,
                Token::Word(value) | Token::Text(value) if is_default => {
                    column.default = (!token.is("NULL")).then(|| value.clone());
                }
                Token::Word(_) if depth == 0 => column.is_computed |= token.is("GENERATED") || token.is("AS"),
                _ => {}
            }
            is_default = depth == 0 && token.is("DEFAULT");
            last = token;
        };
        if is_column {
            known.columns.push(column);
        }
        Ok(!is_last)
    }

    /// The table at `place` with its columns, in the order in which they are `listed` if they are.
    fn table(&mut self, place: (String, String), listed: Option<Vec<String>>) -> Result<Table, Failure> {
        let known = self.known.get(&place);
        let columns = match (listed, known) {
            (Some(columns), _) => columns,
            (None, Some(known)) => known.columns.iter().map(|column| column.name.clone()).collect(),
            (None, None) => {
                let what = "its columns are not named; dump with the tables' definitions, or with --complete-insert";
                return Err(self.wrong(&place.1, what));
            }
        };
        let default = |name: &String| known?.columns.iter().find(|column| column.name == *name)?.default.clone();
        let defaults = columns.iter().map(default).collect();
        let all = known.map(|known| known.columns.as_slice()).unwrap_or_default();
        let unlisted = all.iter().filter(|column| !columns.contains(&column.name));
        let unlisted = unlisted.map(|column| (column.name.clone(), column.default.clone())).collect();
        let mut table =
            Table { database: place.0.clone(), name: place.1.clone(), columns, defaults, unlisted, ..Table::default() };
        let carried = (self.carries)(&table);
        table.is_wanted = carried.is_some();
        // What the server computes is in other columns too.
        let is_computed = |name: &String| {
            known.is_some_and(|known| known.columns.iter().any(|own| own.is_computed && own.name == *name))
        };
        let is_carried =
            |name: &String| carried.is_some_and(|carried| carried.contains(&name.as_str())) || is_computed(name);
        table.is_carried = table.columns.iter().map(is_carried).collect();
        let other = self.seen.iter().find(|((database, _), wanted)| **wanted && *database != table.database);
        if let (true, Some(((other, _), _))) = (table.is_wanted, other) {
            let what = format!("the same tables stand in database {other} of this dump; dump one database alone");
            return Err(self.wrong(&format!("{}.{}", table.database, table.name), &what));
        }
        *self.seen.entry(place).or_default() |= table.is_wanted;
        if table.is_wanted {
            self.rows.entry(table.name.clone()).or_default();
        }
        Ok(table)
    }

    fn insert(&mut self) -> Result<(), Failure> {
        let mut token = self.inside()?;
        while ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"].iter().any(|word| token.is(word)) {
            token = self.inside()?;
        }
        let (place, mut token) = self.place(token)?;
        let mut listed = None;
        if token == Token::Symbol(b'(') {
            let columns: &mut Vec<String> = listed.insert(Vec::new());
            loop {
                let token = self.inside()?;
                columns.push(self.name(token)?);
                match self.inside()? {
                    Token::Symbol(b',') => {}
                    Token::Symbol(b')') => break,
                    _ => return Err(self.wrong(&place.1, "a comma or ) expected in its list of columns")),
                }
            }
            token = self.inside()?;
        }
        if !(token.is("VALUES") || token.is("VALUE")) {
            return Err(self.wrong(&place.1, "VALUES expected, as mysqldump writes it"));
        }
        let table = self.table(place, listed)?;
        if self.inside()? != Token::Symbol(b'(') {
            return Err(self.wrong(&table.name, "( expected before the values of a row"));
        }
        self.inserting = Some(Rc::new(table));
        Ok(())
    }

    /// The row whose `(` was read, and the `(` of the next if there is one.
    pub(super) fn row(&mut self, table: &Table) -> Result<Vec<Cell>, Failure> {
        let mut cells = Vec::new();
        let mut count = 0_usize;
        loop {
            let (cell, next) = self.value(table)?;
            count += 1;
            if table.is_wanted {
                cells.push(cell);
            }
            match next {
                Token::Symbol(b',') => {}
                Token::Symbol(b')') => break,
                _ => return Err(self.wrong(&table.name, "a comma or ) expected behind a value")),
            }
        }
        if count != table.columns.len() {
            let what = format!("{count} values in a row, and {} columns", table.columns.len());
            return Err(self.wrong(&table.name, &what));
        }
        match self.inside()? {
            Token::Symbol(b';') => self.inserting = None,
            Token::Symbol(b',') if self.inside()? == Token::Symbol(b'(') => {}
            _ => return Err(self.wrong(&table.name, "another row or ; expected behind a row")),
        }
        Ok(cells)
    }

    /// A value, and what stands behind it.
    fn value(&mut self, table: &Table) -> Result<(Cell, Token), Failure> {
        let unknown = "a value that is neither text, nor a number, nor NULL";
        let cell = match self.inside()? {
            Token::Text(text) => Some(text),
            Token::Long if table.is_wanted => {
                return Err(self.wrong(&table.name, &format!("a value of more than {VALUE_MAX} bytes")));
            }
            Token::Long => None,
            Token::Symbol(b'-') => match self.inside()? {
                Token::Word(number) if number.first().is_some_and(u8::is_ascii_digit) => {
                    let (number, next) = self.number(number)?;
                    return Ok((Some([b"-", &*number].concat()), next));
                }
                _ => return Err(self.wrong(&table.name, unknown)),
            },
            null if null.is("NULL") => None,
            Token::Word(word) if word.starts_with(b"0x") || word.starts_with(b"0X") => match from_hex(word.get(2..)) {
                Some(bytes) => Some(bytes),
                None => return Err(self.wrong(&table.name, "an even number of hexadecimal digits expected behind 0x")),
            },
            Token::Word(word) if word.first().is_some_and(u8::is_ascii_digit) => {
                let (number, next) = self.number(word)?;
                return Ok((Some(number), next));
            }
            Token::Word(word) => match self.inside()? {
                Token::Text(digits) if word.eq_ignore_ascii_case(b"x") => match from_hex(Some(&digits)) {
                    Some(bytes) => Some(bytes),
                    None => return Err(self.wrong(&table.name, "hexadecimal digits expected in x'...'")),
                },
                // `_binary 'text'`, `_utf8mb4 'text'`
                Token::Text(text) if word.starts_with(b"_") => Some(text),
                Token::Long if word.starts_with(b"_") && !table.is_wanted => None,
                _ => return Err(self.wrong(&table.name, unknown)),
            },
            _ => return Err(self.wrong(&table.name, unknown)),
        };
        Ok((cell, self.inside()?))
    }

    /// A number with the sign and the digits of its exponent, and what stands behind it.
    fn number(&mut self, mut number: Vec<u8>) -> Result<(Vec<u8>, Token), Failure> {
        let mut next = self.inside()?;
        if matches!(number.last(), Some(b'e' | b'E'))
            && let Token::Symbol(sign @ (b'+' | b'-')) = next
        {
            number.push(sign);
            if let Token::Word(digits) = self.inside()? {
                number.extend(digits);
            }
            next = self.inside()?;
        }
        Ok((number, next))
    }
}

fn from_hex(digits: Option<&[u8]>) -> Option<Vec<u8>> {
    let digits = digits?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?)).collect()
}
