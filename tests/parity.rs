//! Every store gives the same answer, byte for byte, to every question of the battery.

use libtest_mimic::Trial;
use qmail_lookup_backends::memory::Memory;
use qmail_lookup_core::TableRow;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::dataset;
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::questions;
use qmail_lookup_tests::subject::Subject;
use qmail_lookup_tests::subjects::Candidate;
use std::sync::Arc;

pub(crate) fn trials(candidates: &[Candidate]) -> Vec<Trial> {
    let subjects = candidates.iter().filter_map(|candidate| candidate.subject.as_ref().ok());
    let trial = |subject: &Arc<Subject>| {
        let (name, subject) =
            (format!("parity::{}::answers_as_the_memory_store_does", subject.name), Arc::clone(subject));
        Trial::test(name, move || compare(&subject))
    };
    subjects.map(trial).collect()
}

/// Where the subject's tables hold every row that the question is about, unchanged, the answers must be equal. Where
/// they refuse some of the rows, the answer must be the rest.
fn compare(subject: &Subject) -> Outcome {
    let store = &*subject.opened()?.store;
    let everything = dataset::rows();
    let reference = Memory::new(everything.clone(), Arc::default());
    let held = subject.rows();
    let (mut same, mut partly) = (0, 0);
    for question in questions::all() {
        let got = question.counting(&question.put(store, soon())?);
        let want = unnumbered(question.counting(&question.put(&reference, soon())?), subject);
        let rest = question.counting(held);
        if rest == want {
            same += 1;
            equal(&format!("{question:?}"), got, want)?;
        } else {
            partly += 1;
            equal(&format!("{question:?}, of which not every row was stored"), got, rest)?;
        }
    }
    let least = if subject.complete { 500 } else { 300 };
    ensure(same >= least, format!("only {same} questions compared, {partly} others"))
}

/// The rows as a table without column seq has them.
fn unnumbered(mut rows: Vec<TableRow>, subject: &Subject) -> Vec<TableRow> {
    for row in &mut rows {
        match row {
            TableRow::Alias(alias) if !subject.shape.seq => alias.seq = None,
            TableRow::Mailbox(mailbox) if !subject.shape.login_columns => mailbox.mailbox.suspended = None,
            _ => {}
        }
    }
    rows.sort();
    rows
}
