//! Every decision of qmail-lookup, without any I/O.
//!
//! A rule is a [`Question`]: a plain function over [`Facts`]. When it needs rows that it was not told yet it stops
//! with an [`Ask`]; whoever drives it fetches them, [tells](Resolution::tell) them and steps again. The function
//! then runs from the start over what is known, so it reads from top to bottom and keeps no state of its own.
//! The daemon, `explain`, the fuzzers and the property tests all drive the same values.

mod address;
mod deliver;
mod facts;
mod local;
mod login;
mod queued;
mod rcpthost;
mod recipient;
mod shown;
mod single;
mod virtual_host;

#[cfg(test)]
mod tests;

pub use address::{Explain, Outcome, Verdict, VirtualAddress, VirtualOwner};
pub use deliver::{Delivery, NO_MAILBOX, OwnerFlags, Set};
pub use facts::{Facts, Note};
pub use local::{Getpw, Route, candidates};
pub use login::Login;
pub use queued::{Deliver, Delivered};
pub use rcpthost::Accepted;
pub use recipient::{Recipient, Standing as RecipientStanding};
pub use shown::shown;
pub use single::{Instructions, OneMailbox};
#[cfg(feature = "resolver")]
pub(crate) use virtual_host::{agree, judge_target, leftover};

use crate::alias::AliasRow;
use crate::error::Misconfiguration;
use crate::key::{AliasKey, Host, Username, VirtualKey};
use crate::mailbox::MailboxRow;
use crate::rcpthosts::HostRow;
use crate::settings::RuleSettings;
use crate::virtuals::VirtualRow;
use std::sync::Arc;

/// What the rules want to know next. Never holds an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Rows of table mailbox.
    Mailboxes(Vec<Username>),
    /// Rows of table alias.
    Aliases(Vec<AliasKey>),
    /// Rows of table virtual.
    Virtuals(Vec<VirtualKey>),
    /// Rows of table rcpthosts.
    Rcpthosts(Vec<Host>),
}

/// What a store that was reached has said; "none" is an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Rows of table mailbox.
    Mailboxes(Vec<MailboxRow>),
    /// Rows of table alias.
    Aliases(Vec<AliasRow>),
    /// Rows of table virtual.
    Virtuals(Vec<VirtualRow>),
    /// Rows of table rcpthosts.
    Rcpthosts(Vec<HostRow>),
}

/// Where a resolution stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Fetch this, [tell](Resolution::tell) it, step again.
    Ask(Ask),
    /// Finished.
    Done(T),
}

/// Why a rule stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It needs these rows.
    Ask(Ask),
    /// The data contradicts the rules.
    Bad(Misconfiguration),
}

impl From<Misconfiguration> for Stop {
    fn from(bad: Misconfiguration) -> Self {
        Self::Bad(bad)
    }
}

/// Something the rules can decide.
pub trait Question {
    /// What comes out.
    type Answer;

    /// Decides, as far as `facts` reach.
    ///
    /// # Errors
    /// [`Stop::Ask`] when rows are missing, [`Stop::Bad`] when the data contradicts the rules.
    fn decide(&self, facts: &Facts<'_>) -> Result<Self::Answer, Stop>;
}

/// One question on its way to an answer.
#[derive(Clone, Debug)]
pub struct Resolution<Q> {
    question: Q,
    settings: Arc<RuleSettings>,
    told: Vec<(Ask, Told)>,
}

impl<Q: Question> Resolution<Q> {
    /// Begins.
    #[must_use]
    pub fn new(question: Q, settings: Arc<RuleSettings>) -> Self {
        Self { question, settings, told: Vec::new() }
    }

    /// Decides as far as possible.
    ///
    /// # Errors
    /// When the data contradicts the rules: temporary to mail.
    pub fn step(&self) -> Result<Step<Q::Answer>, Misconfiguration> {
        self.decide(&Facts::new(&self.settings, &self.told, false))
    }

    /// As [`Resolution::step`], and replaces `notes` by every decision so far.
    ///
    /// # Errors
    /// As [`Resolution::step`].
    pub fn step_noting(&self, notes: &mut Vec<Note>) -> Result<Step<Q::Answer>, Misconfiguration> {
        let facts = Facts::new(&self.settings, &self.told, true);
        let outcome = self.decide(&facts);
        *notes = facts.into_notes();
        outcome
    }

    fn decide(&self, facts: &Facts<'_>) -> Result<Step<Q::Answer>, Misconfiguration> {
        match self.question.decide(facts) {
            Ok(answer) => Ok(Step::Done(answer)),
            Err(Stop::Ask(ask)) => Ok(Step::Ask(ask)),
            Err(Stop::Bad(bad)) => Err(bad),
        }
    }

    /// Takes the rows that were asked for.
    pub fn tell(&mut self, ask: Ask, told: Told) {
        self.told.push((ask, told));
    }
}

/// The misconfiguration of two mailbox rows for one name (rule K3).
#[must_use]
pub fn twice(who: &Username) -> Misconfiguration {
    Misconfiguration {
        rule: "K3",
        table: "mailbox",
        key: who.to_string(),
        column: "username",
        problem: "more than one row has this name".to_owned(),
    }
}
