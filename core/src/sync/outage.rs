//! When qmail-send is told to try everything again: once, when an outage is over that lasted so long that mail waits for
//! its next turn, which comes later and later.

use std::time::{Duration, Instant};

/// Longest outage that needs nothing.
pub const LONG: Duration = Duration::from_secs(600);

/// Whether stores and daemon answer, from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// Notes a look at `now`. True if a long outage has just ended.
    pub fn look(&mut self, answers: bool, now: Instant) -> bool {
        if !answers {
            self.since.get_or_insert(now);
            return false;
        }
        self.since.take().is_some_and(|since| now.saturating_duration_since(since) > LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_outage_counts_and_only_once() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        let mut look = |answers, after| outage.look(answers, begin + Duration::from_secs(after));
        assert!(!look(true, 0));
        assert!(!look(false, 10) && !look(false, 600), "it lasts");
        assert!(!look(true, 610), "not longer than that");
        assert!(!look(false, 700) && !look(false, 1200));
        assert!(look(true, 1301), "more than ten minutes since the first look that failed");
        assert!(!look(true, 1302), "it was said");
    }
}
