//! passwd and shadow: who is a mailbox, as qmail-getpw sees it.

use super::{Told, id, numbered};
use crate::credential::CredentialRow;
use crate::error::printable;
use crate::mailbox::MailboxRow;
use crate::password::{Secret, classify};
use crate::settings::{HomeTrouble, RuleSettings};
use std::collections::HashMap;

/// Longest name that the stock qmail-getpw looks for. Unit: bytes. Source: `GETPW_USERLEN` of qmail.
pub const NAME_MAX: usize = 31;

/// A line of passwd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it stands there.
    pub name: Vec<u8>,
    /// The second field.
    pub login: Login,
    /// Third field.
    pub uid: u32,
    /// Fourth field.
    pub gid: u32,
    /// Sixth field.
    pub home: Vec<u8>,
}

/// What lets somebody log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A hash that can be verified.
    Hash(Secret),
    /// It stands in the shadow file.
    Elsewhere,
    /// Nothing does, for this reason.
    Shut(&'static str),
}

impl Login {
    /// Reads a password field.
    #[must_use]
    pub fn read(field: &[u8]) -> Self {
        match field {
            b"x" => Self::Elsewhere,
            b"" => Self::Shut("empty there, which lets nobody in here"),
            [b'!' | b'*', ..] => Self::Shut("locked"),
            hash => {
                let hash = Secret::new(hash.to_vec());
                match classify(Some(&hash), Some(b"Crypt-Password")) {
                    Ok(_) => Self::Hash(hash),
                    Err(_) => Self::Shut("of a kind that is not verified here"),
                }
            }
        }
    }
}

/// The lines of a passwd file; of several with one name the first, as getpwnam has it.
pub fn passwd(content: &[u8], told: &mut Told) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (number, line) in numbered(content) {
        let what = || format!("passwd line {number}");
        if matches!(line.first(), Some(b'+' | b'-')) {
            told.lose(what(), "it stands for users of another service; import the output of `getent passwd`");
            continue;
        }
        let fields: Vec<_> = line.split(|&b| b == b':').collect();
        let [name, password, uid, gid, _, home, _] = fields[..] else {
            told.lose(what(), "not seven fields with colons between them");
            continue;
        };
        let (Some(uid), Some(gid)) = (id(uid), id(gid)) else {
            told.lose(what(), format!("user {}: uid or gid is no number", printable(name)));
            continue;
        };
        if names.insert(name) {
            users.push(User { name: name.to_vec(), login: Login::read(password), uid, gid, home: home.to_vec() });
        }
    }
    users
}

/// The passwords of a shadow file by name. `today`: days since 1970-01-01; an account that has expired has none.
#[must_use]
pub fn shadow(content: &[u8], today: u64) -> HashMap<Vec<u8>, Login> {
    let mut found = HashMap::new();
    for (_, line) in numbered(content) {
        let fields: Vec<_> = line.split(|&b| b == b':').collect();
        let (Some(name), Some(password)) = (fields.first(), fields.get(1)) else { continue };
        let expires = fields.get(7).and_then(|days| id(days));
        let login = match Login::read(password) {
            Login::Hash(_) if expires.is_some_and(|day| u64::from(day) <= today) => Login::Shut("expired"),
            Login::Elsewhere => Login::Shut("locked"),
            login => login,
        };
        found.entry(name.to_vec()).or_insert(login);
    }
    found
}

/// What there is at the path of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// Nothing.
    Missing,
    /// Something of this uid and gid.
    Of(u32, u32),
    /// It could not be examined, for this reason.
    Unknown(String),
    /// qmail-getpw cannot get past this directory on the way to it.
    Behind(String),
}

/// What finds a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// qmail-getpw, in passwd.
    Getpw,
    /// qmail-lspawn, in users/cdb: he may have a longer name.
    Cdb,
}

/// What becomes of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// A row.
    Mailbox,
    /// What finds users passes him over, for this reason.
    PassedOver(&'static str),
    /// He gets mail, and as a row he would not: why.
    Stays(String),
}

/// Judges a user by what qmail-getpw looks at, then by rules G3 and K3.
#[must_use]
pub fn judge(user: &User, by: By, home: &Home, rules: &RuleSettings) -> Judged {
    if user.uid == 0 {
        return Judged::PassedOver("uid 0");
    }
    if user.name.iter().any(u8::is_ascii_uppercase) {
        return Judged::PassedOver("capital letters in the name");
    }
    if by == By::Getpw && user.name.len() > NAME_MAX {
        return Judged::PassedOver("a name of more than 31 bytes");
    }
    let group = match home {
        Home::Missing => return Judged::PassedOver("no home"),
        Home::Of(uid, _) if *uid != user.uid => return Judged::PassedOver("another's home"),
        Home::Of(_, gid) => *gid,
        Home::Unknown(why) => return Judged::Stays(format!("the home cannot be examined: {why}")),
        Home::Behind(directory) => {
            return Judged::Stays(format!(
                "qmail-getpw's user (qmailp) cannot get past {directory}: with a row the mail would wait; chmod o+x it"
            ));
        }
    };
    if group != user.gid {
        let waits = if rules.home_mismatch == HomeTrouble::Defer { "wait" } else { "go to the alias user" };
        return Judged::Stays(format!(
            "the home is of group {group}, the user of {}: with a row the mail would {waits} (rules.home_mismatch); \
             chgrp it, or change the user's group",
            user.gid
        ));
    }
    match row(user).validate(rules) {
        Ok(_) => Judged::Mailbox,
        Err(bad) => Judged::Stays(format!("with a row the mail would wait: column {}: {}", bad.column, bad.problem)),
    }
}

fn row(user: &User) -> MailboxRow {
    let digits = |id: u32| Some(id.to_string().into_bytes());
    MailboxRow {
        username: Some(user.name.clone()),
        uid: digits(user.uid),
        gid: digits(user.gid),
        home: Some(user.home.clone()),
        suspended: Some(b"N".to_vec()),
    }
}

/// The row of a mailbox. Without a hash its password is empty, which lets nobody in (rule P2).
#[must_use]
pub fn mailbox(user: &User, login: &Login) -> CredentialRow {
    let hash = match login {
        Login::Hash(hash) => hash.clone(),
        Login::Elsewhere | Login::Shut(_) => Secret::new(Vec::new()),
    };
    CredentialRow { mailbox: row(user), password: Some(hash), password_type: Some(b"Crypt-Password".to_vec()) }
}
