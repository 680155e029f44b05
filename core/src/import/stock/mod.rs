//! A stock qmail as rows: what means the same as rows becomes rows, and all else stays where it is and is told.
//!
//! | file | what |
//! |---|---|
//! | [`users`] | passwd and shadow: who is a mailbox, as qmail-getpw sees it |
//! | [`assign`] | users/assign: mailboxes, and what contradicts them |
//! | [`dotqmail`] | dot-qmail files as sets of table alias |
//! | [`hosts`] | control/virtualdomains and control/rcpthosts |
//!
//! "The same" is by the rules: what the rows answer for an address is what qmail did with it, as long as the files that
//! are not carried over stay where they are.

pub mod assign;
pub mod dotqmail;
pub mod hosts;
pub mod users;

#[cfg(test)]
mod tests;

use crate::key::fold;
use crate::rules::candidates;
use std::collections::BTreeMap;

/// What a person should know about the rows that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is not in the rows: what it is about, and why.
    pub losses: Vec<(String, String)>,
    /// Nothing is lost.
    pub notes: Vec<(String, String)>,
}

impl Told {
    fn lose(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.losses.push((what.into(), why.into()));
    }

    fn note(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.notes.push((what.into(), why.into()));
    }
}

/// Uid, gid and home.
pub type Place = (u32, u32, Vec<u8>);

/// All whom qmail delivers to under names of their own, by folded name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Those that are rows.
    pub mailboxes: BTreeMap<Vec<u8>, Place>,
    /// Those that the stock qmail-getpw finds, and that are no rows.
    pub others: BTreeMap<Vec<u8>, Place>,
}

impl People {
    /// True if mail for this local part, without an extension, is somebody's.
    #[must_use]
    pub fn knows(&self, name: &[u8]) -> bool {
        self.mailboxes.contains_key(name) || self.others.contains_key(name)
    }

    /// The longest beginning of `local` that is somebody's name, and the extension that is left (rules G1 and G2).
    #[must_use]
    pub fn owner(&self, local: &[u8], breaks: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let tried = candidates(local, breaks).into_iter();
        let mut known = tried.filter(|candidate| self.knows(candidate.name.as_bytes()));
        let found = known.next()?;
        let ext = found.ext_at.and_then(|at| local.get(at..)).unwrap_or_default();
        Some((found.name.as_bytes().to_vec(), ext.to_vec()))
    }

    /// True if somebody's name begins with `local`.
    fn begin_with(&self, local: &[u8]) -> bool {
        self.mailboxes.keys().chain(self.others.keys()).any(|name| name.starts_with(local))
    }

    /// Those whose names begin with `name` and a break character; and what follows.
    fn below<'a>(&'a self, name: &'a [u8], breaks: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let all = self.mailboxes.keys().chain(self.others.keys());
        all.filter_map(move |other| match other.strip_prefix(name) {
            Some([at, rest @ ..]) if breaks.contains(at) => Some((&other[..], rest)),
            _ => None,
        })
    }
}

/// Decimal digits; nothing else, and no number that no id can be.
fn id(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// The lines of a file, numbered from 1; empty ones left out.
fn numbered(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    content.split(|&b| b == b'\n').enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.is_empty())
}

/// As qmail compares names.
fn is(name: &[u8], other: &[u8]) -> bool {
    fold(name) == fold(other)
}
