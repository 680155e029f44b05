//! The same text at most once a second, or another time, in the log, with the number of those left out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a text stays quiet after it was logged, unless somebody wants otherwise.
const PERIOD: Duration = Duration::from_secs(1);

/// Texts remembered at the same time.
const TEXTS: usize = 256;

/// See the module.
pub(crate) struct Quiet {
    texts: Mutex<HashMap<String, Said>>,
    /// Of texts there was no room for: since when, and how often.
    left_out: Mutex<Option<(Instant, u64)>>,
    period: Duration,
}

impl Default for Quiet {
    fn default() -> Self {
        Self::every(PERIOD)
    }
}

struct Said {
    last: Instant,
    suppressed: u64,
}

impl Quiet {
    /// Each text stays quiet for `period` after it was logged.
    pub(crate) fn every(period: Duration) -> Self {
        Self { texts: Mutex::default(), left_out: Mutex::default(), period }
    }

    /// `Some(how many were left out since)` if `text` is to be logged now.
    pub(crate) fn may_say(&self, text: &str) -> Option<u64> {
        self.at(text, Instant::now())
    }

    /// How often a text was left out because there were too many different ones, once the period is over.
    pub(crate) fn left_out(&self) -> Option<u64> {
        self.left_out_at(Instant::now())
    }

    /// The same, whether it is over or not.
    pub(crate) fn rest(&self) -> Option<u64> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).take().map(|(_, times)| times)
    }

    fn left_out_at(&self, now: Instant) -> Option<u64> {
        let over = |(since, _): &mut (Instant, u64)| now.saturating_duration_since(*since) >= self.period;
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).take_if(over).map(|(_, times)| times)
    }

    fn at(&self, text: &str, now: Instant) -> Option<u64> {
        let mut said = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = said.get_mut(text) {
            if now.saturating_duration_since(known.last) < self.period {
                known.suppressed += 1;
                return None;
            }
            known.last = now;
            return Some(std::mem::take(&mut known.suppressed));
        }
        if said.len() >= TEXTS {
            said.retain(|_, known| now.saturating_duration_since(known.last) < self.period);
        }
        if said.len() >= TEXTS {
            // More different texts than anybody reads.
            self.left_out.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((now, 0)).1 += 1;
            return None;
        }
        said.insert(text.to_owned(), Said { last: now, suppressed: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_said_once_a_second_and_then_with_what_was_left_out() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.at("a", start), Some(0));
        assert_eq!(quiet.at("a", start), None);
        assert_eq!(quiet.at("b", start), Some(0));
        assert_eq!(quiet.at("a", start + PERIOD / 2), None);
        assert_eq!(quiet.at("a", start + PERIOD), Some(2));
        assert_eq!(quiet.at("a", start + PERIOD * 2), Some(0));
    }

    #[test]
    fn it_remembers_a_bounded_number_of_texts() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        let said = (0..2 * TEXTS).filter(|n| quiet.at(&n.to_string(), start).is_some()).count();
        assert_eq!(said, TEXTS);
        assert_eq!(quiet.left_out_at(start + PERIOD / 2), None);
        assert_eq!(quiet.left_out_at(start + PERIOD), Some(TEXTS as u64));
        assert_eq!(quiet.left_out_at(start + PERIOD), None);
        assert_eq!(quiet.at("later", start + PERIOD), Some(0));
        assert_eq!(quiet.texts.lock().unwrap().len(), 1);
    }
}
