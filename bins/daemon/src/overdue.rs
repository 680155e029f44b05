//! Temporary answers that do not pass: mail that waits because of data will wait until somebody repairs it, or until
//! qmail gives up and bounces. What is wrong is remembered by its words, which name rule, table and row, with its first
//! time; an alarm is raised after an hour, and again at half of qmail's queuelifetime.

use qmail_lookup_core::ErrorKind;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the first alarm is raised.
const FIRST: Duration = Duration::from_secs(3600);

/// Forgotten if nobody runs into it for so long: qmail tries again several times a day.
const DAY: Duration = Duration::from_secs(86_400);

/// Troubles remembered at the same time.
const TROUBLES: usize = 10_000;

/// Given up at once if there are too many.
const GIVEN_UP: usize = TROUBLES / 10;

/// Longest question that is remembered by its own bytes. Unit: bytes.
const QUESTION_MAX: usize = 512;

/// See the module.
#[derive(Default)]
pub(crate) struct Overdue {
    /// How many are remembered, so that a good answer costs nothing while there are none.
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    troubles: HashMap<Box<str>, Trouble>,
    /// The last question that ran into each: once it is answered, or runs into another one, that trouble is over.
    questions: HashMap<Box<[u8]>, Box<str>>,
}

struct Trouble {
    question: Box<[u8]>,
    first: Instant,
    last: Instant,
    times: u64,
    alarms: u8,
}

/// Raised for one trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// How long it has lasted.
    pub(crate) since: Duration,
    /// How many questions had no answer because of it.
    pub(crate) times: u64,
}

impl Overdue {
    /// True for errors that do not pass by themselves.
    pub(crate) fn concerns(kind: ErrorKind) -> bool {
        matches!(kind, ErrorKind::Misconfigured | ErrorKind::Schema)
    }

    /// `question` had no answer, because of data; `trouble` says what is wrong. `lifetime` is how long qmail keeps
    /// trying.
    pub(crate) fn failed(&self, question: &[u8], trouble: &str, lifetime: Duration) -> Option<Alarm> {
        self.failed_at(question, trouble, lifetime, Instant::now())
    }

    /// `question` was answered.
    pub(crate) fn answered(&self, question: &[u8]) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut waiting = self.waiting();
            if let Some(trouble) = waiting.questions.get(shortened(question)).cloned() {
                waiting.forget(&trouble);
            }
            self.count.store(waiting.troubles.len(), Ordering::Relaxed);
        }
    }

    /// How many troubles are remembered, and for how many an alarm was raised.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.counts_at(Instant::now())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts_at(&self, now: Instant) -> (usize, usize) {
        let mut waiting = self.waiting();
        waiting.forget_old(now);
        self.count.store(waiting.troubles.len(), Ordering::Relaxed);
        (waiting.troubles.len(), waiting.troubles.values().filter(|trouble| trouble.alarms > 0).count())
    }

    fn failed_at(&self, question: &[u8], trouble: &str, lifetime: Duration, now: Instant) -> Option<Alarm> {
        let mut waiting = self.waiting();
        let alarm = waiting.failed(shortened(question), trouble, lifetime, now);
        self.count.store(waiting.troubles.len(), Ordering::Relaxed);
        alarm
    }
}

impl Waiting {
    fn failed(&mut self, question: &[u8], words: &str, lifetime: Duration, now: Instant) -> Option<Alarm> {
        if self.troubles.get(words).is_some_and(|known| known.is_old(now)) {
            self.forget(words);
        }
        // Whoever runs into something else is past what it ran into before, but its mail has waited since then.
        let mut waited = None;
        if let Some(earlier) = self.questions.get(question).filter(|earlier| ***earlier != *words).cloned() {
            waited = self.troubles.get(&earlier).map(|known| (known.first, known.alarms));
            self.forget(&earlier);
        }
        if !self.troubles.contains_key(words) && self.troubles.len() >= TROUBLES {
            self.make_room(now);
        }
        let (first, alarms) = waited.unwrap_or((now, 0));
        let new = || Trouble { question: question.into(), first, last: now, times: 0, alarms };
        let trouble = self.troubles.entry(words.into()).or_insert_with(new);
        (trouble.last, trouble.times) = (now, trouble.times + 1);
        let before = std::mem::replace(&mut trouble.question, question.into());
        let since = now.saturating_duration_since(trouble.first);
        let due = u8::from(since >= FIRST.min(lifetime / 2)) + u8::from(since >= lifetime / 2);
        let alarm = (due > trouble.alarms).then(|| {
            trouble.alarms = due;
            Alarm { since, times: trouble.times }
        });
        if *before != *question {
            self.forget_question(&before, words);
        }
        self.questions.insert(question.into(), words.into());
        alarm
    }

    fn forget(&mut self, words: &str) {
        if let Some(known) = self.troubles.remove(words) {
            self.forget_question(&known.question, words);
        }
    }

    /// Unless it has run into something else since.
    fn forget_question(&mut self, question: &[u8], words: &str) {
        if self.questions.get(question).is_some_and(|known| **known == *words) {
            self.questions.remove(question);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let old: Vec<_> =
            self.troubles.iter().filter(|(_, known)| known.is_old(now)).map(|(words, _)| words.clone()).collect();
        old.iter().for_each(|words| self.forget(words));
    }

    /// Gives up some of those that nobody has run into for the longest time; those that only one question has, first:
    /// mail that waits is tried again.
    fn make_room(&mut self, now: Instant) {
        self.forget_old(now);
        if self.troubles.len() < TROUBLES {
            return;
        }
        let mut order: Vec<_> =
            self.troubles.iter().map(|(words, known)| (known.times > 1, known.last, words.clone())).collect();
        order.sort_unstable();
        order.iter().take(GIVEN_UP).for_each(|(.., words)| self.forget(words));
    }
}

impl Trouble {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= DAY
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
    const BOB: &str = "data: misconfiguration (rule K3): table mailbox, row bob, column uid: denied";
    const EVE: &str = "data: misconfiguration (rule K3): table mailbox, row eve, column uid: denied";

    #[test]
    fn an_alarm_is_raised_after_an_hour_and_at_half_of_the_lifetime() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        let at = |hours: u32| overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR * hours);
        assert_eq!(at(0), None);
        assert_eq!(at(1), Some(Alarm { since: HOUR, times: 2 }));
        assert_eq!(at(2), None);
        for hours in [20, 40, 60, 83] {
            assert_eq!(at(hours), None);
        }
        assert_eq!(at(84), Some(Alarm { since: WEEK / 2, times: 8 }));
        assert_eq!(at(100), None);
        assert_eq!(overdue.counts_at(start + HOUR * 100), (1, 1));
    }

    #[test]
    fn a_good_answer_ends_it() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.answered(b"getpw bob");
        overdue.failed_at(b"getpw bob", BOB, WEEK, start);
        overdue.failed_at(b"getpw eve", EVE, WEEK, start);
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.counts_at(start), (1, 0));
        assert_eq!(overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR), None, "counted from now on");
    }

    #[test]
    fn many_questions_that_run_into_one_row_are_one_trouble() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        for n in 0..3 * TROUBLES {
            overdue.failed_at(format!("getpw bob-{n}").as_bytes(), BOB, WEEK, start);
        }
        assert_eq!(overdue.counts_at(start), (1, 0));
        assert_eq!(overdue.waiting().questions.len(), 1);
        assert!(overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR).is_some());
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.counts_at(start), (0, 0));
        assert_eq!(overdue.waiting().questions.len(), 0);
    }

    #[test]
    fn a_question_that_runs_into_something_else_is_past_the_first_trouble() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"getpw bob", BOB, WEEK, start);
        overdue.failed_at(b"getpw bob", EVE, WEEK, start + HOUR / 2);
        assert_eq!(overdue.counts_at(start + HOUR / 2), (1, 0));
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.counts_at(start + HOUR), (0, 0));
        assert_eq!(overdue.waiting().questions.len(), 0);
        assert_eq!(overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR * 2), None, "counted from now on");
    }

    #[test]
    fn a_trouble_that_another_question_ran_into_since_stays() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"getpw bob", BOB, WEEK, start);
        overdue.failed_at(b"getpw bob-x", BOB, WEEK, start);
        overdue.failed_at(b"getpw bob", EVE, WEEK, start);
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.counts_at(start), (1, 0));
        let alarm = overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR);
        assert_eq!(alarm, Some(Alarm { since: HOUR, times: 3 }));
    }

    #[test]
    fn a_queue_that_gives_up_early_is_warned_of_early() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"x", BOB, HOUR, start);
        assert!(overdue.failed_at(b"x", BOB, HOUR, start + HOUR / 2).is_some());
    }

    #[test]
    fn what_nobody_runs_into_for_a_day_begins_anew() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"getpw bob", BOB, WEEK, start);
        assert_eq!(overdue.failed_at(b"getpw bob", BOB, WEEK, start + DAY), None);
        assert_eq!(overdue.counts_at(start + DAY), (1, 0));
    }

    #[test]
    fn a_flood_takes_no_more_than_its_room_and_hides_no_mail_that_waits() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        overdue.failed_at(b"getpw bob", BOB, WEEK, start);
        overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR / 2);
        for n in 0..u32::try_from(3 * TROUBLES).unwrap() {
            let (question, trouble) = (format!("recipient {n}@virtual.com"), format!("row {n}@virtual.com"));
            overdue.failed_at(question.as_bytes(), &trouble, WEEK, start + HOUR / 2 + Duration::from_micros(n.into()));
        }
        assert!(overdue.counts_at(start + HOUR).0 <= TROUBLES);
        assert!(overdue.waiting().questions.len() <= TROUBLES);
        let last = format!("row {}@virtual.com", 3 * TROUBLES - 1);
        assert!(overdue.waiting().troubles.contains_key(last.as_str()), "the newest are kept");
        assert!(!overdue.waiting().troubles.contains_key("row 0@virtual.com"), "and the oldest are not");
        let alarm = overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR);
        assert_eq!(alarm, Some(Alarm { since: HOUR, times: 3 }));
    }

    #[test]
    fn a_long_question_is_remembered_by_its_begin() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        let long = vec![b'x'; 8000];
        overdue.failed_at(&long, BOB, WEEK, start);
        overdue.answered(&long);
        assert_eq!(overdue.counts_at(start).0, 0);
    }

    #[test]
    fn mail_that_runs_into_one_trouble_after_the_other_waits_all_the_time() {
        let (overdue, start) = (Overdue::default(), Instant::now());
        let at = |hours: u32| {
            let words = if hours.is_multiple_of(2) { BOB } else { EVE };
            overdue.failed_at(b"getpw bob", words, WEEK, start + HOUR * hours)
        };
        assert_eq!(at(0), None);
        assert_eq!(at(1).map(|alarm| alarm.since), Some(HOUR), "two servers that do not agree, for example");
        assert_eq!((at(2), at(3)), (None, None), "said once");
        assert_eq!(at(84).map(|alarm| alarm.since), Some(WEEK / 2));
        assert_eq!(overdue.counts_at(start + HOUR * 84), (1, 1));
        overdue.answered(b"getpw bob");
        assert_eq!(overdue.failed_at(b"getpw bob", BOB, WEEK, start + HOUR * 85), None, "and then anew");
    }
}
