//! The battery on every store.

use libtest_mimic::{Arguments, Trial};
use qmail_lookup_tests::battery;
use qmail_lookup_tests::subjects::Candidate;
use std::io::Write;

pub(crate) fn trials(candidates: &[Candidate]) -> Vec<Trial> {
    let of = |candidate: &Candidate| match &candidate.subject {
        Ok(subject) => battery(subject),
        Err(_) => candidate.missing().into_iter().collect(),
    };
    candidates.iter().flat_map(of).collect()
}

/// One loud line for each subject that could not run; an ignored trial is easily overlooked.
pub(crate) fn say_what_is_missing(candidates: &[Candidate], arguments: &Arguments) {
    if arguments.list {
        return;
    }
    for candidate in candidates {
        if let Err((name, why)) = &candidate.subject {
            let _ = writeln!(std::io::stderr(), "*** NOT TESTED: {name}: {why} ***");
        }
    }
}
