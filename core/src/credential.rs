//! Who may log in (rules P1 to P5).

use crate::key::Username;
use crate::mailbox::{Cell, Mailbox, MailboxRow, Standing};
use crate::password::{self, Secret};
use crate::settings::RuleSettings;
use crate::{Deadline, ErrorKind, LookupError};

/// A mailbox row with its password columns. Routing questions never fetch it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialRow {
    /// The columns that routing uses too.
    pub mailbox: MailboxRow,
    /// Stored password; its form is `password_type`'s.
    pub password: Option<Secret>,
    /// `Password`, `Crypt-Password` or `MySQL-Password`; `None` if the table has no such column.
    pub password_type: Cell,
}

/// Why a login was refused. For the audit log only: to the outside all of them are one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No such mailbox.
    Unknown,
    /// The password does not match.
    WrongPassword,
    /// It matches, but the mailbox is suspended.
    Suspended,
    /// The offered password is empty or holds a NUL.
    UnusablePassword,
    /// The stored value cannot be verified: empty, of an unknown type, a form this system lacks, or too costly.
    Unverifiable,
}

impl Refusal {
    /// One stable word for logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::WrongPassword => "wrong-password",
            Self::Suspended => "suspended",
            Self::UnusablePassword => "unusable-password",
            Self::Unverifiable => "unverifiable",
        }
    }
}

/// The outcome of a login that could be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum AuthAnswer {
    /// The password is right and the mailbox may log in.
    Granted(Mailbox),
    /// Not acceptable.
    Refused(Refusal),
}

/// Fetches credential rows. The contract is that of [`crate::MailboxResolver`]; it is never asked through a cache,
/// never coalesced, and never retried once the question was sent.
#[async_trait::async_trait]
pub trait CredentialResolver: Send + Sync {
    /// Returns the credential rows of `names`.
    ///
    /// # Errors
    /// Whenever it is not known which rows there are.
    async fn credentials(&self, names: &[Username], by: Deadline) -> Result<Vec<CredentialRow>, LookupError>;
}

/// Decides a login, by comparing hashes or by asking the store to.
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync {
    /// Decides whether `offered` is the password of `who`.
    ///
    /// # Errors
    /// Whenever that is not known: then nobody gets in, and nobody is told that the password was wrong.
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError>;
}

/// The answer once the password was found right, by whomever (rule P3).
pub fn password_is_right(mailbox: Mailbox) -> AuthAnswer {
    match mailbox.standing {
        Standing::Active => AuthAnswer::Granted(mailbox),
        Standing::Suspended | Standing::Bounced => AuthAnswer::Refused(Refusal::Suspended),
    }
}

/// Decides a login from the rows of `who` (rules K2, K3, P1, P2, P3). Blocks for as long as the hash takes.
///
/// # Errors
/// Two rows for one name, or a row that rule K3 refuses although its password is right.
pub fn judge(
    who: &Username,
    rows: &[CredentialRow],
    offered: &Secret,
    settings: &RuleSettings,
) -> Result<AuthAnswer, LookupError> {
    let mut matching = rows.iter().filter(|row| who.matches(row.mailbox.username.as_deref()));
    let Some(row) = matching.next() else { return Ok(AuthAnswer::Refused(Refusal::Unknown)) };
    if matching.next().is_some() {
        return Err(crate::rules::twice(who).into());
    }
    let verdict = password::verify(row.password.as_ref(), row.password_type.as_deref(), offered);
    Ok(match verdict {
        password::Verdict::Match => {
            let mailbox = row.mailbox.validate(settings)?;
            password_is_right(mailbox)
        }
        password::Verdict::Mismatch => AuthAnswer::Refused(Refusal::WrongPassword),
        password::Verdict::Unusable => AuthAnswer::Refused(Refusal::UnusablePassword),
        password::Verdict::Unverifiable(_) => AuthAnswer::Refused(Refusal::Unverifiable),
        password::Verdict::NoAnswer(why) => return Err(LookupError::new(ErrorKind::Overloaded, "password", why)),
    })
}
