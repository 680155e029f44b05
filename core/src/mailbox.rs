//! A mailbox: the account that ends up with the message.

use crate::error::{Misconfiguration, printable};
use crate::key::Username;
use crate::limits::ID_MAX;
use crate::settings::RuleSettings;
#[cfg(feature = "resolver")]
use crate::{Deadline, LookupError};

/// A cell as stored: its bytes, or `None` for NULL, an absent attribute or a column the table does not have.
pub type Cell = Option<Vec<u8>>;

/// One row of table mailbox, cells as stored. It carries no password.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxRow {
    /// Key.
    pub username: Cell,
    /// Decimal digits.
    pub uid: Cell,
    /// Decimal digits.
    pub gid: Cell,
    /// Absolute path.
    pub home: Cell,
    /// See [`Standing::read`].
    pub suspended: Cell,
}

/// A mailbox whose row has been judged (rule K3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Name in normal form, as qmail-lspawn will hand it to qmail-local.
    pub username: Username,
    /// Never below the configured minimum, never denied.
    pub uid: u32,
    /// Never below the configured minimum, never denied.
    pub gid: u32,
    /// Absolute path, no NUL, no newline.
    pub home: Vec<u8>,
    /// Whether it may log in, and what its mail gets.
    pub standing: Standing,
}

/// What column `suspended` says (rule P3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Active,
    /// May not log in; mail as [`RuleSettings::suspended_mail`] says.
    Suspended,
    /// May not log in; mail bounces whatever the settings say. Directories know such accounts.
    Bounced,
}

impl Standing {
    /// The cell that means [`Standing::Bounced`].
    pub const BOUNCED: &'static [u8] = b"bounce";

    /// Reads the cell: NULL, an absent column, `N` and `n` mean active, `bounce` bounced, anything else suspended.
    #[must_use]
    pub fn read(cell: Option<&[u8]>) -> Self {
        match cell {
            None | Some(b"N" | b"n") => Self::Active,
            Some(Self::BOUNCED) => Self::Bounced,
            Some(_) => Self::Suspended,
        }
    }
}

impl MailboxRow {
    /// Judges a row that is about to be used (rule K3).
    ///
    /// # Errors
    /// Names the column at fault.
    pub fn validate(&self, settings: &RuleSettings) -> Result<Mailbox, Misconfiguration> {
        let raw = self.username.as_deref().unwrap_or_default();
        let bad = |column, problem: &str| Misconfiguration {
            rule: "K3",
            table: "mailbox",
            key: printable(raw),
            column,
            problem: problem.to_owned(),
        };
        let username = Username::new(raw).ok_or_else(|| bad("username", "not a usable name"))?;
        if raw.starts_with(b"=") {
            return Err(bad("username", "begins with '=', which is kept for encoded virtual recipients"));
        }
        if let Some(why) = &settings.deny_unknown {
            return Err(bad("uid", &format!("which ids are denied is not known: {why}")));
        }
        let id = |column, cell: &Cell, min: u32, denied: &[u32]| {
            let digits = cell.as_deref().unwrap_or_default();
            let number = parse_id(digits).ok_or_else(|| bad(column, "not a number from 0 to 4294967294"))?;
            if number < min {
                return Err(bad(column, &format!("below the minimum of {min} (rules.min_{column})")));
            }
            if denied.contains(&number) {
                return Err(bad(column, &format!("denied (rules.deny_{column}s)")));
            }
            Ok(number)
        };
        let uid = id("uid", &self.uid, settings.min_uid, &settings.deny_uids)?;
        let gid = id("gid", &self.gid, settings.min_gid, &settings.deny_gids)?;
        let home = self.home.clone().unwrap_or_default();
        if home.first() != Some(&b'/') {
            return Err(bad("home", "not an absolute path"));
        }
        if home.iter().any(|b| matches!(b, 0 | b'\n')) {
            return Err(bad("home", "holds a NUL or a newline"));
        }
        Ok(Mailbox { username, uid, gid, home, standing: Standing::read(self.suspended.as_deref()) })
    }
}

fn parse_id(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |n, d| n * 10 + u64::from(d - b'0'));
    u32::try_from(number).ok().filter(|_| number <= ID_MAX)
}

/// Fetches mailbox rows by exact name. It fetches only: which names to ask for, and which row wins, is decided in
/// [`crate::rules`].
///
/// # Contract
/// Every store passes the battery in `tests/`; its case names are these sentences.
///
/// - A row that is there is found, whatever the case of its stored name.
/// - A row that is not there is absent, not an error.
/// - Several names are answered by one call, in any order.
/// - A row that was not asked for may come back; a row that matches must not be left out.
/// - Two rows for one name both come back.
/// - Cells come back as stored: no trimming, no folding, no conversion; NULL is `None`.
/// - A bad row fails nobody: a cell is never judged here.
/// - Keys are values, never syntax.
/// - A set is whole or an error: no limit ever cuts one.
/// - `Ok(vec![])` means reached and none; every trouble is `Err`, before the deadline.
/// - A caller that goes away harms nobody.
#[cfg(feature = "resolver")]
#[async_trait::async_trait]
pub trait MailboxResolver: Send + Sync {
    /// Returns the rows of `names`.
    ///
    /// # Errors
    /// Whenever it is not known which rows there are.
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uid: &str, gid: &str, home: &str) -> MailboxRow {
        let cell = |s: &str| Some(s.as_bytes().to_vec());
        MailboxRow { username: cell("Iain"), uid: cell(uid), gid: cell(gid), home: cell(home), suspended: None }
    }

    #[test]
    fn a_good_row_is_a_mailbox_and_a_bad_one_names_its_column() {
        let settings = RuleSettings::default();
        let good = row("800", "100", "/home/mail/iain").validate(&settings).unwrap();
        assert_eq!((good.uid, good.gid, good.username.as_str()), (800, 100, "iain"));
        let cases = [
            ("uid", row("0", "100", "/h")),
            ("uid", row("99", "100", "/h")),
            ("uid", row("-5", "100", "/h")),
            ("uid", row("4294967295", "100", "/h")),
            ("uid", row("99999999999999999999", "100", "/h")),
            ("uid", row("", "100", "/h")),
            ("uid", row("800 ", "100", "/h")),
            ("gid", row("800", "8x", "/h")),
            ("gid", row("800", "0", "/h")),
            ("home", row("800", "100", "home")),
            ("home", row("800", "100", "")),
            ("home", row("800", "100", "/h\n")),
            ("home", row("800", "100", "/h\0")),
        ];
        for (column, bad) in cases {
            assert_eq!(bad.validate(&settings).unwrap_err().column, column, "{bad:?}");
        }
        let denied = RuleSettings { deny_uids: vec![800], ..settings.clone() };
        assert!(row("800", "100", "/h").validate(&denied).is_err());
        let unknown = RuleSettings { deny_unknown: Some("user qmailq: no answer".to_owned()), ..settings.clone() };
        assert!(row("800", "100", "/h").validate(&unknown).is_err());
        let encoded = MailboxRow { username: Some(b"=x=-y".to_vec()), ..row("800", "100", "/h") };
        assert!(encoded.validate(&settings).is_err());
    }

    #[test]
    fn only_null_and_n_are_active() {
        for active in [None, Some(&b"N"[..]), Some(b"n")] {
            assert_eq!(Standing::read(active), Standing::Active);
        }
        assert_eq!(Standing::read(Some(b"bounce")), Standing::Bounced);
        for other in [&b""[..], b"Y", b"y", b"0", b"no", b"N "] {
            assert_eq!(Standing::read(Some(other)), Standing::Suspended, "{other:?}");
        }
    }
}
