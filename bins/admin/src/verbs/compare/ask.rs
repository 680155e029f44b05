//! Asks both sides at once, many questions at a time.

use super::questions::Questions;
use super::report::Report;
use crate::output::Failure;
use crate::progress::Progress;
use crate::session::Session;
use crate::verbs::lint;
use futures_util::future::join;
use futures_util::stream::{FuturesOrdered, StreamExt};
use qmail_lookup_core::compare::{Key, Seen, UNKNOWN, Verdict};
use qmail_lookup_core::control::Control;
use qmail_lookup_core::getpw::Owner;
use qmail_lookup_core::rules::{Accepted, Deliver, Explain, Getpw, Instructions, OneMailbox, VirtualAddress};
use qmail_lookup_core::virtuals::Encoded;
use qmail_lookup_core::{Deadline, Lookup, LookupError};
use std::sync::Arc;
use std::time::Duration;

/// So many questions in a row without an answer: the rest is not asked. A server that is down would let each wait.
const UNANSWERED_MAX: u32 = 100;

/// Asks all questions, and reports what came out of each, in order.
///
/// # Errors
/// If a temporary file cannot be read or written. A side that does not answer is reported.
pub(super) async fn run(
    sides: [&Session; 2],
    questions: &Questions,
    parallel: u16,
    progress: &mut Progress,
    report: &mut Report,
) -> Result<(), Failure> {
    let [left, right] = sides.map(Side::of);
    let (left, right) = (&left, &right);
    progress.begin("asking both sides", Some(questions.count()?));
    let mut coming = questions.iter();
    let mut under_way = FuturesOrdered::new();
    let mut unanswered = 0;
    loop {
        while unanswered < UNANSWERED_MAX && under_way.len() < usize::from(parallel) {
            let Some(next) = coming.next() else { break };
            let (key, steps) = next?;
            under_way.push_back(async move {
                let seen = join(left.seen(&key), right.seen(&key)).await;
                (key, steps, seen)
            });
        }
        let Some((key, steps, (left, right))) = under_way.next().await else { break };
        let verdict = Verdict::of(left.as_ref().ok(), right.as_ref().ok());
        unanswered = if verdict == Verdict::NotAsked { unanswered + 1 } else { 0 };
        report.take(&key, verdict, [left, right])?;
        progress.advance(steps);
    }
    for rest in coming {
        let (key, _) = rest?;
        report.not_asked(key.kind());
    }
    Ok(())
}

struct Side {
    lookup: Lookup,
    /// None of qmail's control files: both sides are asked what their rows say.
    control: Arc<Control>,
    alias_home: Vec<u8>,
    deadline: Duration,
}

impl Side {
    fn of(session: &Session) -> Self {
        Self {
            lookup: lint::joined(&session.lookup),
            control: Arc::default(),
            alias_home: session.alias_home(),
            deadline: session.config.deadline,
        }
    }

    async fn seen(&self, key: &Key) -> Result<Seen, LookupError> {
        let by = Deadline::after(self.deadline);
        let lookup = &self.lookup;
        let alias_home = || self.alias_home.clone();
        Ok(match key {
            // A login's password is no question to a resolver.
            Key::Mailbox(name) | Key::Password(name) => {
                Seen::of(&lookup.judge(OneMailbox { name: name.clone() }, by).await?)
            }
            Key::Local(local) => self.local(local, by).await?,
            Key::Alias { user, ext } => {
                let (username, ext, alias_home) = (user.clone(), ext.clone(), alias_home());
                Seen::of(&lookup.judge(Instructions { username, ext, alias_home }, by).await?)
            }
            Key::Address(address) => {
                let explain =
                    Explain { address: address.clone(), control: Arc::clone(&self.control), alias_home: alias_home() };
                let owner = lookup.judge(VirtualAddress { address: address.clone() }, by);
                let (owner, outcome) = join(owner, lookup.judge(explain, by)).await;
                Seen::of_both(&owner?, &outcome?)
            }
            Key::Host(host) => Seen::of(&lookup.judge(Accepted { host: host.clone() }, by).await?),
        })
    }

    /// What qmail-getpw is told, and then qmail-local.
    async fn local(&self, local: &[u8], by: Deadline) -> Result<Seen, LookupError> {
        let owner = match self.lookup.judge(Getpw { local: local.to_vec() }, by).await? {
            Ok(owner) => owner,
            bad => return Ok(Seen::of(&bad)),
        };
        let alias = || self.lookup.settings.alias_user.clone().into_bytes();
        let (user, dash, ext) = match &owner {
            Owner::Mailbox { mailbox, dash, ext } => (mailbox.username.as_bytes().to_vec(), *dash, ext.clone()),
            // The stock program ends there, unless a system user has the name.
            Owner::AliasUser { ext } | Owner::Stock { local: ext } => (alias(), &b"-"[..], ext.clone()),
        };
        let domain = match Encoded::decode(local) {
            Some(encoded) if encoded.host.as_bytes().starts_with(b".") => {
                [UNKNOWN.as_bytes(), encoded.host.as_bytes()].concat()
            }
            Some(encoded) => encoded.host.as_bytes().to_vec(),
            None => Vec::new(),
        };
        let deliver = Deliver {
            user,
            local: local.to_vec(),
            dash: dash.to_vec(),
            ext,
            domain,
            system_home: Some(self.alias_home.clone()),
            is_local: false,
        };
        let delivered = self.lookup.judge(deliver, by).await?;
        Ok(Seen::of_both(&owner, &delivered.map(|delivered| delivered.delivery)))
    }
}
