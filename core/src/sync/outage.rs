//! When qmail-send is told to try everything again: once, when an outage is over that lasted so long that mail waits for
//! its next turn, which comes later and later.

use std::time::{Duration, Instant};

/// Longest outage that needs nothing.
pub const LONG: Duration = Duration::from_secs(600);

/// Whether stores and daemon answer, from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    since: Option<Instant>,
    is_over: bool,
}

impl Outage {
    /// Notes a look at `now`. True if a long outage is over, and qmail-send was not told.
    pub fn look(&mut self, answers: bool, now: Instant) -> bool {
        if answers {
            self.is_over |= self.since.take().is_some_and(|since| now.saturating_duration_since(since) > LONG);
        } else {
            self.since.get_or_insert(now);
        }
        answers && self.is_over
    }

    /// Notes that qmail-send was told.
    pub fn told(&mut self) {
        self.is_over = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_outage_counts_until_it_was_told() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        let look = |outage: &mut Outage, answers, after| outage.look(answers, begin + Duration::from_secs(after));
        assert!(!look(&mut outage, true, 0));
        assert!(!look(&mut outage, false, 10) && !look(&mut outage, false, 600), "it lasts");
        assert!(!look(&mut outage, true, 610), "not longer than that");
        assert!(!look(&mut outage, false, 700) && !look(&mut outage, false, 1200));
        assert!(look(&mut outage, true, 1301), "more than ten minutes since the first look that failed");
        assert!(look(&mut outage, true, 1302), "nobody was told");
        assert!(!look(&mut outage, false, 1303) && look(&mut outage, true, 1304), "nor by another outage");
        outage.told();
        assert!(!look(&mut outage, true, 1305));
    }
}
