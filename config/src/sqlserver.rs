//! The legacy `control/sqlserver`: `server`, `port`, `socket`, `login`, `password`, `db`, one on a line.
//!
//! The programs of the old patch took `key value` or `key=value`, with exactly one space or one `=`, and nothing else.
//! A file that worked for them means the same here. Beyond that, any blanks and tabs, CRLF, empty lines and lines
//! beginning with `#` are taken.
//!
//! - The value is everything after the separator. Blanks at its end are removed, except from a password.
//! - `key VALUE` with one space is the old form, so a VALUE that begins with `=` keeps it. With blanks on both sides
//!   (`key = value`), or with more than one before it, the `=` is the separator.
//! - A key that comes twice: the last one counts, and a finding names both lines.

use std::collections::BTreeMap;
use std::fmt;

/// The keys of the documented dialect.
pub const KEYS: [&str; 6] = ["server", "port", "socket", "login", "password", "db"];

/// The keys of the qmail-sql patch, which uses a file of the same name.
const QMAIL_SQL: [&str; 11] = [
    "check_host",
    "connectionstring",
    "connection_timeout",
    "query_timeout",
    "popconnectionstring",
    "dbtable",
    "localtable",
    "login_field",
    "passwd_field",
    "virt_host_field",
    "autohomedir",
];

/// The value of one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value.
    pub value: String,
    /// Its line, from 1.
    pub line: usize,
    /// Column of the value's first byte, from 1.
    pub column: usize,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting({}:{})", self.line, self.column)
    }
}

/// Settings by key; the keys are those of [`KEYS`].
pub type Values = BTreeMap<&'static str, Setting>;

/// Whom a [`Finding`] concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// This program cannot use the file.
    Refused,
    /// This program uses the line, but it may not mean what was meant.
    Unwise,
    /// This program uses the line in a way that is worth knowing.
    Notice,
    /// The programs of the old patch would not read the line, or would read something else.
    OldParser,
    /// The Perl client Qmail::Mysql would not read the line, or would read something else.
    PerlClient,
}

/// Something to say about one line. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Whom it concerns.
    pub concern: Concern,
    /// The key, if the line has a usable one.
    pub key: Option<&'static str>,
    /// What it is.
    pub text: String,
}

/// Reads a file. Never fails: what cannot be used is a finding with [`Concern::Refused`].
#[must_use]
pub fn parse(file: &[u8]) -> (Values, Vec<Finding>) {
    let mut parser = Parser::default();
    let body = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    if body.len() < file.len() {
        parser.find(1, 1, Concern::OldParser, "a byte order mark: the old programs took it as part of the key");
        parser.find(1, 1, Concern::PerlClient, "a byte order mark: the Perl client takes it as part of the key");
    }
    // The newline at the end of the file ends the last line and begins no other.
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    if !body.is_empty() {
        for (index, line) in body.split(|&byte| byte == b'\n').enumerate() {
            parser.line(index + 1, line);
        }
    }
    let said = parser.findings.iter().any(|finding| finding.concern == Concern::Refused);
    if parser.values.is_empty() && !said {
        let text = format!("holds no setting; the keys are {}", KEYS.join(", "));
        parser.find(1, 1, Concern::Refused, text);
    }
    (parser.values, parser.findings)
}

#[derive(Default)]
struct Parser {
    values: Values,
    findings: Vec<Finding>,
    key: Option<&'static str>,
    crlf: bool,
}

impl Parser {
    fn find(&mut self, line: usize, column: usize, concern: Concern, text: impl Into<String>) {
        self.findings.push(Finding { line, column, concern, key: self.key, text: text.into() });
    }

    fn both(&mut self, line: usize, column: usize, what: &str) {
        self.find(line, column, Concern::OldParser, format!("{what}: the old programs did not read that"));
        self.find(line, column, Concern::PerlClient, format!("{what}: the Perl client does not read that"));
    }

    fn line(&mut self, number: usize, raw: &[u8]) {
        self.key = None;
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        if line.len() < raw.len() && !std::mem::replace(&mut self.crlf, true) {
            let text = "a carriage return before the end of the line, here and perhaps below: the old programs took it \
                        as part of the value";
            self.find(number, line.len() + 1, Concern::OldParser, text);
        }
        let indent = blanks(line);
        let rest = line.get(indent..).unwrap_or_default();
        match rest.first() {
            None => self.both(number, 1, "an empty line"),
            Some(b'#') => self.both(number, indent + 1, "a comment"),
            Some(_) => self.setting(number, indent, rest),
        }
    }

    fn setting(&mut self, number: usize, indent: usize, rest: &[u8]) {
        let width = rest.iter().position(|&byte| matches!(byte, b' ' | b'\t' | b'=')).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(width);
        let Some(&key) = KEYS.iter().find(|key| key.as_bytes() == word) else {
            return self.unknown(number, indent + 1, word);
        };
        self.key = Some(key);
        if indent > 0 {
            self.both(number, 1, "blanks before the key");
        }
        let separator = separator(tail);
        let (between, mut value) = tail.split_at(separator);
        self.judge_separator(number, indent + width + 1, between);
        let column = indent + width + separator + 1;
        let end = value.len() - blanks_at_end(value);
        if key != "password" {
            value = value.get(..end).unwrap_or_default();
        }
        self.judge_value(number, column, value, end, tail.len() - separator);
        let Ok(text) = std::str::from_utf8(value) else {
            let text = "the value is not UTF-8; put a password of other bytes into a file named by store.password_file";
            return self.find(number, column, Concern::Refused, text);
        };
        if value.contains(&0) {
            return self.find(number, column, Concern::Refused, "the value holds a NUL byte");
        }
        let setting = Setting { value: text.to_owned(), line: number, column };
        if text.is_empty() && key != "password" {
            return self.find(number, column, Concern::Refused, format!("{key} has no value"));
        }
        if let Some(before) = self.values.insert(key, setting) {
            let text = format!("{key} stands on line {} too; this one, the last, counts", before.line);
            self.find(number, indent + 1, Concern::Unwise, text);
        }
    }

    fn judge_separator(&mut self, number: usize, column: usize, between: &[u8]) {
        match between {
            b" " => {}
            b"" => self.both(number, column, "nothing after the key"),
            b"=" => self.find(number, column, Concern::PerlClient, "an equals sign: the Perl client takes blanks only"),
            _ => {
                let text = "the old programs took exactly one space or one equals sign after the key";
                self.find(number, column, Concern::OldParser, text);
                if between.contains(&b'=') {
                    let text = "an equals sign: the Perl client takes blanks only";
                    self.find(number, column, Concern::PerlClient, text);
                }
            }
        }
    }

    fn judge_value(&mut self, number: usize, column: usize, value: &[u8], end: usize, full: usize) {
        let inner = value.get(..end).unwrap_or_default();
        if inner.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            let text = "a blank inside the value: the Perl client takes the first word only";
            self.find(number, column, Concern::PerlClient, text);
        }
        if end < full && end > 0 {
            if value.len() > end {
                let text = "the password ends in a blank, which is kept; remove it if it is not part of the password";
                self.find(number, column + end, Concern::Unwise, text);
            } else {
                let text = "blanks after the value: the old programs took them as part of it";
                self.find(number, column + end, Concern::OldParser, text);
            }
        }
        if value.first() == Some(&b'=') {
            let text = "the value begins with an equals sign, as the old programs read it; write key=value if that is \
                        not meant";
            self.find(number, column, Concern::Unwise, text);
        }
    }

    fn unknown(&mut self, number: usize, column: usize, word: &[u8]) {
        let word = String::from_utf8_lossy(word);
        let text = if QMAIL_SQL.contains(&&*word) {
            format!(
                "{word} is a key of the qmail-sql patch, which has a control/sqlserver of its own; this program reads \
                 only {}",
                KEYS.join(", ")
            )
        } else {
            let nearest = crate::nearest::nearest(&word, KEYS);
            let meant = nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default();
            // A line of another shape may hold a password, so an unknown word is not repeated.
            format!("unknown key{meant}; the keys are {}", KEYS.join(", "))
        };
        self.find(number, column, Concern::Refused, text);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_blank(byte)).count()
}

fn blanks_at_end(bytes: &[u8]) -> usize {
    bytes.iter().rev().take_while(|&&byte| is_blank(byte)).count()
}

/// Length of the separator at the beginning of `tail`.
fn separator(tail: &[u8]) -> usize {
    let before = blanks(tail);
    let Some((b'=', after)) = tail.get(before..).and_then(<[u8]>::split_first) else { return before };
    let after_blanks = blanks(after);
    // Exactly one space and then a value: the old form, whatever the value begins with.
    if tail.first() == Some(&b' ') && before == 1 && after_blanks == 0 {
        return before;
    }
    before + 1 + after_blanks
}

#[cfg(test)]
#[path = "sqlserver_tests.rs"]
mod tests;
