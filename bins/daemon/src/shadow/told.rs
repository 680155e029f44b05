//! Answers as they go out, taken apart into fields with names.

use crate::answer::Said;
use crate::question::Name;
use qmail_lookup_core::compare::Fields;
use qmail_lookup_core::getpw::{SixFields, Winner};
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::wire::{getpw, netstring};
use qmail_lookup_core::{Mailbox, Standing};
use std::hash::BuildHasher;

/// Longest value that is kept as it is. Unit: bytes.
const KEPT: usize = 32;

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Found(Fields),
    /// The store has nothing about it: "not found", for `getpw` and `deliver` what is left to qmail's own files, and for
    /// `recipient` both what is not ours and what would bounce (rule V5), which differ by their field.
    Absent(Fields),
    /// A temporary answer.
    Unknown,
}

impl Told {
    /// Absent, and nothing more to say.
    pub(super) fn nothing() -> Self {
        Self::Absent(Vec::new())
    }

    /// An answer of the lookup socket.
    pub(crate) fn said(name: Name, said: &Said) -> Self {
        let data = match said {
            Said::Ok(data) | Said::Delivery(data) => data,
            Said::NotFound if name == Name::Recipient => return recipient(b"unknown"),
            Said::NotFound => return Self::nothing(),
            Said::Temp(_) | Said::Timeout(_) | Said::Perm(_) => return Self::Unknown,
        };
        match name {
            Name::Getpw => owner(data),
            Name::Deliver => delivery(data),
            Name::Mailbox => mailbox(data),
            Name::Skipped => Self::Unknown,
            Name::Rcpthosts => Self::one("host", data),
            Name::Recipient => recipient(data),
            Name::Virtual => Self::one("owner", data),
            Name::VirtualMailbox => Self::one("path", data),
            Name::VirtualAlias => Self::one("addresses", data),
            Name::VirtualUid => Self::one("uid", data),
            Name::VirtualGid => Self::one("gid", data),
        }
    }

    fn one(field: &'static str, data: &[u8]) -> Self {
        Self::Found(vec![(field, data.to_vec())])
    }

    /// A reply to `userdb`.
    pub(crate) fn userdb(reply: &Reply) -> Self {
        match reply {
            Reply::Ok(account) => Self::Found(of_account(account)),
            Reply::No => Self::nothing(),
            Reply::Stock | Reply::Temporary(_) | Reply::Done(_) => Self::Unknown,
        }
    }

    /// A reply to a login. Why one was refused may be its password, which says nothing about the store.
    pub(crate) fn login(reply: &Reply) -> Self {
        match reply {
            Reply::Ok(account) => Self::Found([of_account(account), vec![standing(Standing::Active)]].concat()),
            _ => Self::Unknown,
        }
    }

    /// As [`Told::login`] or [`Told::userdb`] of a mailbox.
    pub(super) fn mailbox(login: bool, mailbox: &Mailbox) -> Self {
        let Mailbox { username, uid, gid, home, .. } = mailbox;
        let account = Account { user: username.as_bytes().to_vec(), uid: *uid, gid: *gid, home: home.clone() };
        match (login, mailbox.standing) {
            (true, now) => Self::Found([of_account(&account), vec![standing(now)]].concat()),
            (false, Standing::Bounced) => Self::nothing(),
            (false, _) => Self::Found(of_account(&account)),
        }
    }

    /// With a hash in the place of each long value, so that what waits is small.
    pub(super) fn shortened(mut self, hasher: &impl BuildHasher) -> Self {
        if let Self::Found(fields) | Self::Absent(fields) = &mut self {
            for (_, value) in fields.iter_mut().filter(|(_, value)| value.len() > KEPT) {
                *value = [value.len().to_be_bytes(), hasher.hash_one(&*value).to_be_bytes()].concat();
            }
        }
        self
    }

    /// Unit: bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Found(fields) | Self::Absent(fields) => {
                fields.iter().map(|(_, value)| size_of::<&str>() + value.len()).sum()
            }
            Self::Unknown => 0,
        }
    }
}

/// As `qmail-lookup compare` has it.
fn recipient(word: &[u8]) -> Told {
    let fields = vec![("recipient", word.to_vec())];
    if word == b"possible" { Told::Found(fields) } else { Told::Absent(fields) }
}

fn standing(standing: Standing) -> (&'static str, Vec<u8>) {
    let word: &[u8] = match standing {
        Standing::Active => b"active",
        Standing::Suspended => b"suspended",
        Standing::Bounced => b"bounced",
    };
    ("standing", word.to_vec())
}

fn number(id: u32) -> Vec<u8> {
    id.to_string().into_bytes()
}

fn of_account(account: &Account) -> Fields {
    let Account { user, uid, gid, home } = account;
    vec![("user", user.clone()), ("uid", number(*uid)), ("gid", number(*gid)), ("home", home.clone())]
}

/// What the store and the rules say; the rest of the answer is about this system.
fn owner(data: &[u8]) -> Told {
    let Ok(answer) = getpw::decode(data) else { return Told::Unknown };
    Told::Found(match (answer.winner, answer.alias) {
        (Winner::Mailbox(SixFields { user, uid, gid, home, dash, ext }), _) => vec![
            ("owner", b"mailbox".to_vec()),
            ("user", user),
            ("uid", number(uid)),
            ("gid", number(gid)),
            ("home", home),
            ("dash", dash),
            ("ext", ext),
        ],
        (Winner::AliasUser, alias) => {
            let ext = alias.map(|fields| ("ext", fields.ext));
            std::iter::once(("owner", b"alias".to_vec())).chain(ext).collect()
        }
        (Winner::Stock(local), _) => return Told::Absent(vec![("owner", b"stock".to_vec()), ("local", local)]),
    })
}

fn delivery(data: &[u8]) -> Told {
    match netstring::exactly(data) {
        Ok([_, b"files", _, owner, _]) => {
            Told::Absent(vec![("policy", b"files".to_vec()), ("owner_flags", owner.to_vec())])
        }
        Ok([_, policy, rows, owner, rest]) => {
            let what = if policy == b"deliver" { "instructions" } else { "text" };
            let fields = [("policy", policy), ("rows", rows), ("owner_flags", owner), (what, rest)];
            Told::Found(fields.map(|(name, value)| (name, value.to_vec())).to_vec())
        }
        Err(_) => Told::Unknown,
    }
}

/// `USER:UID:GID:HOME`; the home may hold colons, and so may a user's name.
fn mailbox(data: &[u8]) -> Told {
    let home = data.windows(2).position(|two| two == b":/").map_or(data.len(), |at| at + 1);
    let (account, home) = data.split_at(home);
    let account = account.strip_suffix(b":").unwrap_or(account);
    let mut parts = account.rsplitn(3, |&b| b == b':');
    let (gid, uid, user) = (parts.next(), parts.next(), parts.next());
    let fields = [("user", user), ("uid", uid), ("gid", gid), ("home", Some(home))];
    Told::Found(fields.into_iter().filter_map(|(name, value)| Some((name, value?.to_vec()))).collect())
}
