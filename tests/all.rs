//! The one test binary. Trials are named `conformance::STORE::AREA::SENTENCE`, `outage::STORE::...`, `parity::STORE`,
//! and so on; any part of a name chooses them.

mod conformance;
mod layers;
mod lockfile;
mod outage;
mod parity;
mod registry;

use libtest_mimic::Arguments;
use qmail_lookup_tests::server::process::clear_away;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let candidates = qmail_lookup_tests::subjects::all();
    let mut trials = conformance::trials(&candidates);
    trials.extend(parity::trials(&candidates));
    trials.extend(outage::trials());
    trials.extend(registry::trials(&candidates));
    trials.extend(layers::trials());
    trials.extend(lockfile::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    conformance::say_what_is_missing(&candidates, &arguments);
    drop(candidates);
    clear_away();
    conclusion.exit_code()
}
