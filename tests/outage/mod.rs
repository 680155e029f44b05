//! Outages: always "don't know", never "absent", and never for a neighbour.

mod example;
mod ldap;
mod mysql;
mod proxied;
mod sqlite;
mod sqlite_written;
mod trust;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Backend, Deadline, ErrorKind, LookupError, TableRow};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal, must_fail};
use qmail_lookup_tests::dataset;
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::mariadb::PASSWORD;
use qmail_lookup_tests::shape::Shape;
use std::time::{Duration, Instant};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = sqlite::trials();
    trials.extend(sqlite_written::trials());
    trials.extend(mysql::trials());
    trials.extend(ldap::trials());
    trials.extend(trust::trials());
    trials.extend(example::trials());
    trials
}

fn trial(store: &str, sentence: &str, run: fn() -> Outcome) -> Trial {
    Trial::test(format!("outage::{store}::{sentence}"), run)
}

/// Time that a question of an outage gets.
const SHORT: Duration = Duration::from_millis(1500);

/// How much later an error may come: the machine may be busy.
const LATE: Duration = Duration::from_secs(8);

/// The rows that the stores of this module hold.
fn rows(shape: &Shape) -> Vec<TableRow> {
    shape.rows(&dataset::rows())
}

/// Questions of every sort, about what is there and what is not.
fn questions() -> Vec<Question> {
    vec![
        Question::mailboxes(["iain"]),
        Question::mailboxes(["nobody"]),
        Question::mailboxes(["iain-x", "iain"]),
        Question::aliases([("iain", "list")]),
        Question::aliases([("nobody", "@")]),
        Question::exact([("virtual.com", "iain")]),
        Question::exact([("virtual.com", "nobody")]),
        Question::patterns("funky.com"),
        Question::any("nowhere.com"),
        Question::rcpthosts(["bar.com"]),
        Question::rcpthosts(["nowhere.com"]),
    ]
}

/// Every question fails, in time, with an error of one of `kinds` that gives nothing away.
fn knows_nothing(store: &dyn Backend, kinds: &[ErrorKind]) -> Outcome {
    for question in questions() {
        fails(store, &question, kinds)?;
    }
    let reached = block_on(store.any_mailbox(Deadline::after(SHORT)));
    must_fail("any_mailbox", reached).map(drop)
}

/// This question fails, in time, with an error of one of `kinds` that gives nothing away.
fn fails(store: &dyn Backend, question: &Question, kinds: &[ErrorKind]) -> Outcome {
    let begin = Instant::now();
    let error = must_fail(&format!("{question:?}"), question.put(store, Deadline::after(SHORT)))?;
    let took = begin.elapsed();
    ensure(took < SHORT + LATE, format!("{question:?}: {took:?} for a deadline of {SHORT:?}"))?;
    ensure(kinds.contains(&error.kind()), format!("{question:?}: {:?} ({error}), not one of {kinds:?}", error.kind()))?;
    discreet(&error)
}

/// An error names the store, and no secret.
fn discreet(error: &LookupError) -> Outcome {
    let said = format!("{error} {error:?} {}", error.help().unwrap_or_default());
    ensure(!error.place().is_empty(), "an error without a place")?;
    ensure(!said.contains(PASSWORD) && !said.contains("sesame"), format!("the error tells a secret: {said}"))
}

/// Every question is answered, and right.
fn answers(store: &dyn Backend, rows: &[TableRow]) -> Outcome {
    for question in questions() {
        let came = question.put(store, soon())?;
        equal(&format!("{question:?}"), question.counting(&came), question.counting(rows))?;
    }
    Ok(())
}

/// Every question is answered right, or fails. Returns how many failed.
fn right_or_nothing(store: &dyn Backend, rows: &[TableRow]) -> Result<usize, Failed> {
    let mut failed = 0;
    for question in questions() {
        match question.put(store, Deadline::after(SHORT)) {
            Ok(came) => equal(&format!("{question:?}"), question.counting(&came), question.counting(rows))?,
            Err(_) => failed += 1,
        }
    }
    Ok(failed)
}

/// After the outage all is well again, in a bounded time; until then errors only.
fn recovers(store: &dyn Backend, rows: &[TableRow]) -> Outcome {
    let until = Instant::now() + Duration::from_secs(20);
    while right_or_nothing(store, rows)? > 0 {
        ensure(Instant::now() < until, "no answers 20 s after the outage")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    answers(store, rows)
}
