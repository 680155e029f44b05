//! Passwords: asked for, hashed as the store can keep it, and seen to work.

mod tty;

use super::rows::{by, mailbox, store};
use crate::cli::{self, Hash};
use crate::output::{Failure, text};
use crate::session::Session;
use crate::verbs::auth;
use qmail_lookup_backends::rehash::{Rehashed, declared, does_not_fit, is_too_narrow};
use qmail_lookup_config::Role;
use qmail_lookup_core::password::limits::CRYPT_PHRASE_MAX;
use qmail_lookup_core::password::rehash::{self, PASSWORD_TYPE, Target};
use qmail_lookup_core::password::{Verdict, argon2_new, verify};
use qmail_lookup_core::{AuthAnswer, CredentialRow, MailboxRow, Refusal, Secret, StoreFacts, Table, Username};
use std::io::{IsTerminal, stdin};

/// How a new password will be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Crypt(Target),
    Argon2,
}

impl Form {
    fn length(self) -> usize {
        match self {
            Self::Crypt(target) => target.length(),
            Self::Argon2 => argon2_new::LENGTH,
        }
    }
}

/// What table mailbox can keep.
pub(crate) struct Columns {
    facts: StoreFacts,
    kind: &'static str,
    /// Its server decides logins, and is given the password as text.
    binds: bool,
}

impl Columns {
    /// Asks the store.
    ///
    /// # Errors
    /// If it could not be asked.
    pub(crate) async fn of(session: &Session) -> Result<Self, Failure> {
        let store = store(session, Table::Mailbox);
        let binds = !session.config.store.role(Role::Mailbox).compares_passwords() && store.authenticator().is_some();
        Ok(Self { facts: store.facts(by(session)).await?, kind: store.kind(), binds })
    }

    /// Whether table mailbox has this column.
    pub(crate) fn has(&self, column: &str) -> bool {
        declared(&self.facts, column).is_some_and(|kind| kind != "not mapped")
    }

    /// Fails, before anything is made for it, if the columns of a mailbox are declared too narrow for what they shall hold.
    ///
    /// # Errors
    /// If so.
    pub(crate) fn hold(&self, row: &MailboxRow) -> Result<(), Failure> {
        for (column, cell) in [("username", &row.username), ("home", &row.home)] {
            let length = cell.as_deref().map_or(0, |cell| text(cell).chars().count());
            if let Some(declared) = is_too_narrow(&self.facts, self.kind, column, length) {
                let what =
                    format!("column {column} of table mailbox is {declared}, and has to hold {length} characters");
                return Err(Failure::refused(format!("{what}; nothing was changed")));
            }
        }
        Ok(())
    }

    /// # Errors
    /// If it has no column suspended.
    pub(crate) fn can_suspend(&self) -> Result<(), Failure> {
        if self.has("suspended") {
            return Ok(());
        }
        let how = match self.kind {
            "mysql" => "ALTER TABLE mailbox ADD suspended enum('N','Y') CHARACTER SET ascii NOT NULL DEFAULT 'N'",
            "sqlite" => "ALTER TABLE mailbox ADD suspended TEXT NOT NULL DEFAULT 'N' CHECK (suspended IN ('N','Y'))",
            _ => "map an attribute to suspended (store.mapping.mailbox)",
        };
        Err(Failure::refused(format!("table mailbox has no column suspended; nothing was changed ({how})")))
    }

    /// The form that is wanted, or the strongest one that fits.
    fn choose(&self, hash: Hash) -> Result<Form, Failure> {
        let wanted: &[Form] = match hash {
            Hash::Auto => &[Form::Crypt(Target::Yescrypt), Form::Crypt(Target::Sha512)],
            Hash::Yescrypt => &[Form::Crypt(Target::Yescrypt)],
            Hash::Sha512 => &[Form::Crypt(Target::Sha512)],
            Hash::Argon2 => &[Form::Argon2],
        };
        let mut problem = None;
        for &form in wanted {
            if let Form::Crypt(target) = form
                && !target.is_available()
            {
                let what = format!("this system's crypt(3) makes no {} hashes; use another --hash", target.as_str());
                problem = Some(Failure::refused(what));
                continue;
            }
            match does_not_fit(&self.facts, self.kind, form.length()) {
                None => return Ok(form),
                Some(Rehashed::DoesNotFit { column, declared, needed }) => {
                    problem = Some(self.too_narrow(column, &declared, &needed));
                }
                Some(_) => {}
            }
        }
        Err(problem.unwrap_or_else(|| Failure::refused("there is no hash that this store can keep")))
    }

    fn too_narrow(&self, column: &str, declared: &str, needed: &str) -> Failure {
        let how = match column {
            "password" => {
                "ALTER TABLE mailbox MODIFY password varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
            }
            _ => {
                "ALTER TABLE mailbox MODIFY password_type enum('Password','Crypt-Password','MySQL-Password') CHARACTER \
                 SET ascii NOT NULL DEFAULT 'Password'"
            }
        };
        let declared = if declared.is_empty() { "of a type that is not known" } else { declared };
        let what = format!("column {column} of table mailbox is {declared}, and has to hold {needed}");
        Failure::refused(format!("{what}; nothing was changed ({how})"))
    }

    /// Puts a hash of `password` into a row, and verifies it.
    ///
    /// # Errors
    /// If no hash that the store could keep can be made.
    pub(crate) async fn put(&self, row: &mut CredentialRow, password: &Secret, hash: Hash) -> Result<(), Failure> {
        if self.binds && std::str::from_utf8(password.expose()).is_err() {
            let what =
                "the password is not UTF-8, and the directory's server, which decides logins, could never be given it";
            return Err(Failure::refused(format!("{what}; nothing was changed (auth = \"compare\" takes any bytes)")));
        }
        let form = self.choose(hash)?;
        let offered = password.clone();
        let made = tokio::task::spawn_blocking(move || match form {
            Form::Crypt(target) => rehash::hash(target, &offered),
            Form::Argon2 => argon2_new::hash(&offered),
        });
        let made = made.await.unwrap_or(Err("hashing ended early"));
        row.password = Some(made.map_err(|why| Failure::temporary(format!("no hash was made: {why}")))?);
        // Without that column a hash of crypt(3) is known by its form.
        row.password_type = self.has("password_type").then(|| PASSWORD_TYPE.into());
        Ok(())
    }

    /// Has nobody log in.
    pub(crate) fn put_none(&self, row: &mut CredentialRow) {
        row.password = Some(Secret::new(Vec::new()));
        row.password_type = self.has("password_type").then(|| b"Password".to_vec());
    }
}

/// Fails, before anybody is asked for a password, if no hash of it could be kept.
///
/// # Errors
/// See [`Columns::put`].
pub(crate) fn check(columns: &Columns, options: &cli::Password) -> Result<(), Failure> {
    columns.choose(options.hash).map(drop)
}

/// Reads a password: at a terminal twice, without showing it; else the first line of standard input.
///
/// # Errors
/// If there is none, or none that anybody could log in with.
pub(crate) async fn read(options: &cli::Password) -> Result<Secret, Failure> {
    let password = if options.password_stdin || !stdin().is_terminal() {
        auth::first_line()?
    } else {
        let mut asked = tty::ask(&["New password: ", "Again: "]).await?;
        let again = asked.pop();
        if asked.last() != again.as_ref() {
            return Err(Failure::usage("the two are not the same; nothing was changed"));
        }
        again.ok_or_else(|| Failure::usage("no password was typed"))?
    };
    let why = match password.expose() {
        [] => "the password is empty",
        bytes if bytes.contains(&0) => "the password holds a NUL byte, which no login can carry",
        [.., b'\r'] => "the password ends in a carriage return, which nobody can type",
        bytes if bytes.len() > CRYPT_PHRASE_MAX => {
            "the password is longer than 511 bytes, which is all that crypt(3) takes"
        }
        _ => return Ok(password),
    };
    Err(Failure::usage(format!("{why}; nothing was changed")))
}

/// Reads the password of somebody who wants to log in: as [`read`], but at a terminal once.
///
/// # Errors
/// If there is none.
pub(crate) async fn offered() -> Result<Secret, Failure> {
    if !stdin().is_terminal() {
        return auth::first_line();
    }
    tty::ask(&["Password: "]).await?.pop().ok_or_else(|| Failure::usage("no password was typed"))
}

/// What came of looking whether a password works.
pub(crate) enum Works {
    /// It logs in, or would if the mailbox were not suspended.
    Yes,
    /// It does not, for this reason.
    No(String),
}

/// Reads the row back, and tries the password: against the row, and where a directory decides logins, there too.
///
/// # Errors
/// If the store could not be asked.
pub(crate) async fn works(session: &Session, name: &Username, password: &Secret) -> Result<Works, Failure> {
    let Some(row) = mailbox(session, name).await? else { return Ok(Works::No("its row is gone".to_owned())) };
    let offered = password.clone();
    let verdict =
        tokio::task::spawn_blocking(move || verify(row.password.as_ref(), row.password_type.as_deref(), &offered));
    match verdict.await {
        Ok(Verdict::Match) => {}
        Ok(Verdict::Mismatch | Verdict::Unusable) => return Ok(Works::No("the store kept something else".to_owned())),
        Ok(Verdict::Unverifiable(why)) => return Ok(Works::No(why.to_owned())),
        Ok(Verdict::NoAnswer(why)) => return Err(Failure::temporary(why)),
        Err(_) => return Err(Failure::temporary("verifying ended early")),
    }
    let store = store(session, Table::Mailbox);
    if session.config.store.role(Role::Mailbox).compares_passwords() {
        return Ok(Works::Yes);
    }
    let Some(authenticator) = store.authenticator() else { return Ok(Works::Yes) };
    Ok(match authenticator.authenticate(name, password, by(session)).await? {
        AuthAnswer::Granted(_) | AuthAnswer::Refused(Refusal::Suspended) => Works::Yes,
        AuthAnswer::Refused(_) => Works::No("the directory's server does not know this kind of hash".to_owned()),
    })
}
