//! The words of a dump, one at a time: however long a statement is, only one word of it is in memory.

use std::io::{self, BufRead, ErrorKind};

/// Longest value that is kept. Unit: bytes.
pub(super) const VALUE_MAX: usize = 1 << 20;

/// Bytes of a comment that are looked at: names of a host and of a database stand in one.
const COMMENT_MAX: usize = 1024;

/// Versions from here on stand for "never run this".
const NEVER: u32 = 999_999;

/// A word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Bare: a keyword, a name or a number.
    Word(Vec<u8>),
    /// In backticks.
    Name(Vec<u8>),
    /// In quotes, with its escapes undone.
    Text(Vec<u8>),
    /// In quotes, and longer than [`VALUE_MAX`].
    Long,
    /// Any other byte.
    Symbol(u8),
    /// There is no more.
    End,
}

impl Token {
    /// True if it is this keyword, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// See the module.
pub(super) struct Lexer<R> {
    source: R,
    /// Unit: lines, from 1.
    pub(super) line: u64,
    /// What `/*!` begins is read as if it stood outside of the comment.
    in_code: bool,
    /// A comment says that mysqldump or mariadb-dump made this.
    pub(super) has_header: bool,
    /// The last thing was the comment that ends such a dump.
    pub(super) has_trailer: bool,
    /// Such a dump has begun, and has not ended.
    is_within: bool,
    /// Statements stand outside of such a dump, and another dump follows them.
    pub(super) has_strays: bool,
    /// Something stands behind the last end, or behind the beginning of the file.
    has_more: bool,
    /// The database that the header names.
    database: Option<Vec<u8>>,
}

impl<R: BufRead> Lexer<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            line: 1,
            in_code: false,
            has_header: false,
            has_trailer: false,
            is_within: false,
            has_strays: false,
            has_more: false,
            database: None,
        }
    }

    /// The first bytes, three at most, which stay where they are.
    pub(super) fn first(&mut self) -> io::Result<[u8; 3]> {
        self.peek()?;
        let mut first = [0; 3];
        first.iter_mut().zip(self.source.fill_buf()?).for_each(|(to, from)| *to = *from);
        Ok(first)
    }

    /// Passes over the mark that some editors put before text in UTF-8.
    pub(super) fn skip_mark(&mut self) {
        self.source.consume(3);
    }

    /// The next byte, which stays where it is.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn bump(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.source.consume(1);
            self.line += u64::from(byte == b'\n');
        }
        Ok(byte)
    }

    fn bump_if(&mut self, wanted: u8) -> io::Result<bool> {
        let is_there = self.peek()? == Some(wanted);
        if is_there {
            self.bump()?;
        }
        Ok(is_there)
    }

    /// The next word; comments are passed over.
    pub(super) fn next(&mut self) -> io::Result<Token> {
        loop {
            let Some(byte) = self.bump()? else { return Ok(Token::End) };
            match byte {
                _ if byte.is_ascii_whitespace() => continue,
                b'#' => self.comment_line(&[])?,
                b'-' if self.bump_if(b'-')? => self.comment_line(b"--")?,
                b'/' if self.bump_if(b'*')? => self.comment()?,
                b'*' if self.in_code && self.bump_if(b'/')? => self.in_code = false,
                _ => {
                    self.has_trailer = false;
                    self.has_more = true;
                    return self.token(byte);
                }
            }
        }
    }

    fn token(&mut self, first: u8) -> io::Result<Token> {
        match first {
            b'\'' | b'"' => self.quoted(first),
            b'`' => Ok(match self.quoted(first)? {
                Token::Text(name) => Token::Name(name),
                other => other,
            }),
            _ if is_word(first) => {
                let mut word = vec![first];
                let is_number = first.is_ascii_digit();
                while let Some(byte) = self.peek()?.filter(|&b| is_word(b) || (is_number && b == b'.')) {
                    if word.len() == VALUE_MAX {
                        return Err(io::Error::new(ErrorKind::InvalidData, "a word without end"));
                    }
                    word.push(byte);
                    self.bump()?;
                }
                Ok(Token::Word(word))
            }
            _ => Ok(Token::Symbol(first)),
        }
    }

    /// What stands between quotes; [`Token::End`] if they are never closed.
    fn quoted(&mut self, quote: u8) -> io::Result<Token> {
        let (mut text, mut is_long) = (Vec::new(), false);
        loop {
            let Some(mut byte) = self.bump()? else { return Ok(Token::End) };
            if byte == quote && !self.bump_if(quote)? {
                return Ok(if is_long { Token::Long } else { Token::Text(text) });
            }
            if byte == b'\\' && quote != b'`' {
                let Some(escaped) = self.bump()? else { return Ok(Token::End) };
                byte = match escaped {
                    b'0' => 0,
                    b'b' => 8,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'Z' => 26,
                    b'%' | b'_' => {
                        // These two keep their backslash.
                        text.push(b'\\');
                        escaped
                    }
                    other => other,
                };
            }
            is_long |= text.len() == VALUE_MAX;
            if !is_long {
                text.push(byte);
            }
        }
    }

    /// The beginning of the rest of the line, which is passed over.
    fn rest_of_line(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while let Some(byte) = self.bump()?.filter(|&b| b != b'\n') {
            if text.len() < COMMENT_MAX {
                text.push(byte);
            }
        }
        Ok(text)
    }

    fn comment_line(&mut self, mark: &[u8]) -> io::Result<()> {
        let text = [mark, &self.rest_of_line()?].concat();
        if text.starts_with(b"-- Dump completed") {
            self.has_trailer = true;
            (self.is_within, self.has_more) = (false, false);
        }
        self.header(&text)
    }

    /// Looks at a line for the beginning of a dump.
    fn header(&mut self, line: &[u8]) -> io::Result<()> {
        let wrong = |what: &str| Err(io::Error::new(ErrorKind::InvalidData, what));
        if line.starts_with(b"-- MySQL dump") || line.starts_with(b"-- MariaDB dump") {
            if self.is_within {
                // The end of the line was read already.
                self.line = self.line.saturating_sub(1);
                return wrong("another dump begins here, and the one before it is cut off; dump again");
            }
            self.has_strays |= self.has_more;
            (self.has_header, self.is_within) = (true, true);
        }
        if let (true, Some(host)) = (self.is_within, line.strip_prefix(b"-- Host: ")) {
            const MARK: &[u8] = b"    Database: ";
            let at = host.windows(MARK.len()).position(|part| part == MARK);
            let name = at.and_then(|at| host.get(at + MARK.len()..)).unwrap_or_default().trim_ascii();
            if self.database.as_ref().is_some_and(|other| other != name) {
                return wrong("a dump of another database begins here; import them one at a time");
            }
            self.database = Some(name.to_vec());
        }
        Ok(())
    }

    /// Behind `/*`: passes over a comment, or over the beginning of one that is to be read.
    fn comment(&mut self) -> io::Result<()> {
        let is_mariadb = self.bump_if(b'M')?;
        if self.bump_if(b'!')? {
            let mut version = 0_u32;
            while let Some(digit) = self.peek()?.filter(u8::is_ascii_digit) {
                version = version.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
                self.bump()?;
            }
            if version < NEVER {
                self.in_code = true;
                return Ok(());
            }
        }
        let mut last = if is_mariadb { b'M' } else { 0 };
        while let Some(byte) = self.bump()? {
            if last == b'*' && byte == b'/' {
                return Ok(());
            }
            last = byte;
        }
        Err(io::Error::new(ErrorKind::UnexpectedEof, "a comment without end"))
    }

    /// Behind the word DELIMITER: passes over all statements up to where `;` ends them again. False if it never does.
    pub(super) fn skip_other_delimiter(&mut self) -> io::Result<bool> {
        let mut line = self.rest_of_line()?;
        loop {
            if line.trim_ascii() == b";" {
                return Ok(true);
            }
            loop {
                if self.peek()?.is_none() {
                    return Ok(false);
                }
                let text = self.rest_of_line()?;
                self.header(&text)?;
                let (word, rest) = text.split_at_checked(b"DELIMITER".len()).unwrap_or_default();
                if word.eq_ignore_ascii_case(b"DELIMITER") {
                    line = rest.to_vec();
                    break;
                }
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@' | 0x80..)
}
