//! Temporary answers that do not pass: mail that waits because of data will wait until somebody repairs it, or until
//! qmail gives up and bounces. Each such question is remembered with its first time; an alarm is raised after an hour,
//! and again at half of qmail's queuelifetime.

use qmail_lookup_core::ErrorKind;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the first alarm is raised.
const FIRST: Duration = Duration::from_secs(3600);

/// Questions remembered at the same time.
const QUESTIONS: usize = 10_000;

/// Longest question that is remembered by its own bytes. Unit: bytes.
const QUESTION_MAX: usize = 512;

/// See the module.
#[derive(Default)]
pub(crate) struct Overdue {
    /// How many are remembered, so that a good answer costs nothing while there are none.
    count: AtomicUsize,
    waiting: Mutex<HashMap<Box<[u8]>, Waiting>>,
}

struct Waiting {
    first: Instant,
    last: Instant,
    times: u64,
    alarms: u8,
}

/// Raised for one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// Since when it has had no answer.
    pub(crate) since: Duration,
    /// How often it was asked.
    pub(crate) times: u64,
}

impl Overdue {
    /// True for errors that do not pass by themselves.
    pub(crate) fn concerns(kind: ErrorKind) -> bool {
        matches!(kind, ErrorKind::Misconfigured | ErrorKind::Schema)
    }

    /// `question` had no answer, because of data. `lifetime` is how long qmail keeps trying.
    pub(crate) fn failed(&self, question: &[u8], lifetime: Duration) -> Option<Alarm> {
        self.failed_at(question, lifetime, Instant::now())
    }

    /// `question` was answered.
    pub(crate) fn answered(&self, question: &[u8]) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut waiting = self.waiting();
            waiting.remove(shortened(question));
            self.count.store(waiting.len(), Ordering::Relaxed);
        }
    }

    /// How many questions are remembered, and for how many an alarm was raised.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let waiting = self.waiting();
        (waiting.len(), waiting.values().filter(|waiting| waiting.alarms > 0).count())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_at(&self, question: &[u8], lifetime: Duration, now: Instant) -> Option<Alarm> {
        let question = shortened(question);
        let mut waiting = self.waiting();
        if let Some(known) = waiting.get_mut(question) {
            (known.last, known.times) = (now, known.times + 1);
            let since = now.saturating_duration_since(known.first);
            let due = u8::from(since >= FIRST.min(lifetime / 2)) + u8::from(since >= lifetime / 2);
            if due <= known.alarms {
                return None;
            }
            known.alarms = due;
            return Some(Alarm { since, times: known.times });
        }
        if waiting.len() >= QUESTIONS {
            // Nobody has asked for longer than qmail keeps a message.
            waiting.retain(|_, known| now.saturating_duration_since(known.last) < lifetime);
        }
        if waiting.len() < QUESTIONS {
            waiting.insert(question.into(), Waiting { first: now, last: now, times: 1, alarms: 0 });
            self.count.store(waiting.len(), Ordering::Relaxed);
        }
        None
    }
}

fn shortened(question: &[u8]) -> &[u8] {
    question.get(..QUESTION_MAX).unwrap_or(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = FIRST;
    const WEEK: Duration = Duration::from_secs(604_800);

    #[test]
    fn an_alarm_is_raised_after_an_hour_and_at_half_of_the_lifetime() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        let at = |hours: u32| overdue.failed_at(b"getpw bob", WEEK, start + HOUR * hours);
        assert_eq!(at(0), None);
        assert_eq!(at(1), Some(Alarm { since: HOUR, times: 2 }));
        assert_eq!(at(2), None);
        assert_eq!(at(83), None);
        assert_eq!(at(84), Some(Alarm { since: WEEK / 2, times: 5 }));
        assert_eq!(at(100), None);
        assert_eq!(overdue.counts(), (1, 1));
    }

    #[test]
    fn a_good_answer_ends_it() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.answered(b"getpw bob");
        overdue.failed_at(b"getpw bob", WEEK, start);
        overdue.failed_at(b"getpw eve", WEEK, start);
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.counts(), (1, 0));
        assert_eq!(overdue.failed_at(b"getpw bob", WEEK, start + HOUR), None, "counted from now on");
    }

    #[test]
    fn a_queue_that_gives_up_early_is_warned_of_early() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"x", HOUR, start);
        assert!(overdue.failed_at(b"x", HOUR, start + HOUR / 2).is_some());
    }

    #[test]
    fn it_remembers_a_bounded_number_and_lets_the_old_ones_go() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        for n in 0..QUESTIONS + 5 {
            overdue.failed_at(n.to_string().as_bytes(), WEEK, start);
        }
        assert_eq!(overdue.counts().0, QUESTIONS);
        overdue.failed_at(b"later", WEEK, start + WEEK);
        assert_eq!(overdue.counts().0, 1);
        let long = vec![b'x'; 8000];
        overdue.failed_at(&long, WEEK, start + WEEK);
        overdue.answered(&long);
        assert_eq!(overdue.counts().0, 1);
    }
}
