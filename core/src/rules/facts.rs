//! What a rule knows: the settings, and the rows it was told. A rule cannot tell "not told" from anything else,
//! because asking for what was not told ends it.

use super::{Ask, Stop, Told, twice};
use crate::alias::AliasRow;
use crate::key::{AliasKey, Host, Username, VirtualKey};
use crate::mailbox::{Mailbox, MailboxRow};
use crate::rcpthosts::HostRow;
use crate::settings::RuleSettings;
use crate::virtuals::VirtualRow;
use std::cell::{Cell, RefCell};

/// One thing a rule did, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It asked: number of the question in this resolution, from 0.
    Asked {
        /// The rule that asked.
        rule: &'static str,
        /// Place among the questions of this resolution.
        question: usize,
    },
    /// It decided.
    Decided {
        /// The rule that decided.
        rule: &'static str,
        /// What, in words.
        text: String,
    },
}

/// See the module.
pub struct Facts<'a> {
    /// The administrator's choices.
    pub settings: &'a RuleSettings,
    told: &'a [(Ask, Told)],
    next: Cell<usize>,
    notes: RefCell<Vec<Note>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(settings: &'a RuleSettings, told: &'a [(Ask, Told)]) -> Self {
        Self { settings, told, next: Cell::new(0), notes: RefCell::default() }
    }

    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes.into_inner()
    }

    /// Notes a decision.
    pub(super) fn note(&self, rule: &'static str, text: impl Into<String>) {
        self.notes.borrow_mut().push(Note::Decided { rule, text: text.into() });
    }

    /// The rows told for `ask`, if this question was asked before at this place.
    fn told(&self, rule: &'static str, ask: Ask) -> Result<&'a Told, Stop> {
        let at = self.next.get();
        self.notes.borrow_mut().push(Note::Asked { rule, question: at });
        match self.told.get(at) {
            Some((asked, told)) if *asked == ask => {
                self.next.set(at + 1);
                Ok(told)
            }
            _ => Err(Stop::Ask(ask)),
        }
    }

    /// Mailbox rows of `names`.
    pub(super) fn mailboxes(&self, rule: &'static str, names: Vec<Username>) -> Result<MailboxRows<'a>, Stop> {
        if names.is_empty() {
            return Ok(MailboxRows(&[]));
        }
        let ask = Ask::Mailboxes(names);
        match self.told(rule, ask.clone())? {
            Told::Mailboxes(rows) => Ok(MailboxRows(rows)),
            _ => Err(Stop::Ask(ask)),
        }
    }

    /// Alias rows of `keys`.
    pub(super) fn aliases(&self, rule: &'static str, keys: Vec<AliasKey>) -> Result<&'a [AliasRow], Stop> {
        if keys.is_empty() {
            return Ok(&[]);
        }
        let ask = Ask::Aliases(keys);
        match self.told(rule, ask.clone())? {
            Told::Aliases(rows) => Ok(rows),
            _ => Err(Stop::Ask(ask)),
        }
    }

    /// Virtual rows of `keys`.
    pub(super) fn virtuals(&self, rule: &'static str, keys: Vec<VirtualKey>) -> Result<&'a [VirtualRow], Stop> {
        if keys.is_empty() {
            return Ok(&[]);
        }
        let ask = Ask::Virtuals(keys);
        match self.told(rule, ask.clone())? {
            Told::Virtuals(rows) => Ok(rows),
            _ => Err(Stop::Ask(ask)),
        }
    }

    /// Rcpthosts rows of `hosts`.
    pub(super) fn rcpthosts(&self, rule: &'static str, hosts: Vec<Host>) -> Result<&'a [HostRow], Stop> {
        if hosts.is_empty() {
            return Ok(&[]);
        }
        let ask = Ask::Rcpthosts(hosts);
        match self.told(rule, ask.clone())? {
            Told::Rcpthosts(rows) => Ok(rows),
            _ => Err(Stop::Ask(ask)),
        }
    }
}

/// Mailbox rows as told: perhaps more than was asked for.
#[derive(Clone, Copy)]
pub(super) struct MailboxRows<'a>(&'a [MailboxRow]);

impl MailboxRows<'_> {
    /// True if there is a row of exactly this name (rule K2); it is not judged.
    pub(super) fn has(self, name: &Username) -> bool {
        self.0.iter().any(|row| name.matches(row.username.as_deref()))
    }

    /// The mailbox of exactly this name, judged (rules K2, K3).
    pub(super) fn one(self, name: &Username, settings: &RuleSettings) -> Result<Option<Mailbox>, Stop> {
        let mut rows = self.0.iter().filter(|row| name.matches(row.username.as_deref()));
        let Some(row) = rows.next() else { return Ok(None) };
        if rows.next().is_some() {
            return Err(twice(name).into());
        }
        Ok(Some(row.validate(settings)?))
    }
}
