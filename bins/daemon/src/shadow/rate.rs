//! So many a second, and no more.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Rate {
    most: u32,
    /// When the second began, and how many it has had.
    now: Mutex<Option<(Instant, u32)>>,
}

impl Rate {
    pub(super) fn a_second(most: u32) -> Self {
        Self { most, now: Mutex::default() }
    }

    /// True if there is one left.
    pub(super) fn take(&self) -> bool {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> bool {
        let mut second = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, had) =
            second.filter(|(begun, _)| now.saturating_duration_since(*begun) < SECOND).unwrap_or((now, 0));
        let left = had < self.most;
        *second = Some((begun, had + u32::from(left)));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_a_second() {
        let (rate, start) = (Rate::a_second(2), Instant::now());
        let late = start + SECOND / 2;
        assert_eq!([start, start, start, late].map(|now| rate.at(now)), [true, true, false, false]);
        let next = start + SECOND;
        assert_eq!([next, next, next].map(|now| rate.at(now)), [true, true, false]);
    }
}
