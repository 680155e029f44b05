//! From a question's name and key to its answer.

use crate::daemon::{Daemon, GENERIC, NOT_ALLOWED, shown};
use crate::metrics::Verdict;
use crate::peer::Peer;
use crate::question::Name;
use crate::shadow::{self, Told};
use crate::state::State;
use crate::system::System;
use crate::{deliver, postfix};
use futures_util::FutureExt;
use qmail_lookup_core::getpw::{Answer, Owner};
use qmail_lookup_core::rules::{
    Accepted, Delivery, Explain, Getpw, OneMailbox, Recipient, RecipientStanding, Route, VirtualAddress, candidates,
};
use qmail_lookup_core::settings::HomeTrouble;
use qmail_lookup_core::wire::{self, socketmap};
use qmail_lookup_core::{Deadline, ErrorKind, Lookup, LookupError};
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The stores answer or give up in time by themselves; this is for whatever does not. Unit: time after the deadline.
const GRACE: Duration = Duration::from_millis(200);

/// What answers are made from: the rules over a store, and this system.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) system: &'a System,
    pub(crate) state: &'a State,
    pub(crate) lookup: &'a Lookup,
}

impl<'a> Ground<'a> {
    /// Our own store.
    pub(crate) fn of(daemon: &'a Daemon, state: &'a State) -> Self {
        Self { system: &daemon.system, state, lookup: &state.lookup }
    }
}

/// An answer, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ok(Vec<u8>),
    /// An answer to `deliver`, which may be longer than Postfix takes.
    Delivery(Vec<u8>),
    NotFound,
    Temp(Cow<'static, str>),
    Timeout(Cow<'static, str>),
    Perm(Cow<'static, str>),
}

impl Said {
    /// Appends the frame.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ok(data) if data.len() + 3 > wire::ANSWER_MAX => {
                socketmap::Reply::Temp(b"the answer is too long").write(out);
            }
            Self::Ok(data) | Self::Delivery(data) => socketmap::Reply::Ok(data).write(out),
            Self::NotFound => socketmap::Reply::NotFound.write(out),
            Self::Temp(why) => socketmap::Reply::Temp(why.as_bytes()).write(out),
            Self::Timeout(why) => socketmap::Reply::Timeout(why.as_bytes()).write(out),
            Self::Perm(why) => socketmap::Reply::Perm(why.as_bytes()).write(out),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Ok(_) | Self::Delivery(_) => Verdict::Ok,
            Self::NotFound => Verdict::NotFound,
            Self::Temp(_) => Verdict::Temporary,
            Self::Timeout(_) => Verdict::Timeout,
            Self::Perm(_) => Verdict::Permanent,
        }
    }

    /// Found or absent.
    pub(crate) fn of(found: Option<Vec<u8>>) -> Self {
        found.map_or(Self::NotFound, Self::Ok)
    }

    /// What `peer` is told about an error.
    pub(crate) fn error(peer: Peer, error: &LookupError) -> Self {
        let why = if peer.uid == 0 { Cow::Owned(error.to_string()) } else { Cow::Borrowed(GENERIC) };
        if error.kind() == ErrorKind::Timeout { Self::Timeout(why) } else { Self::Temp(why) }
    }
}

/// Answers the content of one frame, in any case and in time.
pub(crate) async fn answer(
    daemon: &Daemon,
    peer: Peer,
    questions: Option<&Semaphore>,
    content: Vec<u8>,
    by: Deadline,
) -> Said {
    let begun = Instant::now();
    let (name, key) = match socketmap::question(&content) {
        Ok((name, key)) => (name, key),
        Err(malformed) => return Said::Perm(Cow::Borrowed(malformed.0)),
    };
    let Some(name) = Name::read(name) else {
        daemon.metrics.other("unknown", "perm");
        return Said::Perm(format!("no question is called {}", shown(name)).into());
    };
    let answering = AssertUnwindSafe(allowed(daemon, peer, questions, name, key, &content, by)).catch_unwind();
    let said = match tokio::time::timeout_at((by.instant() + GRACE).into(), answering).await {
        Ok(Ok(said)) => said,
        Ok(Err(_)) => {
            daemon.metrics.panics.inc();
            tracing::error!(question = %shown(&content), "a bug: the question has no answer");
            Said::Temp(GENERIC.into())
        }
        Err(_) => {
            let late = LookupError::new(ErrorKind::Timeout, "qmail-lookupd", "no answer before the deadline");
            daemon.trouble(&daemon.state.load(), &content, &late);
            Said::error(peer, &late)
        }
    };
    let verdict = said.verdict();
    daemon.metrics.question(name, verdict, begun.elapsed());
    if name != Name::Skipped {
        shadow::offer(daemon, shadow::Question::Lookup(name), key, || Told::said(name, &said));
    }
    tracing::debug!(question = %shown(&content), verdict = verdict.as_str(), uid = peer.uid, "answered");
    said
}

/// Answers if the peer may ask, and may ask now.
async fn allowed(
    daemon: &Daemon,
    peer: Peer,
    questions: Option<&Semaphore>,
    name: Name,
    key: &[u8],
    content: &[u8],
    by: Deadline,
) -> Said {
    let state = daemon.state.load_full();
    if let Some(right) = name.right()
        && !state.policy.may(peer.uid, right)
    {
        daemon.refuse(peer, name.as_str());
        return Said::Temp(NOT_ALLOWED.into());
    }
    // Never closed; and the deadline ends the wait.
    let _turn = match questions {
        Some(questions) => questions.acquire().await.ok(),
        None => None,
    };
    let ground = Ground::of(daemon, &state);
    let answered = match name {
        Name::Deliver => return deliver::answer(daemon, &ground, peer, key, content, by).await,
        Name::Skipped => return skipped(daemon, key),
        _ => found(&ground, name, key, by).await,
    };
    match answered {
        Ok(said) => {
            daemon.overdue.answered(content);
            said
        }
        Err(error) => {
            daemon.trouble(&state, content, &error);
            Said::error(peer, &error)
        }
    }
}

pub(crate) type Found = Result<Said, LookupError>;

/// Answers whoever may ask.
pub(crate) async fn found(ground: &Ground<'_>, name: Name, key: &[u8], by: Deadline) -> Found {
    match name {
        Name::Getpw => getpw(ground, key, by).await,
        Name::Rcpthosts => rcpthosts(ground, key, by).await,
        Name::Recipient => recipient(ground, key, by).await,
        Name::Virtual => virtual_address(ground, key, by).await,
        Name::Mailbox => mailbox(ground, key, by).await,
        Name::VirtualMailbox | Name::VirtualAlias | Name::VirtualUid | Name::VirtualGid => {
            for_postfix(ground, name, key, by).await
        }
        // Who may hear of a delivery is known only where it is answered.
        Name::Deliver | Name::Skipped => Ok(Said::Temp(NOT_ALLOWED.into())),
    }
}

async fn getpw(ground: &Ground<'_>, local: &[u8], by: Deadline) -> Found {
    let rules = &ground.state.config.rules;
    let owner = ground.lookup.decide(Getpw { local: local.to_vec() }, by).await?;
    let alias = match ground.system.user(rules.alias_user.as_bytes(), by).await {
        Ok(user) => user.map(|user| user.fields()),
        // A mailbox that is deferred whatever its home is like needs no alias user.
        Err(_) if matches!(owner, Owner::Mailbox { .. }) && defers(rules.home_missing, rules.home_mismatch) => None,
        Err(error) => return Err(error),
    };
    Ok(Said::Ok(wire::getpw::encode(&Answer::of(&owner, local, rules, alias))))
}

fn defers(missing: HomeTrouble, mismatch: HomeTrouble) -> bool {
    missing == HomeTrouble::Defer && mismatch == HomeTrouble::Defer
}

/// `USER REASON`: nothing is looked up, and nobody waits for the reply.
fn skipped(daemon: &Daemon, key: &[u8]) -> Said {
    daemon.metrics.skipped.inc();
    let end = key.iter().position(|&b| b == b' ').unwrap_or(key.len());
    let (user, reason) = key.split_at(end);
    let (user, reason) = (shown(user), shown(reason.get(1..).unwrap_or_default()));
    if let Some(suppressed) = daemon.quiet.may_say(&format!("skipped {user} {reason}")) {
        tracing::warn!(%user, %reason, suppressed, "qmail-getpw passed a mailbox over");
    }
    Said::Ok(Vec::new())
}

async fn rcpthosts(ground: &Ground<'_>, host: &[u8], by: Deadline) -> Found {
    let found = ground.lookup.decide(Accepted { host: host.to_vec() }, by).await?;
    Ok(Said::of(found.map(|key| key.as_bytes().to_vec())))
}

async fn recipient(ground: &Ground<'_>, address: &[u8], by: Deadline) -> Found {
    let control = ground.state.control.read(by).await?;
    let standing = ground.lookup.decide(Recipient { address: address.to_vec(), control }, by).await?;
    Ok(match standing {
        // Words that mean nothing to Postfix' access tables, where OK would let mail be relayed.
        RecipientStanding::Possible => Said::Ok(b"possible".to_vec()),
        RecipientStanding::NotOurs => Said::Ok(b"not-ours".to_vec()),
        RecipientStanding::Unknown => Said::NotFound,
    })
}

async fn virtual_address(ground: &Ground<'_>, address: &[u8], by: Deadline) -> Found {
    let found = ground.lookup.decide(VirtualAddress { address: address.to_vec() }, by).await?;
    Ok(Said::of(found.map(|owner| {
        let mut text = owner.username.as_bytes().to_vec();
        if !owner.ext.is_empty() {
            text.push(b'-');
            text.extend_from_slice(&owner.ext);
        }
        text
    })))
}

async fn mailbox(ground: &Ground<'_>, name: &[u8], by: Deadline) -> Found {
    let found = ground.lookup.decide(OneMailbox { name: name.to_vec() }, by).await?;
    Ok(Said::of(found.map(|mailbox| {
        let mut text = format!("{}:{}:{}:", mailbox.username, mailbox.uid, mailbox.gid).into_bytes();
        text.extend_from_slice(&mailbox.home);
        text
    })))
}

async fn for_postfix(ground: &Ground<'_>, name: Name, address: &[u8], by: Deadline) -> Found {
    if !postfix::is_address(address) {
        return Ok(Said::NotFound);
    }
    let control = ground.state.control.read(by).await?;
    let alias = ground.system.user(ground.state.config.rules.alias_user.as_bytes(), by).await?;
    let alias_home = alias.map(|user| user.home.clone()).unwrap_or_default();
    let outcome = ground.lookup.decide(Explain { address: address.to_vec(), control, alias_home }, by).await?;
    if let (Some(Route::Stock { local }), Some(Delivery::Rows { .. })) = (&outcome.route, &outcome.delivery)
        && is_system_user(ground, local, by).await?
    {
        // The rows are the alias user's, and the stock program does not get as far as him.
        return Ok(Said::Temp(postfix::FILES.into()));
    }
    let mapped = match name {
        Name::VirtualMailbox => postfix::mailbox(&outcome, address),
        Name::VirtualAlias => postfix::alias(&outcome, address),
        Name::VirtualUid => postfix::uid(&outcome),
        _ => postfix::gid(&outcome),
    };
    Ok(match mapped {
        postfix::Mapped::Found(value) => Said::Ok(value),
        postfix::Mapped::Absent => Said::NotFound,
        postfix::Mapped::Temporary(why) => Said::Temp(why),
    })
}

/// True if the stock qmail-getpw may find a user of the system for `local`. It passes over those with uid 0.
async fn is_system_user(ground: &Ground<'_>, local: &[u8], by: Deadline) -> Result<bool, LookupError> {
    for candidate in candidates(local, ground.state.config.rules.break_chars.as_bytes()) {
        if ground.system.user(candidate.name.as_bytes(), by).await?.is_some_and(|user| user.uid != 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_servers_to_root_only() {
        let peer = |uid| Peer { uid, gid: uid, pid: 1 };
        let down = LookupError::new(ErrorKind::Unreachable, "mysql db1:3306", "refused");
        assert_eq!(Said::error(peer(0), &down), Said::Temp("mysql db1:3306: refused".into()));
        assert_eq!(Said::error(peer(71), &down), Said::Temp(GENERIC.into()));
        let late = LookupError::new(ErrorKind::Timeout, "mysql db1:3306", "no answer");
        assert_eq!(Said::error(peer(71), &late), Said::Timeout(GENERIC.into()));
    }

    #[test]
    fn an_answer_that_no_client_would_take_is_temporary() {
        let mut out = Vec::new();
        Said::Ok(vec![b'x'; wire::ANSWER_MAX]).write(&mut out);
        assert_eq!(out, b"27:TEMP the answer is too long,");
    }
}
