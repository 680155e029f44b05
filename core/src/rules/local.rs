//! Local part to mailbox: what qmail-getpw is asked (rules G1 to G4).

use super::facts::{Facts, MailboxRows};
use super::{Question, Stop, virtual_host};
use crate::error::printable;
use crate::getpw::Owner;
use crate::key::{Ext, Username};
use crate::limits::BREAKS_MAX;
use crate::mailbox::Mailbox;
use crate::virtuals::{Encoded, Queued};

/// Who gets the mail, before anybody looked at instructions or homes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// This mailbox.
    Mailbox {
        /// The judged row.
        mailbox: Mailbox,
        /// `-` if something follows the name, else empty.
        dash: &'static [u8],
        /// What follows, in original case.
        ext: Vec<u8>,
    },
    /// The alias user with dash `-` and this extension.
    AliasUser {
        /// Extension.
        ext: Vec<u8>,
        /// A second extension under which its instructions may stand: the whole virtual address (rule A1).
        address: Option<Ext>,
    },
    /// Nobody in the store: the stock qmail-getpw decides (rule G4).
    Stock {
        /// Local part, in original case.
        local: Vec<u8>,
    },
    /// A virtual host without this user: a bounce (rule V5).
    Unknown,
    /// MAGIC FORWARDING to this address (rule V6).
    Forward(Vec<u8>),
}

/// A mailbox name that `local` may begin with, and where its extension begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name in normal form.
    pub name: Username,
    /// Offset of the extension in the local part; `None` if the name is all of it.
    pub ext_at: Option<usize>,
}

/// The names to try for `local` (rule G1): all of it, then its prefixes before each break character, longest first,
/// at most the first 16 breaks. A prefix that can be no key is left out, the others stay.
#[must_use]
pub fn candidates(local: &[u8], break_chars: &[u8]) -> Vec<Candidate> {
    let breaks = local.iter().enumerate().filter(|(_, b)| break_chars.contains(b)).map(|(at, _)| at);
    let mut ends: Vec<_> = breaks.take(BREAKS_MAX).collect();
    ends.reverse();
    let whole = Username::new(local).map(|name| Candidate { name, ext_at: None });
    let prefixes = ends.into_iter().filter_map(|end| {
        let name = local.get(..end).and_then(Username::new)?;
        Some(Candidate { name, ext_at: Some(end + 1) })
    });
    whole.into_iter().chain(prefixes).collect()
}

/// What qmail-getpw is asked: who gets the mail of this local part, as it stands in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Getpw {
    /// Local part in original case, encoded (`=HOST=-USER`) for a virtual host.
    pub local: Vec<u8>,
}

impl Question for Getpw {
    type Answer = Owner;

    fn decide(&self, facts: &Facts<'_>) -> Result<Owner, Stop> {
        Ok(match route_of_queued(facts, &self.local)? {
            Route::Mailbox { mailbox, dash, ext } => Owner::Mailbox { mailbox, dash, ext },
            Route::AliasUser { ext, .. } => Owner::AliasUser { ext },
            Route::Stock { local } => Owner::Stock { local },
            // The extension that equals the local part tells our qmail-local to bounce.
            Route::Unknown => Owner::AliasUser { ext: self.local.clone() },
            Route::Forward(_) => Owner::AliasUser { ext: b"forward".to_vec() },
        })
    }
}

/// The route of a local part as it stands in the queue.
pub(super) fn route_of_queued(facts: &Facts<'_>, local: &[u8]) -> Result<Route, Stop> {
    match Encoded::decode(local) {
        Some(Encoded { host, user }) => virtual_host::route_of_encoded(facts, &host, user),
        None => route_of_local(facts, local),
    }
}

/// The route of a recipient as it stands in the queue, its domain too.
pub(super) fn route_of_recipient(facts: &Facts<'_>, local: &[u8], domain: &[u8]) -> Result<Route, Stop> {
    match Queued::of(local, domain) {
        Queued::Forged => Ok(forged(facts)),
        Queued::Plain | Queued::Virtual(_) => route_of_queued(facts, local),
    }
}

/// The route of what somebody typed in the form of an encoded recipient.
pub(super) fn forged(facts: &Facts<'_>) -> Route {
    facts.note("V5", || "an encoded recipient at a host that is not its own");
    Route::Unknown
}

/// The route of a plain local part.
pub(super) fn route_of_local(facts: &Facts<'_>, local: &[u8]) -> Result<Route, Stop> {
    let tried = candidates(local, facts.settings.break_chars.as_bytes());
    let rows = facts.mailboxes("G1", tried.iter().map(|c| c.name.clone()).collect())?;
    first_of(facts, local, &tried, rows)
}

/// The longest candidate with a row is final (rule G2); without one the stock program decides (rule G4).
pub(super) fn first_of(
    facts: &Facts<'_>,
    local: &[u8],
    tried: &[Candidate],
    rows: MailboxRows<'_>,
) -> Result<Route, Stop> {
    for candidate in tried {
        let Some(mailbox) = rows.one(&candidate.name, facts.settings)? else { continue };
        let (dash, ext): (&'static [u8], _) = match candidate.ext_at {
            None => (b"", Vec::new()),
            Some(at) => (b"-", local.get(at..).unwrap_or_default().to_vec()),
        };
        facts.note("G2", || format!("mailbox {} with extension '{}'", mailbox.username, printable(&ext)));
        return Ok(Route::Mailbox { mailbox, dash, ext });
    }
    facts.note("G4", || format!("no mailbox for '{}': the stock qmail-getpw decides", printable(local)));
    Ok(Route::Stock { local: local.to_vec() })
}
