//! Single questions for people: one mailbox, one set of instructions.

use super::deliver::{Delivery, Exts, Own, rows};
use super::facts::Facts;
use super::{Question, Stop};
use crate::key::Username;
use crate::mailbox::Mailbox;

/// The mailbox of exactly this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneMailbox {
    /// As typed.
    pub name: Vec<u8>,
}

impl Question for OneMailbox {
    type Answer = Option<Mailbox>;

    fn decide(&self, facts: &Facts<'_>) -> Result<Option<Mailbox>, Stop> {
        match Username::new(&self.name) {
            Some(name) => facts.mailboxes("K2", vec![name.clone()])?.one(&name, facts.settings),
            None => Ok(None),
        }
    }
}

/// The instructions of one mailbox, or of the alias user, and one extension; `None` if the name can be no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// Mailbox name as typed, or the alias user's.
    pub username: Vec<u8>,
    /// Extension in original case; empty for the user's own default.
    pub ext: Vec<u8>,
    /// Home of the alias user.
    pub alias_home: Vec<u8>,
}

impl Question for Instructions {
    type Answer = Option<Delivery>;

    fn decide(&self, facts: &Facts<'_>) -> Result<Option<Delivery>, Stop> {
        let Some(name) = Username::new(&self.username) else { return Ok(None) };
        let mailbox = facts.mailboxes("K2", vec![name.clone()])?.one(&name, facts.settings)?;
        let home = mailbox.map_or_else(|| self.alias_home.clone(), |mailbox| mailbox.home);
        let exts = Exts { ext: &self.ext, own: Own::NamesAndAddresses, address: None };
        rows(facts, &name, exts, &home).map(Some)
    }
}
