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
    /// Kept only for who wants to read them: words cost more than decisions.
    notes: Option<RefCell<Vec<Note>>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(settings: &'a RuleSettings, told: &'a [(Ask, Told)], noting: bool) -> Self {
        Self { settings, told, next: Cell::new(0), notes: noting.then(RefCell::default) }
    }

    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Notes a decision.
    pub(super) fn note<T: Into<String>>(&self, rule: &'static str, text: impl FnOnce() -> T) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().push(Note::Decided { rule, text: text().into() });
        }
    }

    fn asked(&self, rule: &'static str, question: usize) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().push(Note::Asked { rule, question });
        }
    }

    /// The rows told for `ask`, if this question was asked before at this place.
    fn told<R>(&self, rule: &'static str, ask: Ask, rows: impl FnOnce(&'a Told) -> Option<&'a [R]>) -> Rows<'a, R> {
        let at = self.next.get();
        self.asked(rule, at);
        match self.told.get(at).filter(|(asked, _)| *asked == ask).and_then(|(_, told)| rows(told)) {
            Some(rows) => {
                self.next.set(at + 1);
                Ok(rows)
            }
            None => Err(Stop::Ask(ask)),
        }
    }

    /// Mailbox rows of `names`. Here and below nobody is asked about no key at all.
    pub(super) fn mailboxes(&self, rule: &'static str, names: Vec<Username>) -> Result<MailboxRows<'a>, Stop> {
        if names.is_empty() {
            return Ok(MailboxRows(&[]));
        }
        // An earlier question may have been about them too: one round trip less.
        let before = self.told.iter().take(self.next.get()).enumerate();
        for (at, (ask, told)) in before {
            if let (Ask::Mailboxes(known), Told::Mailboxes(rows)) = (ask, told)
                && names.iter().all(|name| known.contains(name))
            {
                self.asked(rule, at);
                return Ok(MailboxRows(rows));
            }
        }
        let rows = |told: &'a Told| if let Told::Mailboxes(rows) = told { Some(&rows[..]) } else { None };
        self.told(rule, Ask::Mailboxes(names), rows).map(MailboxRows)
    }

    /// Alias rows of `keys`.
    pub(super) fn aliases(&self, rule: &'static str, keys: Vec<AliasKey>) -> Rows<'a, AliasRow> {
        if keys.is_empty() {
            return Ok(&[]);
        }
        let rows = |told: &'a Told| if let Told::Aliases(rows) = told { Some(&rows[..]) } else { None };
        self.told(rule, Ask::Aliases(keys), rows)
    }

    /// Virtual rows of `keys`.
    pub(super) fn virtuals(&self, rule: &'static str, keys: Vec<VirtualKey>) -> Rows<'a, VirtualRow> {
        if keys.is_empty() {
            return Ok(&[]);
        }
        let rows = |told: &'a Told| if let Told::Virtuals(rows) = told { Some(&rows[..]) } else { None };
        self.told(rule, Ask::Virtuals(keys), rows)
    }

    /// Rcpthosts rows of `hosts`.
    pub(super) fn rcpthosts(&self, rule: &'static str, hosts: Vec<Host>) -> Rows<'a, HostRow> {
        if hosts.is_empty() {
            return Ok(&[]);
        }
        let rows = |told: &'a Told| if let Told::Rcpthosts(rows) = told { Some(&rows[..]) } else { None };
        self.told(rule, Ask::Rcpthosts(hosts), rows)
    }
}

/// Rows as told: perhaps more than was asked for.
type Rows<'a, R> = Result<&'a [R], Stop>;

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
