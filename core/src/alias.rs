//! Alias rows: delivery instructions, as the lines of a dot-qmail file would be (rules A2, A3, A6).

use crate::error::{Misconfiguration, printable};
use crate::mailbox::Cell;
use crate::settings::{AliasPaths, AliasPrograms, RuleSettings};
#[cfg(feature = "resolver")]
use crate::{Deadline, LookupError, key::AliasKey};

/// One row of table alias, cells as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AliasRow {
    /// Key: whose.
    pub username: Cell,
    /// Key: extension, `@` for the catch-all, empty or NULL for the user's own default.
    pub alias: Cell,
    /// `.`, `/` or `|` alone, or the user part of a forward.
    pub alias_username: Cell,
    /// The rest of the path or program, or the host of a forward.
    pub alias_host: Cell,
    /// Order within the set; `None` if the table has no such column.
    pub seq: Cell,
}

/// One delivery instruction. Typed, never text that is parsed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// A command for `/bin/sh -c`, without the bar.
    Program(Vec<u8>),
    /// Path of an mbox file, absolute or relative to the home.
    Mbox(Vec<u8>),
    /// Path of a maildir, ends in a slash.
    Maildir(Vec<u8>),
    /// An address, or a bare name.
    Forward(Vec<u8>),
}

/// `line` as an instruction is read: blanks and tabs at its end do not count.
#[must_use]
pub fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last.saturating_add(1));
    line.get(..end).unwrap_or_default()
}

impl Instruction {
    /// Delivery to the file at `path`: a maildir if that ends in a slash, else an mbox.
    #[must_use]
    pub fn file(path: Vec<u8>) -> Self {
        if path.ends_with(b"/") { Self::Maildir(path) } else { Self::Mbox(path) }
    }

    /// The line a dot-qmail file would hold.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let (prefix, rest): (&[u8], _) = match self {
            Self::Program(text) => (b"|", text),
            Self::Mbox(path) | Self::Maildir(path) => (b"", path),
            Self::Forward(address) => (b"&", address),
        };
        [prefix, rest].concat()
    }

    pub(crate) fn class(&self) -> u8 {
        match self {
            Self::Program(_) => 0,
            Self::Mbox(_) | Self::Maildir(_) => 1,
            Self::Forward(_) => 2,
        }
    }
}

/// Reads the rows of one alias set as instructions, in order. The whole set is judged before any of it is used.
///
/// # Errors
/// The first row that rule A2 calls a misconfiguration or rule A6 refuses.
pub fn instructions(
    rows: &[AliasRow],
    home: &[u8],
    settings: &RuleSettings,
) -> Result<Vec<Instruction>, Misconfiguration> {
    let mut read = rows
        .iter()
        .map(|row| Ok((row.seq_number()?, row.instruction(home, settings)?)))
        .collect::<Result<Vec<_>, Misconfiguration>>()?;
    // Without a number, be it that the table has no such column or that the cell is NULL, a row comes last.
    let key = |(seq, instruction): &(Option<i128>, Instruction)| {
        (seq.is_none(), *seq, instruction.class(), instruction.to_line())
    };
    read.sort_by_cached_key(key);
    Ok(read.into_iter().map(|(_, instruction)| instruction).collect())
}

impl AliasRow {
    /// The misconfiguration that this row is, by rule A2 unless `rule` says otherwise.
    fn bad(&self, rule: &'static str, column: &'static str, problem: &str) -> Misconfiguration {
        let part = |cell: &Cell| printable(cell.as_deref().unwrap_or_default());
        let key = format!("({}, {})", part(&self.username), part(&self.alias));
        Misconfiguration { rule, table: "alias", key, column, problem: problem.to_owned() }
    }

    pub(crate) fn seq_number(&self) -> Result<Option<i128>, Misconfiguration> {
        let Some(digits) = self.seq.as_deref() else { return Ok(None) };
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| self.bad("A3", "seq", "not a whole number"))
    }

    /// Reads one row (rules A2 and A6).
    ///
    /// # Errors
    /// When the row cannot be an instruction, or is one that the settings refuse.
    pub fn instruction(&self, home: &[u8], settings: &RuleSettings) -> Result<Instruction, Misconfiguration> {
        let user = self.alias_username.as_deref().unwrap_or_default();
        let host = self.alias_host.as_deref().unwrap_or_default();
        let bad = |column, problem: &str| self.bad("A2", column, problem);
        for (column, value) in [("alias_username", user), ("alias_host", host)] {
            if value.iter().any(|b| matches!(b, 0 | b'\n')) {
                return Err(bad(column, "holds a NUL or a newline"));
            }
        }
        match user {
            b"" if host.is_empty() => {
                Err(bad("alias_username", "alias_username and alias_host are both blank; use '.' and '/Maildir/'"))
            }
            b"" => Err(bad("alias_username", "blank, so the forward would have no user part")),
            b"." | b"/" | b"|" => {
                // A dot-qmail line loses its trailing blanks, so an instruction does too.
                let text = without_trailing_blanks(&[user, host].concat()).to_vec();
                if text.len() < 2 {
                    return Err(bad("alias_host", "blank, so the instruction has no path or program"));
                }
                self.program_or_path(text, home, settings)
            }
            _ => {
                let address = if host.is_empty() { user.to_vec() } else { [user, b"@", host].concat() };
                if user.first().is_some_and(|b| b"./|&+#".contains(b)) {
                    return Err(bad(
                        "alias_username",
                        "a forward may not begin with . / | & + or #; put the first character of a delivery instruction alone into alias_username",
                    ));
                }
                if !address.iter().all(|b| (0x21..=0x7E).contains(b)) {
                    return Err(bad(
                        "alias_username",
                        "the forward holds a blank, a control character or a byte above 0x7E",
                    ));
                }
                Ok(Instruction::Forward(address))
            }
        }
    }

    fn program_or_path(
        &self,
        text: Vec<u8>,
        home: &[u8],
        settings: &RuleSettings,
    ) -> Result<Instruction, Misconfiguration> {
        if let Some(program) = text.strip_prefix(b"|") {
            return match settings.alias_programs {
                AliasPrograms::Allow => Ok(Instruction::Program(program.to_vec())),
                AliasPrograms::Deny => {
                    Err(self.bad("A6", "alias_username", "programs are not allowed (rules.alias_programs)"))
                }
            };
        }
        if settings.alias_paths == AliasPaths::Home && !is_below(&text, home) {
            return Err(self.bad("A6", "alias_host", "the path leads out of the home (rules.alias_paths)"));
        }
        Ok(Instruction::file(text))
    }
}

fn is_below(path: &[u8], home: &[u8]) -> bool {
    let inside = match path.first() {
        Some(b'/') => {
            let home = home.strip_suffix(b"/").unwrap_or(home);
            path.strip_prefix(home).filter(|rest| rest.starts_with(b"/"))
        }
        _ => Some(path),
    };
    inside.is_some_and(|rest| !rest.split(|&b| b == b'/').any(|part| part == b".."))
}

/// Fetches alias rows. It fetches only; the contract is that of [`crate::MailboxResolver`], and further:
///
/// - A key with an empty extension finds the rows whose alias is blank and those whose alias is NULL.
/// - Duplicate rows all come back.
#[cfg(feature = "resolver")]
#[async_trait::async_trait]
pub trait AliasResolver: Send + Sync {
    /// Returns the rows of `keys`.
    ///
    /// # Errors
    /// Whenever it is not known which rows there are.
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(user: &str, host: &str) -> AliasRow {
        let cell = |s: &str| Some(s.as_bytes().to_vec());
        AliasRow {
            username: cell("iain"),
            alias: cell("x"),
            alias_username: cell(user),
            alias_host: cell(host),
            seq: None,
        }
    }

    fn line(user: &str, host: &str) -> Result<String, &'static str> {
        let read = row(user, host).instruction(b"/home/iain", &RuleSettings::default());
        read.map(|i| String::from_utf8(i.to_line()).unwrap()).map_err(|bad| bad.rule)
    }

    #[test]
    fn rows_become_typed_instructions() {
        let good = [
            (".", "/Maildir/", "./Maildir/"),
            ("/", "home/iain/Mailbox", "/home/iain/Mailbox"),
            ("|", "/usr/bin/filter -a 'b c' \t", "|/usr/bin/filter -a 'b c'"),
            (".", "/Maildir/  ", "./Maildir/"),
            ("popaccount", "hotmail.com", "&popaccount@hotmail.com"),
            ("real", "", "&real"),
            ("a@b", "c.org", "&a@b@c.org"),
        ];
        for (user, host, want) in good {
            assert_eq!(line(user, host).as_deref(), Ok(want));
        }
        let bad = [
            ("", ""),
            ("", "x.org"),
            (".", ""),
            ("/", ""),
            ("|", " "),
            ("./Maildir/", ""),
            ("&a", "b"),
            ("#a", "b"),
            ("+list", ""),
            ("a b", "c"),
            ("a", "b\tc"),
            ("ïain", "b"),
            ("a\n", "b"),
            (".", "/a\0"),
        ];
        for (user, host) in bad {
            assert_eq!(line(user, host), Err("A2"), "{user:?} {host:?}");
        }
    }

    #[test]
    fn order_is_seq_or_else_programs_mailboxes_forwards_and_duplicates_stay() {
        let settings = RuleSettings::default();
        let mut rows =
            vec![row("z", "z.org"), row(".", "/Maildir/"), row("z", "z.org"), row("|", "true"), row("a", "z.org")];
        let lines = |rows: &[AliasRow]| -> Vec<String> {
            let read = instructions(rows, b"/h", &settings).unwrap();
            read.iter().map(|i| String::from_utf8(i.to_line()).unwrap()).collect()
        };
        assert_eq!(lines(&rows), ["|true", "./Maildir/", "&a@z.org", "&z@z.org", "&z@z.org"]);
        for (n, row) in rows.iter_mut().enumerate() {
            row.seq = Some((n + 8).to_string().into_bytes());
        }
        assert_eq!(lines(&rows), ["&z@z.org", "./Maildir/", "&z@z.org", "|true", "&a@z.org"]);
        rows[3].seq = Some(b"-1".to_vec());
        assert_eq!(lines(&rows)[0], "|true");
        rows[3].seq = None;
        assert_eq!(lines(&rows)[4], "|true");
        rows[1].seq = Some(b"1x".to_vec());
        assert_eq!(instructions(&rows, b"/h", &settings).unwrap_err().rule, "A3");
    }

    #[test]
    fn the_settings_can_refuse_programs_and_paths_out_of_the_home() {
        let strict = RuleSettings {
            alias_programs: AliasPrograms::Deny,
            alias_paths: AliasPaths::Home,
            ..RuleSettings::default()
        };
        let read = |user, host| row(user, host).instruction(b"/home/iain", &strict).map_err(|bad| bad.rule);
        assert_eq!(read("|", "true"), Err("A6"));
        for out in ["home/iainx/M", "etc/passwd", "home/iain/../bob/M"] {
            assert_eq!(read("/", out), Err("A6"), "{out}");
        }
        assert_eq!(read(".", "/../bob/Maildir/"), Err("A6"));
        assert!(read("/", "home/iain/Maildir/").is_ok() && read(".", "/Maildir/").is_ok());
    }
}
