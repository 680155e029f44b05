//! Putting a strong hash in the place of a weak one, after a login has shown the password (off unless wanted).
//!
//! The row is replaced by compare-and-swap, only after the columns were found wide enough, and read back. Once a row is
//! changed, programs that know less than crypt(3) (the old patch, MySQL's PASSWORD()) cannot verify it any more: there
//! is no way back but a new password.

mod column;
#[cfg(test)]
mod tests;

use qmail_lookup_core::password::rehash::{PASSWORD_TYPE, Target, hash, stronger};
use qmail_lookup_core::password::{Verdict, classify, verify};
use qmail_lookup_core::{
    Applied, Backend, Change, CredentialResolver, CredentialRow, Deadline, EditCause, EditError, Editor, LookupError,
    Secret, StoreFacts, Table, TableRow, Username,
};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What reading back, and if need be undoing, may take: a row that was changed is not left alone because time is up.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// What came of it. Whatever it is, the password that was offered still logs in, unless somebody changed the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehashed {
    /// The row holds the new hash, and it was read back and verified.
    Done,
    /// The stored hash is not weak, or this password is not what it is of. Nothing was changed.
    NotNeeded,
    /// A column is too narrow, or its type is not known to hold what would be written. Nothing was changed, and nothing
    /// will be for any user before the table is altered.
    DoesNotFit {
        /// Which one.
        column: &'static str,
        /// Its type as the store words it; empty if it is not known.
        declared: String,
        /// What it has to hold.
        needed: String,
    },
    /// Somebody else changed the row, and it is as they left it.
    Changed,
    /// The store cannot replace the row of a password: it has no editor, or it is a directory, whose server makes
    /// hashes itself.
    NotSupported,
}

/// Why it was not done, or is not known to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RehashError {
    /// The row or its table could not be read. Nothing was changed.
    Unread(LookupError),
    /// There is no new hash. Nothing was changed.
    Hash(&'static str),
    /// The row was not written, or that is not known.
    Edit(EditError),
    /// The row was written, and could not be read back.
    Unseen(LookupError),
    /// The row was written, and what was read back is still the old one: a replica that lags, or a store that ignores
    /// changes.
    NotTaken,
    /// What was read back was not the new hash, and the old one was put back.
    Spoiled,
    /// What was read back was not the new hash, and the old one could not be put back: this user cannot log in.
    Lost(EditError),
}

impl fmt::Display for RehashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(error) => write!(f, "{error}; nothing was changed"),
            Self::Hash(why) => write!(f, "no new hash: {why}; nothing was changed"),
            Self::Edit(error) => error.fmt(f),
            Self::Unseen(error) => write!(f, "a new hash was written and could not be read back: {error}"),
            Self::NotTaken => f.write_str("a new hash was written, and the store still shows the old one"),
            Self::Spoiled => f.write_str("the store kept something else than the new hash; the old one was put back"),
            Self::Lost(error) => write!(
                f,
                "the store kept something else than the new hash, and the old one could not be put back: {error}; set \
                 a new password for this user"
            ),
        }
    }
}

impl Error for RehashError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unread(error) | Self::Unseen(error) => Some(error),
            Self::Edit(error) | Self::Lost(error) => Some(error),
            Self::Hash(_) | Self::NotTaken | Self::Spoiled => None,
        }
    }
}

/// A row that is worth a new hash, and can hold it.
pub struct Rehash {
    who: Username,
    offered: Secret,
    old: CredentialRow,
    new: CredentialRow,
}

/// Replaces the hash of `who` if it is weak. To be called after `offered` was granted, in the background: it makes a
/// hash, and asks the store several times.
///
/// # Errors
/// See [`RehashError`]. Those after which a user may be locked out are logged here too.
pub async fn rehash(
    store: &dyn Backend,
    who: &Username,
    offered: &Secret,
    target: Target,
    by: Deadline,
) -> Result<Rehashed, RehashError> {
    match Rehash::prepare(store, who, offered, target, by).await? {
        Ok(ready) => ready.carry_out(store, by).await,
        Err(outcome) => Ok(outcome),
    }
}

impl Rehash {
    /// Finds out whether there is something to do and whether it can be done, and makes the hash. Changes nothing.
    ///
    /// # Errors
    /// If that could not be found out.
    pub async fn prepare(
        store: &dyn Backend,
        who: &Username,
        offered: &Secret,
        target: Target,
        by: Deadline,
    ) -> Result<Result<Self, Rehashed>, RehashError> {
        let (Some(credentials), Some(_)) = (store.credentials(), store.editor()) else {
            return Ok(Err(Rehashed::NotSupported));
        };
        let Some(old) = fetch(credentials, who, by).await.map_err(RehashError::Unread)? else {
            return Ok(Err(Rehashed::Changed));
        };
        let family = classify(old.password.as_ref(), old.password_type.as_deref());
        if !family.is_ok_and(|family| stronger(family, target)) {
            return Ok(Err(Rehashed::NotNeeded));
        }
        let facts = store.facts(by).await.map_err(RehashError::Unread)?;
        if let Some(problem) = does_not_fit(&facts, store.kind(), target.length()) {
            return Ok(Err(problem));
        }
        let typed = declared(&facts, "password_type").is_some();
        let (row, password) = (old.clone(), offered.clone());
        let made =
            tokio::task::spawn_blocking(move || is_right(&row, &password).then(|| hash(target, &password)).transpose());
        let made = made.await.unwrap_or(Err("hashing ended early")).map_err(RehashError::Hash)?;
        let Some(made) = made else { return Ok(Err(Rehashed::NotNeeded)) };
        let mut new = CredentialRow { password: Some(made), ..old.clone() };
        // Without that column a hash of crypt(3) is known by its form.
        if typed {
            new.password_type = Some(PASSWORD_TYPE.into());
        }
        Ok(Ok(Self { who: who.clone(), offered: offered.clone(), old, new }))
    }

    /// Writes the row and reads it back.
    ///
    /// # Errors
    /// See [`RehashError`].
    pub async fn carry_out(self, store: &dyn Backend, by: Deadline) -> Result<Rehashed, RehashError> {
        let (Some(credentials), Some(editor)) = (store.credentials(), store.editor()) else {
            return Ok(Rehashed::NotSupported);
        };
        let written = match replace(editor, &self.old, &self.new, by).await {
            Err(EditError { cause: EditCause::RowIsGone, applied: Applied::Nothing, .. }) => {
                return Ok(Rehashed::Changed);
            }
            Err(error) if error.applied == Applied::Nothing => return Err(RehashError::Edit(error)),
            written => written,
        };
        let by = Deadline::after(AFTERWARDS);
        let Some(read) = fetch(credentials, &self.who, by).await.map_err(RehashError::Unseen)? else {
            return Ok(Rehashed::Changed);
        };
        if read.password == self.old.password && read.password_type == self.old.password_type {
            return Err(written.map_or_else(RehashError::Edit, |()| RehashError::NotTaken));
        }
        let (same, made) = (read.password == self.new.password, self.new.password.clone());
        let (row, password) = (read.clone(), self.offered.clone());
        let right = tokio::task::spawn_blocking(move || is_right(&row, &password)).await.unwrap_or(false);
        match (right, same) {
            (true, true) => Ok(Rehashed::Done),
            (false, _) if comes_from(&read, made.as_ref()) => self.put_back(store, editor, read, by).await,
            _ => Ok(Rehashed::Changed),
        }
    }

    /// Undoes what the store made of the new hash. Whatever else is in the row by now stays.
    async fn put_back(
        &self,
        store: &dyn Backend,
        editor: &dyn Editor,
        read: CredentialRow,
        by: Deadline,
    ) -> Result<Rehashed, RehashError> {
        let mut before = read.clone();
        before.password.clone_from(&self.old.password);
        before.password_type.clone_from(&self.old.password_type);
        let (place, mailbox) = (store.place(), &self.who);
        Err(match replace(editor, &read, &before, by).await {
            Ok(()) => {
                tracing::error!(place, %mailbox, "a new hash did not read back right; the old one was put back");
                RehashError::Spoiled
            }
            Err(error) => {
                tracing::error!(
                    place,
                    %mailbox,
                    %error,
                    "a new hash did not read back right, and the old one could not be put back: set a new password"
                );
                RehashError::Lost(error)
            }
        })
    }
}

/// The row of `who`; `None` if there is none or more than one.
async fn fetch(
    credentials: &dyn CredentialResolver,
    who: &Username,
    by: Deadline,
) -> Result<Option<CredentialRow>, LookupError> {
    let mut rows = credentials.credentials(std::slice::from_ref(who), by).await?;
    rows.retain(|row| who.matches(row.mailbox.username.as_deref()));
    let row = rows.pop();
    Ok(row.filter(|_| rows.is_empty()))
}

async fn replace(editor: &dyn Editor, old: &CredentialRow, new: &CredentialRow, by: Deadline) -> Result<(), EditError> {
    let row = |row: &CredentialRow| TableRow::Mailbox(row.clone());
    editor.apply(&[Change::Replace { old: row(old), new: row(new) }], by).await
}

fn is_right(row: &CredentialRow, offered: &Secret) -> bool {
    verify(row.password.as_ref(), row.password_type.as_deref(), offered) == Verdict::Match
}

/// True if what was read is what the store made of `made`, and not what somebody else has written since: the front of
/// it, or something that holds its salt.
fn comes_from(read: &CredentialRow, made: Option<&Secret>) -> bool {
    let fold = |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_ascii_lowercase()).unwrap_or_default();
    let (read, made) = (fold(read.password.as_ref()), fold(made));
    let salt = made.rsplit(|&b| b == b'$').nth(1).unwrap_or_default();
    let salted = !salt.is_empty() && read.windows(salt.len()).any(|part| part == salt);
    !read.is_empty() && (made.starts_with(&read) || salted)
}

/// The type of a column of table mailbox, if it has that column.
#[must_use]
pub fn declared<'f>(facts: &'f StoreFacts, column: &str) -> Option<&'f str> {
    let mailbox = facts.tables.iter().find(|table| table.table == Table::Mailbox)?;
    let found = mailbox.columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
    found.map(|(_, declared)| declared.as_str())
}

/// The type of a column of a store of `kind` that is not known to hold `length` characters; `None` of one that is, or that
/// is not there.
#[must_use]
pub fn is_too_narrow<'f>(facts: &'f StoreFacts, kind: &str, column: &str, length: usize) -> Option<&'f str> {
    declared(facts, column).filter(|declared| !column::holds(kind, declared, length, None))
}

/// The first column of a store of `kind` that cannot hold a new row with a hash of `length` ASCII characters. Only a
/// missing password_type is none.
#[must_use]
pub fn does_not_fit(facts: &StoreFacts, kind: &str, length: usize) -> Option<Rehashed> {
    let password = declared(facts, "password").unwrap_or_default();
    if !column::holds(kind, password, length, None) {
        let needed = format!("{length} characters");
        return Some(Rehashed::DoesNotFit { column: "password", declared: password.to_owned(), needed });
    }
    let password_type = declared(facts, "password_type")?;
    if column::holds(kind, password_type, PASSWORD_TYPE.len(), Some(PASSWORD_TYPE)) {
        return None;
    }
    let (declared, needed) = (password_type.to_owned(), PASSWORD_TYPE.to_owned());
    Some(Rehashed::DoesNotFit { column: "password_type", declared, needed })
}
