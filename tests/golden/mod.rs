//! qmail-local beside recorded runs of the stock program: each case with its dot-qmail files, and once more with alias
//! rows in place of the file that holds the instructions.

mod case;
mod home;
mod instructions;
mod moment;
mod normal;
mod record;
mod run;
mod shared;

use case::Case;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::trial;
use record::Record;
use shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A case where we differ from the stock program on purpose.
struct Difference {
    name: &'static str,
    reason: &'static str,
    /// Turns what the stock program did into what ours does.
    ours: Change,
}

/// Makes another record of one.
type Change = fn(&mut Record);

/// All of them.
const DIFFERENCES: &[Difference] = &[];

/// How many cases there are, and how many of them rows can tell.
const COUNTS: (usize, usize) = (178, 130);

/// Whether rows can tell a case does not depend on where its home is.
const ANY_HOME: &[u8] = b"/home";

/// All trials `golden::...` and `golden_rows::...`.
pub(crate) fn trials() -> Vec<Trial> {
    let cases = match case::all() {
        Ok(cases) => Arc::new(cases),
        Err(error) => return vec![Trial::test("golden::the_cases_can_be_read", move || Err(error))],
    };
    let shared = Arc::new(Shared::new(Arc::clone(&cases)));
    let mut trials = vec![
        Trial::test("golden::no_case_is_missing_and_every_difference_is_of_one", {
            let cases = Arc::clone(&cases);
            move || complete(&cases)
        }),
        Trial::test("golden::whatever_is_otherwise_is_noticed", {
            let cases = Arc::clone(&cases);
            move || noticed(&cases)
        }),
        Trial::test("golden::dates_are_those_of_the_calendar", moment::dates),
    ];
    for (n, case) in cases.iter().enumerate() {
        trials.push(of_case(&format!("golden::{}", case.name), &shared, n, Shared::with_files));
        if instructions::of(case, ANY_HOME).is_some() {
            trials.push(of_case(&format!("golden_rows::{}", case.name), &shared, n, Shared::with_rows));
        }
    }
    trials
}

/// How a case is run: gives what was, and what the stock program did.
type Way = fn(&Shared, usize) -> Result<(Record, Record), Failed>;

fn of_case(name: &str, shared: &Arc<Shared>, n: usize, way: Way) -> Trial {
    let shared = Arc::clone(shared);
    trial(name, move || {
        let (got, mut want) = way(&shared, n)?;
        let mut reason = String::new();
        let case = shared.case(n)?;
        if let Some(one) = DIFFERENCES.iter().find(|one| one.name == case.name) {
            (one.ours)(&mut want);
            reason = format!("\nwe differ here from the stock program: {}", one.reason);
        }
        record::compare(&got, &want).map_err(|found| (found + &reason).into())
    })
}

fn complete(cases: &[Case]) -> Outcome {
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    let by_rows = cases.iter().filter(|case| instructions::of(case, ANY_HOME).is_some()).count();
    equal("cases", (names.len(), by_rows), COUNTS)?;
    let mut listed = BTreeMap::new();
    for one in DIFFERENCES {
        let case = cases.iter().find(|case| case.name == one.name).ok_or(format!("no case {}", one.name))?;
        let mut ours = case.want.clone();
        (one.ours)(&mut ours);
        ensure(ours != case.want, format!("{}: no difference at all", one.name))?;
        ensure(listed.insert(one.name, one.reason).is_none(), format!("{} is listed twice", one.name))?;
    }
    Ok(())
}

/// The comparison sees every part of a record.
fn noticed(cases: &[Case]) -> Outcome {
    let changes: &[(&str, Change)] = &[
        ("the exit code", |record| record.exit = Some(1)),
        ("the output", |record| record.output.push(b'x')),
        ("a file less", |record| drop(record.files.pop_first())),
        ("a file more", |record| record.files.extend([(b"more".to_vec(), record::Entry::default())])),
        ("the content of a file", |record| record.files.values_mut().for_each(|file| file.data.push(b'x'))),
        ("the mode of a file", |record| record.files.values_mut().for_each(|file| file.mode.push('x'))),
        ("a file that is gone", |record| record.removed.extend([b"gone".to_vec()])),
        ("what was queued", |record| record.queue.iter_mut().for_each(|queued| queued.envelope.push(b'x'))),
    ];
    let case = cases.iter().find(|case| case.name == "do-forward-fail-after-file").ok_or("a case is missing")?;
    record::compare(&case.want, &case.want)?;
    for (what, change) in changes {
        let mut other = case.want.clone();
        change(&mut other);
        ensure(record::compare(&other, &case.want).is_err(), format!("not noticed: {what}"))?;
    }
    Ok(())
}
