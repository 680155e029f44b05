//! Whole addresses: what qmail does with them when our programs are in place (rules V1, V7, and all the others).

use super::deliver::{Delivery, delivery};
use super::facts::Facts;
use super::local::{Route, route_of_local, route_of_queued, route_of_recipient};
use super::rcpthost::Accepted;
use super::virtual_host::{self, Picked};
use super::{Question, Stop};
use crate::control::Control;
use crate::error::printable;
use crate::key::{Host, Username};
use crate::rcpthosts;
use crate::settings::RcpthostsOnly;
use crate::virtuals::{Encoded, is_host_key};
use std::sync::Arc;

/// Splits at the last `@`, as qmail does. Without one the whole is a local part.
fn split(address: &[u8]) -> (&[u8], Option<&[u8]>) {
    match address.iter().rposition(|&b| b == b'@') {
        Some(at) => (address.get(..at).unwrap_or_default(), address.get(at + 1..)),
        None => (address, None),
    }
}

/// The keys of control/virtualdomains that `host` could match, most specific first (rule V1).
fn host_keys(host: &[u8]) -> Vec<Host> {
    rcpthosts::candidates(host).into_iter().filter(|key| is_host_key(key.as_bytes())).collect()
}

/// What table virtual says about an address, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// Address as typed.
    pub address: Vec<u8>,
}

/// The row that fits a virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualOwner {
    /// The host key that has the row.
    pub host: Host,
    /// Owner; not necessarily a mailbox.
    pub username: Username,
    /// Extension, `@` replaced by the user part as typed.
    pub ext: Vec<u8>,
}

impl Question for VirtualAddress {
    type Answer = Option<VirtualOwner>;

    fn decide(&self, facts: &Facts<'_>) -> Result<Option<VirtualOwner>, Stop> {
        let (user, host) = split(&self.address);
        let hosts = host_keys(host.unwrap_or_default());
        Ok(match virtual_host::pick(facts, &hosts, user)? {
            Picked::Row { host, username, ext, .. } => {
                Some(VirtualOwner { host, username, ext: virtual_host::ext_for(ext, user) })
            }
            Picked::Unknown(_) | Picked::NoHost => None,
        })
    }
}

/// Everything about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explain {
    /// Address as typed, or a local part alone.
    pub address: Vec<u8>,
    /// What qmail-send reads.
    pub control: Arc<Control>,
    /// Home of the alias user.
    pub alias_home: Vec<u8>,
}

/// One word for the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered by instructions of the store.
    Deliver,
    /// Forwarded, and nothing else.
    Forward,
    /// Bounced.
    Bounce,
    /// Deferred by a policy.
    Temporary,
    /// qmail's own files decide.
    Files,
    /// Neither local nor virtual.
    NotOurs,
}

impl Verdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Forward => "forward",
            Self::Bounce => "bounce",
            Self::Temporary => "temporary",
            Self::Files => "files",
            Self::NotOurs => "not-ours",
        }
    }
}

/// What [`Explain`] finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One word.
    pub verdict: Verdict,
    /// Who gets the mail; `None` if it is not ours.
    pub route: Option<Route>,
    /// How; `None` if it is not ours.
    pub delivery: Option<Delivery>,
}

impl Question for Explain {
    type Answer = Outcome;

    fn decide(&self, facts: &Facts<'_>) -> Result<Outcome, Stop> {
        let Some(route) = self.route(facts)? else {
            return Ok(Outcome { verdict: Verdict::NotOurs, route: None, delivery: None });
        };
        let delivery = delivery(facts, &route, &self.alias_home)?;
        let verdict = match &delivery {
            Delivery::Files { .. } => Verdict::Files,
            Delivery::Bounce(_) => Verdict::Bounce,
            Delivery::Defer(_) => Verdict::Temporary,
            Delivery::Rows { instructions, .. } => {
                let forwards = instructions.iter().all(|i| matches!(i, crate::Instruction::Forward(_)));
                if forwards { Verdict::Forward } else { Verdict::Deliver }
            }
        };
        Ok(Outcome { verdict, route: Some(route), delivery: Some(delivery) })
    }
}

impl Explain {
    pub(super) fn route(&self, facts: &Facts<'_>) -> Result<Option<Route>, Stop> {
        let (local, domain) = split(&self.address);
        let Some(domain) = domain else { return route_of_queued(facts, local).map(Some) };
        if self.control.is_local(domain) {
            facts.note("G1", || format!("{} stands in control/locals", printable(domain)));
            // A local host has no line in control/virtualdomains that counts: whatever is encoded was typed.
            return match Encoded::decode(local) {
                Some(_) => Ok(Some(Route::Unknown)),
                None => route_of_local(facts, local).map(Some),
            };
        }
        if let Some((key, prepend)) = self.control.virtual_domains.find(&self.address) {
            return sent_by_line(facts, (key, prepend), (local, domain));
        }
        if let Some(route) = virtual_host::route_of_address(facts, &host_keys(domain), local)? {
            return Ok(Some(route));
        }
        let accepted = Accepted { host: domain.to_vec() }.decide(facts)?;
        match (accepted, facts.settings.rcpthosts_only, &self.control.locals) {
            (Some(_), RcpthostsOnly::Local, _) => {
                facts.note("V7", || "the host stands in table rcpthosts only: local (rules.rcpthosts_only = local)");
                route_of_local(facts, local).map(Some)
            }
            (Some(_), RcpthostsOnly::Ask, None) => {
                facts.note("V7", || "the host stands in table rcpthosts only, and there is no control/locals: taken as local, as under the old patch");
                route_of_local(facts, local).map(Some)
            }
            (Some(_), _, _) => {
                facts.note("V7", || "the host stands in table rcpthosts only: not local (rules.rcpthosts_only)");
                Ok(None)
            }
            (None, _, _) => {
                facts.note("V1", || "the host is neither local nor virtual");
                Ok(None)
            }
        }
    }
}

/// The route of `local` at a host whose line of control/virtualdomains is `key:prepend`. What qmail-send puts into the
/// queue is all that qmail-getpw sees: our own line comes back as the host's rows, the administrator's names somebody
/// else, whatever rows the host has.
fn sent_by_line(
    facts: &Facts<'_>,
    (key, prepend): (&[u8], &[u8]),
    (local, domain): (&[u8], &[u8]),
) -> Result<Option<Route>, Stop> {
    if prepend.is_empty() {
        facts.note("V1", || format!("control/virtualdomains has '{}:': remote", printable(key)));
        return Ok(None);
    }
    let queued = [prepend, b"-", local].concat();
    facts.note("V1", || {
        let line = format!("{}:{}", printable(key), printable(prepend));
        format!("control/virtualdomains has '{line}': queued as '{}'", printable(&queued))
    });
    route_of_recipient(facts, &queued, domain).map(Some)
}
