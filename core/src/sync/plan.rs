//! Which hosts stand in which block after this look, and what has to be remembered for the next one.

use super::around::Around;
use super::gone::{Memory, Missed, STEP};
use super::hosts::Wanted;
use super::limits::Limit;
use super::{Choices, List};
use crate::key::Host;
use crate::rcpthosts::candidates;
use std::collections::{BTreeMap, BTreeSet};

/// Most hosts that stand in rcpthosts, the administrator's counted; qmail-smtpd reads that file anew for each connection.
/// Source: qmail-smtpd(8) advises 50.
pub const RCPTHOSTS_MAX: usize = 50;

/// One look at everything.
pub struct Look<'a> {
    /// The control files.
    pub around: &'a Around,
    /// The tables.
    pub wanted: &'a Wanted,
    /// The settings.
    pub choices: &'a Choices,
    /// What was remembered.
    pub memory: &'a Memory,
    /// The time. Unit: seconds since 1970.
    pub now: u64,
    /// False if hosts may go but none may come.
    pub may_add: bool,
    /// True if somebody has said that any number may come and go.
    pub yes: bool,
    /// Whether the queue holds mail that needs the line of a host.
    pub needs: &'a dyn Fn(&Host) -> bool,
}

/// Hosts of the blocks in rcpthosts and morercpthosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// control/rcpthosts
    pub rcpthosts: BTreeSet<Host>,
    /// control/morercpthosts
    pub morercpthosts: BTreeSet<Host>,
}

/// A host that is to go, and still has its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The line.
    pub list: List,
    /// Its host.
    pub host: Host,
    /// When it can go at the earliest, or at the latest if only the queue keeps it. Unit: seconds since 1970.
    pub until: u64,
    /// True if only the queue keeps it.
    pub queued: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Why nothing at all may be written; empty if it may.
    pub limits: Vec<Limit>,
    /// The block of virtualdomains.
    pub routed: BTreeSet<Host>,
    /// What may stand in rcpthosts and morercpthosts whether qmail-send has read virtualdomains or not.
    pub early: Accepted,
    /// What may stand there when it has.
    pub late: Accepted,
    /// True if rcpthosts is to be made because there is none.
    pub create: bool,
    /// Lines that come.
    pub added: Vec<(List, Host)>,
    /// Lines that go.
    pub removed: Vec<(List, Host)>,
    /// Lines that are to go later.
    pub waiting: Vec<Waiting>,
    /// Hosts that would come, if any might.
    pub held: BTreeSet<Host>,
    /// Hosts that no row routes any more, and that stay routed: mail for them is accepted by this line, and has no other
    /// way.
    pub kept: BTreeMap<Host, Vec<u8>>,
    /// What to remember once qmail-send was told.
    pub memory: Memory,
}

impl Plan {
    /// Plans.
    #[must_use]
    pub fn of(look: &Look<'_>) -> Self {
        let mut plan = Self::default();
        look.accept(&mut plan);
        look.route(&mut plan);
        look.place(&mut plan);
        if look.yes {
            plan.limits.clear();
        }
        plan
    }
}

impl Look<'_> {
    /// Which hosts mail is accepted for: into `plan.late.rcpthosts`, all of them for now.
    fn accept(&self, plan: &mut Plan) {
        let (around, wanted) = (self.around, self.wanted);
        let current: BTreeSet<_> = around.accepted.union(&around.accepted_more).cloned().collect();
        let own = |host: &&Host| around.accepts_by_own_line(host);
        let unwanted: Vec<_> = current.difference(&wanted.accepted).filter(|host| !own(host)).collect();
        let coming: Vec<_> = wanted.accepted.difference(&current).filter(|host| !own(host)).collect();
        self.limit(plan, List::Rcpthosts, current.len(), &unwanted, &unwanted, coming.len());
        plan.late.rcpthosts = current.intersection(&wanted.accepted).filter(|host| !own(host)).cloned().collect();
        for host in unwanted {
            let missed = Missed::again(self.memory.accepted.get(host), self.now, self.yes);
            let until = missed.closes();
            if until <= self.now {
                plan.removed.push((List::Rcpthosts, host.clone()));
                continue;
            }
            plan.waiting.push(Waiting { list: List::Rcpthosts, host: host.clone(), until, queued: false });
            plan.late.rcpthosts.insert(host.clone());
            plan.memory.accepted.insert(host.clone(), missed);
        }
        self.add(plan, List::Rcpthosts, &coming);
    }

    /// Which hosts are routed; after [`Look::accept`].
    fn route(&self, plan: &mut Plan) {
        let (around, wanted) = (self.around, self.wanted);
        let (taken, unwanted): (Vec<_>, Vec<_>) = around
            .routed
            .difference(&wanted.routed)
            // The administrator's line has taken its place; ours stands behind it, and would count.
            .partition(|host| around.own_routes.contains_key(host.as_bytes()));
        let coming: Vec<_> = wanted.routed.difference(&around.routed).collect();
        plan.routed = around.routed.intersection(&wanted.routed).cloned().collect();
        if self.may_add {
            plan.routed.extend(coming.iter().map(|&host| host.clone()));
        }
        let needed = self.needed(plan, &unwanted);
        plan.kept = needed.iter().filter_map(|(&host, lasting)| Some((host.clone(), lasting.clone()?))).collect();
        let going: Vec<_> = unwanted.iter().copied().filter(|host| !plan.kept.contains_key(*host)).collect();
        self.limit(plan, List::Virtualdomains, around.routed.len(), &unwanted, &going, coming.len());
        plan.removed.extend(taken.into_iter().map(|host| (List::Virtualdomains, host.clone())));
        for host in unwanted {
            let mut missed = Missed::again(self.memory.routed.get(host), self.now, self.yes);
            missed.closed = if needed.contains_key(host) { None } else { missed.closed.or(Some(self.now)) };
            if plan.kept.contains_key(host) {
                plan.routed.insert(host.clone());
                plan.memory.routed.insert(host.clone(), missed);
                continue;
            }
            let queued = missed.closed.is_some() && (self.needs)(host);
            let kept = queued.then_some(self.choices.removed_grace);
            if missed.closed.is_some_and(|closed| missed.ends(closed, kept) <= self.now) {
                plan.removed.push((List::Virtualdomains, host.clone()));
                continue;
            }
            let closes = missed.closed.unwrap_or_else(|| missed.closes().max(self.now));
            let until = missed.ends(closes, kept);
            let queued = queued && until > closes.saturating_add(STEP.as_secs());
            plan.waiting.push(Waiting { list: List::Virtualdomains, host: host.clone(), until, queued });
            plan.routed.insert(host.clone());
            plan.memory.routed.insert(host.clone(), missed);
        }
        self.add(plan, List::Virtualdomains, &coming);
    }

    /// Those of the `unwanted` routes without which mail that is accepted would lose its way; with a line that accepts it,
    /// if one does that is not about to go. `plan.routed` are the routes that stay, `plan.late.rcpthosts` the lines.
    fn needed<'h>(&self, plan: &Plan, unwanted: &[&'h Host]) -> BTreeMap<&'h Host, Option<Vec<u8>>> {
        let (around, wanted) = (self.around, self.wanted);
        let mut needed = BTreeMap::<_, Option<Vec<u8>>>::new();
        if unwanted.is_empty() {
            return needed;
        }
        let loses = |host: &Host, line: &Host| !wanted.relayed.contains(line) && !around.has_way(host, &plan.routed);
        let ours = |line: &Host| plan.late.rcpthosts.contains(line);
        let mut note = |route: &'h Host, line: &Host| {
            let lasting = needed.entry(route).or_default();
            if around.accepts_by_own_line(line) || wanted.accepted.contains(line) {
                lasting.get_or_insert_with(|| line.as_bytes().to_vec());
            }
        };
        // Lines that accept the routed host, or all that is below it.
        for &route in unwanted {
            for line in candidates(route.as_bytes()) {
                if (ours(&line) || around.accepts_by_own_line(&line)) && loses(route, &line) {
                    note(route, &line);
                }
            }
        }
        // Lines that accept what is below a routed suffix.
        let suffixes = unwanted.iter().filter(|host| host.as_bytes().starts_with(b"."));
        let suffixes: BTreeMap<&[u8], &'h Host> = suffixes.map(|&host| (host.as_bytes(), host)).collect();
        if suffixes.is_empty() {
            return needed;
        }
        let own = around.own_accepted.iter().chain(&around.own_accepted_more).filter_map(|line| Host::new(line));
        for line in plan.late.rcpthosts.iter().cloned().chain(own) {
            for above in candidates(line.as_bytes()).into_iter().skip(1) {
                if let Some(&route) = suffixes.get(above.as_bytes())
                    && loses(&line, &line)
                {
                    note(route, &line);
                }
            }
        }
        needed
    }

    /// In which of the two files the accepted hosts stand, now and when qmail-send was told.
    fn place(&self, plan: &mut Plan) {
        let around = self.around;
        let all = std::mem::take(&mut plan.late.rcpthosts);
        plan.early.rcpthosts = around.accepted.intersection(&all).cloned().collect();
        plan.early.morercpthosts = around.accepted_more.intersection(&all).cloned().collect();
        let coming: Vec<_> =
            plan.added.iter().filter(|(list, _)| *list == List::Rcpthosts).map(|(_, host)| host).collect();
        plan.create = around.is_open && !(all.is_empty() && coming.is_empty());
        if around.is_open {
            // Until now mail for these was accepted, and it is known where it goes.
            let is_new = |key: &Host| plan.routed.contains(key) && (self.memory.owed || !around.routed.contains(key));
            let ready = |host: &&&Host| !candidates(host.as_bytes()).iter().any(is_new);
            plan.early.rcpthosts.extend(coming.iter().filter(ready).map(|&host| host.clone()));
        }
        let late: BTreeSet<_> = all.iter().chain(coming).cloned().collect();
        let many = around.own_accepted.len().saturating_add(late.len()) > RCPTHOSTS_MAX;
        let place = if many || !around.accepted_more.is_empty() {
            &mut plan.late.morercpthosts
        } else {
            &mut plan.late.rcpthosts
        };
        *place = late;
    }

    fn limit(&self, plan: &mut Plan, list: List, of: usize, unwanted: &[&Host], going: &[&Host], coming: usize) {
        let known = match list {
            List::Virtualdomains => &self.memory.routed,
            List::Rcpthosts => &self.memory.accepted,
        };
        let agreed = |host: &&&Host| known.get(**host).is_some_and(|missed| missed.agreed);
        let going = going.iter().filter(|host| !agreed(host)).count();
        let coming = if self.may_add { coming } else { 0 };
        plan.limits.extend(Limit::of(list, of, unwanted.len(), going, coming, self.choices));
    }

    fn add(&self, plan: &mut Plan, list: List, coming: &[&Host]) {
        if self.may_add {
            plan.added.extend(coming.iter().map(|&host| (list, host.clone())));
        } else {
            plan.held.extend(coming.iter().map(|&host| host.clone()));
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
