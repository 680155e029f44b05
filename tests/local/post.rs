//! A stand-in for qmail-send: rewrites recipients by control/locals and control/virtualdomains, expands the senders of
//! lists, and follows what was forwarded until it is delivered, deferred, bounced or remote.

use libtest_mimic::Failed;
use qmail_lookup_tests::check::ensure;
use qmail_lookup_tests::site::{Report, Site};
use std::collections::VecDeque;

/// A message to begin with.
pub(super) const MESSAGE: &str = "Subject: test\n\nhello\n";

/// Where a recipient goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To qmail-lspawn, with this local part and domain.
    Local(String, String),
    /// To qmail-rspawn.
    Remote,
}

/// How one recipient of a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Envelope sender.
    pub(super) sender: String,
    /// Recipient, before it was rewritten.
    pub(super) recipient: String,
    /// What qmail-local has reported; `None` if the recipient is remote.
    pub(super) report: Option<Report>,
    /// The message, as it came.
    pub(super) message: String,
}

impl Turn {
    /// `K`, `Z`, `D`, or `R` for a remote recipient.
    pub(super) fn letter(&self) -> Result<char, Failed> {
        self.report.as_ref().map_or(Ok('R'), Report::letter)
    }
}

/// What qmail-send makes of `recipient`.
pub(super) fn rewritten(site: &Site, recipient: &str) -> Result<Way, Failed> {
    let lines = |name: &str| std::fs::read_to_string(site.path("q/control").join(name));
    let (local, domain) = recipient.rsplit_once('@').unwrap_or((recipient, "mail.test"));
    let (me, address) = (domain.to_ascii_lowercase(), format!("{local}@{domain}"));
    if lines("locals")?.lines().any(|line| line.eq_ignore_ascii_case(&me)) {
        return Ok(Way::Local(local.to_owned(), domain.to_owned()));
    }
    let virtuals = lines("virtualdomains")?;
    let value = |key: &str| {
        let pairs = virtuals.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(key)).map(|(_, value)| value).next_back()
    };
    let suffixes = me.match_indices('.').map(|(at, _)| me.split_at(at).1);
    let keys = [address.as_str(), me.as_str()].into_iter().chain(suffixes).chain([""]);
    Ok(match keys.filter_map(value).next() {
        Some(prepend) if !prepend.is_empty() => Way::Local(format!("{prepend}-{local}"), domain.to_owned()),
        _ => Way::Remote,
    })
}

/// `list-@lists.test-@[]` names each recipient, as it stands in the queue: `list-LOCAL=DOMAIN@lists.test`.
pub(super) fn expanded(sender: &str, local: &str, domain: &str) -> String {
    match sender.strip_suffix("-@[]").and_then(|list| list.rsplit_once('@')) {
        Some((list, host)) => format!("{list}{local}={domain}@{host}"),
        None => sender.to_owned(),
    }
}

/// Delivers a short message to one local recipient.
pub(super) fn mail(site: &Site, sender: &str, recipient: &str) -> Result<Report, Failed> {
    let turn = turn(site, sender, recipient, MESSAGE)?;
    turn.report.ok_or_else(|| format!("{recipient} is remote").into())
}

fn turn(site: &Site, sender: &str, recipient: &str, message: &str) -> Result<Turn, Failed> {
    let report = match rewritten(site, recipient)? {
        Way::Remote => None,
        Way::Local(local, domain) => {
            Some(site.deliver(&local, &domain, &expanded(sender, &local, &domain), message.as_bytes())?)
        }
    };
    Ok(Turn { sender: sender.to_owned(), recipient: recipient.to_owned(), report, message: message.to_owned() })
}

/// Delivers `message`, and everything that is forwarded on its way, in at most `most` turns. A message that is still
/// under way then is a loop.
pub(super) fn follow(
    site: &Site,
    sender: &str,
    recipient: &str,
    message: &str,
    most: usize,
) -> Result<Vec<Turn>, Failed> {
    let mut waiting = VecDeque::from([(sender.to_owned(), recipient.to_owned(), message.to_owned())]);
    let mut turns = Vec::new();
    while let Some((sender, recipient, message)) = waiting.pop_front() {
        ensure(turns.len() < most, format!("still under way after {most} turns: {turns:#?}"))?;
        turns.push(turn(site, &sender, &recipient, &message)?);
        for queued in site.queued()? {
            let each = queued.recipients.iter();
            waiting.extend(each.map(|to| (queued.sender.clone(), to.clone(), queued.message.clone())));
        }
    }
    Ok(turns)
}

/// The letters of `turns`.
pub(super) fn letters(turns: &[Turn]) -> Result<String, Failed> {
    turns.iter().map(Turn::letter).collect()
}
