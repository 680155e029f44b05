//! How a host goes: it must be missed in two looks, [`STEP`] apart. Then its line leaves rcpthosts; that of virtualdomains
//! follows when no mail can need it any more.

use crate::key::Host;
use std::collections::BTreeMap;
use std::time::Duration;

/// Least time between the first look that misses a host and the one that takes its line; and between the end of its line
/// in rcpthosts and that in virtualdomains, because a connection that qmail-smtpd has keeps the lines it began with.
pub const STEP: Duration = Duration::from_secs(300);

/// A host that was first missed longer ago was not: the clock was wrong, then or now.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// A host that is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When it was first missed. Unit: seconds since 1970.
    pub since: u64,
    /// For virtualdomains, when mail for it was no longer accepted by a line of ours; `None` while it is. Unit: seconds
    /// since 1970.
    pub closed: Option<u64>,
    /// True if somebody has said that it may go, however many go: it does not count when it goes.
    pub agreed: bool,
}

/// What has to be remembered from one look to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// True while qmail-send may not have read virtualdomains as it stands there: what depends on it must wait.
    pub owed: bool,
    /// Missed hosts that have a line in virtualdomains.
    pub routed: BTreeMap<Host, Missed>,
    /// Missed hosts that have a line in rcpthosts or morercpthosts.
    pub accepted: BTreeMap<Host, Missed>,
}

impl Missed {
    /// Missed at `now`, after what was remembered. A clock that was set begins anew.
    pub(super) fn again(before: Option<&Self>, now: u64, agreed: bool) -> Self {
        let known = before
            .filter(|missed| missed.since <= now && missed.closed.is_none_or(|closed| closed <= now))
            .filter(|missed| now - missed.since <= YEAR.as_secs());
        let begun = Self { since: now, closed: None, agreed: false };
        let kept = known.copied().unwrap_or(begun);
        Self { agreed: kept.agreed || agreed, ..kept }
    }

    /// When its line of rcpthosts may go. Unit: seconds since 1970.
    pub(super) fn closes(&self) -> u64 {
        self.since.saturating_add(STEP.as_secs())
    }

    /// When its line of virtualdomains may go; the queue keeps it for as long as `grace` allows. Unit: seconds since 1970.
    pub(super) fn ends(&self, closed: u64, kept: Option<Duration>) -> u64 {
        let steps = self.closes().max(closed.saturating_add(STEP.as_secs()));
        steps.max(kept.map_or(0, |grace| self.since.saturating_add(grace.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_counts_unless_the_clock_was_set() {
        let first = Missed::again(None, 1000, false);
        assert_eq!(first, Missed { since: 1000, closed: None, agreed: false });
        let closed = Missed { closed: Some(1300), ..first };
        assert_eq!(Missed::again(Some(&closed), 1400, true), Missed { agreed: true, ..closed });
        assert_eq!(Missed::again(Some(&closed), 1200, false), Missed { since: 1200, closed: None, agreed: false });
        assert_eq!(Missed::again(Some(&first), 900, false).since, 900);
        let year = YEAR.as_secs();
        assert_eq!(Missed::again(Some(&first), 1000 + year, false).since, 1000);
        assert_eq!(Missed::again(Some(&closed), 1001 + year, false), Missed { since: 1001 + year, ..first });
    }

    #[test]
    fn the_queue_keeps_a_line_but_not_for_ever() {
        let missed = Missed { since: 1000, closed: Some(1300), agreed: false };
        assert_eq!(missed.closes(), 1300);
        assert_eq!(missed.ends(1300, None), 1600);
        assert_eq!(missed.ends(1000, None), 1300);
        assert_eq!(missed.ends(1300, Some(Duration::from_secs(86_400))), 87_400);
        assert_eq!(missed.ends(1300, Some(Duration::ZERO)), 1600, "two looks all the same");
        assert_eq!(missed.ends(u64::MAX, Some(Duration::MAX)), u64::MAX);
    }
}
