//! What the gate has seen, for metrics.

use qmail_lookup_core::Refusal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Reasons that are counted apart; a further one counts as `other`.
const REASONS: [Refusal; 5] =
    [Refusal::Unknown, Refusal::WrongPassword, Refusal::Suspended, Refusal::UnusablePassword, Refusal::Unverifiable];

/// The gate's numbers at one moment. All but the last two only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Logins.
    pub(crate) granted: u64,
    /// Refusals, by reason; every reason is listed.
    pub(crate) refused: [(&'static str, u64); 6],
    /// Attempts left to the stock checkpassword (rule P6).
    pub(crate) stock: u64,
    /// Attempts without an answer.
    pub(crate) temporary: u64,
    /// Delays because of earlier refusals.
    pub(crate) delayed: u64,
    /// Attempts that wait for a slot now.
    pub(crate) waiting: u64,
    /// Attempts that are verified now.
    pub(crate) verifying: u64,
}

/// The same, while it is counted.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) granted: AtomicU64,
    refused: [AtomicU64; 6],
    pub(super) stock: AtomicU64,
    pub(super) temporary: AtomicU64,
    pub(super) delayed: AtomicU64,
}

impl Counters {
    /// One more.
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, why: Refusal) {
        let at = REASONS.iter().position(|reason| *reason == why).unwrap_or(REASONS.len());
        if let Some(counter) = self.refused.get(at) {
            Self::add(counter);
        }
    }

    pub(super) fn now(&self, (waiting, verifying): (usize, usize)) -> Counts {
        let [a, b, c, d, e] = REASONS.map(|reason| (reason.as_str(), 0));
        let mut refused = [a, b, c, d, e, ("other", 0)];
        for ((_, sum), counter) in refused.iter_mut().zip(&self.refused) {
            *sum = counter.load(Relaxed);
        }
        Counts {
            granted: self.granted.load(Relaxed),
            refused,
            stock: self.stock.load(Relaxed),
            temporary: self.temporary.load(Relaxed),
            delayed: self.delayed.load(Relaxed),
            waiting: waiting.try_into().unwrap_or(u64::MAX),
            verifying: verifying.try_into().unwrap_or(u64::MAX),
        }
    }
}
