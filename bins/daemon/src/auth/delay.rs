//! Delays: guessing passwords gets slower, and nobody can be locked out by it.
//!
//! The rule, exactly:
//!
//! - A refusal counts against the **name** it was for (the mailbox that the login means, or what was typed if it means
//!   none) and against the **address** it came from. Names that do not exist are counted like those that do, or the
//!   delay would tell them apart. Half of a count is forgiven every [`HALVES_AFTER`].
//! - [`FREE`] counted refusals cost nothing. With the next the delay begins, doubles with each one, and ends at
//!   [`DELAY_MAX`]. It runs from the receipt of the attempt, so the two delays below never add up, and whoever waits
//!   for one holds no slot.
//! - The delay of an **address** comes before the verification, and so it may also meet the right password; but not if
//!   somebody has logged in from there within [`RECENT`]. A login from an address forgets its count. Without an address
//!   there is none to count against.
//! - The delay of a **name** only puts off refusals. A right password never waits for it, so refusals that somebody
//!   else provokes lock nobody out. Nor does it apply to who has lately logged in to that mailbox from that address and
//!   now mistypes. A login does not forget the count of its name: that would tell a guesser that its owner exists.
//! - At most [`ENTRIES_MAX`] names and as many addresses are remembered, and none longer than [`IDLE_MAX`] without
//!   being asked about. Names are kept as keyed hashes only: people type passwords there.
//! - Only refusals count. No answer says nothing about anybody, and what is left to the stock program is not known here.

use super::origin::Origin;
use super::{Attempt, FLOOR};
use moka::sync::Cache;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// Refusals that cost nothing: people mistype.
pub(super) const FREE: u32 = 4;

/// The longest delay: the greatest multiple of the floor within the two seconds of rule P4.
pub(super) const DELAY_MAX: Duration = Duration::from_millis(1800);

/// Time after which half of a count is forgiven.
pub(super) const HALVES_AFTER: Duration = Duration::from_secs(60);

/// How long a login speaks for its address.
pub(super) const RECENT: Duration = Duration::from_secs(600);

/// Names, and addresses, that are remembered.
pub(super) const ENTRIES_MAX: u64 = 20_000;

/// How long one is remembered that nobody asks about.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// No count goes further, so that any is forgiven within seven halvings.
const COUNT_MAX: u32 = 64;

/// What is remembered.
pub(super) struct Delays {
    names: Cache<Who, Failures>,
    addresses: Cache<Origin, Address>,
    key: RandomState,
}

/// A name, as a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Who(u64);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    /// When the count was last brought up to date.
    at: Instant,
}

#[derive(Clone, Copy)]
struct Address {
    failures: Failures,
    granted: Option<(Instant, Who)>,
}

impl Failures {
    fn none(now: Instant) -> Self {
        Self { count: 0, at: now }
    }

    /// What is left of the count.
    fn left(self, now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(self.at).as_secs() / HALVES_AFTER.as_secs();
        self.count.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
    }

    fn one_more(self, now: Instant) -> Self {
        Self { count: (self.left(now) + 1).min(COUNT_MAX), at: now }
    }

    fn delay(self, now: Instant) -> Duration {
        match self.left(now).saturating_sub(FREE) {
            0 => Duration::ZERO,
            over => FLOOR.saturating_mul(1 << over.min(8)).min(DELAY_MAX),
        }
    }
}

impl Address {
    /// Whether somebody has logged in lately, and as whom.
    fn recent(self, now: Instant) -> Option<Who> {
        self.granted.filter(|(at, _)| now.saturating_duration_since(*at) < RECENT).map(|(_, who)| who)
    }
}

impl Delays {
    pub(super) fn new() -> Self {
        Self {
            names: Cache::builder().max_capacity(ENTRIES_MAX).time_to_idle(IDLE_MAX).build(),
            addresses: Cache::builder().max_capacity(ENTRIES_MAX).time_to_idle(IDLE_MAX).build(),
            key: RandomState::new(),
        }
    }

    /// Where an attempt comes from.
    pub(super) fn origin(&self, attempt: &Attempt) -> Origin {
        Origin::of(&attempt.remote, &attempt.service, &attempt.login, &self.key)
    }

    /// The name that is counted: a mailbox's in normal form, or what was typed.
    pub(super) fn who(&self, name: &[u8]) -> Who {
        Who(self.key.hash_one(name.to_ascii_lowercase()))
    }

    /// How long after its receipt an attempt from `origin` may be verified.
    pub(super) fn before(&self, origin: &Origin, now: Instant) -> Duration {
        match self.addresses.get(origin) {
            Some(address) if address.recent(now).is_none() => address.failures.delay(now),
            _ => Duration::ZERO,
        }
    }

    /// Counts a refusal, and tells how long after the receipt of its attempt it may be told.
    pub(super) fn refused(&self, origin: &Origin, who: Who, now: Instant) -> Duration {
        let trusted = origin.is_address() && self.count_address(origin, now).recent(now) == Some(who);
        let counted = self
            .names
            .entry(who)
            .and_upsert_with(|old| old.map_or(Failures::none(now), moka::Entry::into_value).one_more(now));
        if trusted { Duration::ZERO } else { counted.into_value().delay(now) }
    }

    fn count_address(&self, origin: &Origin, now: Instant) -> Address {
        let counted = self.addresses.entry_by_ref(origin).and_upsert_with(|old| {
            let old = old.map_or(Address { failures: Failures::none(now), granted: None }, moka::Entry::into_value);
            Address { failures: old.failures.one_more(now), ..old }
        });
        counted.into_value()
    }

    /// Remembers a login.
    pub(super) fn granted(&self, origin: &Origin, who: Who, now: Instant) {
        if origin.is_address() {
            self.addresses.insert(origin.clone(), Address { failures: Failures::none(now), granted: Some((now, who)) });
        }
    }
}

#[cfg(test)]
impl Delays {
    /// Names and addresses that are remembered.
    pub(super) fn remembered(&self) -> (u64, u64) {
        self.names.run_pending_tasks();
        self.addresses.run_pending_tasks();
        (self.names.entry_count(), self.addresses.entry_count())
    }
}
