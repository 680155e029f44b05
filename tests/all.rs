//! The one test binary. Trials are named `conformance::STORE::AREA::SENTENCE`, `outage::STORE::...`, `parity::STORE`,
//! and so on; any part of a name chooses them.

mod cli;
mod clients;
mod conformance;
mod crash;
mod daemon;
mod docs;
mod doctor;
mod e2e;
mod editing;
mod golden;
mod importing;
mod install;
mod layers;
mod lint;
mod loaders;
mod local;
mod lockfile;
mod mappings;
mod moving;
mod outage;
mod parity;
mod registry;
mod rehash;
mod rules;
mod shadow;
mod sync;

use libtest_mimic::Arguments;
use qmail_lookup_tests::server::process::clear_away;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time goes by in waiting for servers and deadlines, not in computing.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    let candidates = qmail_lookup_tests::subjects::all();
    let mut trials = conformance::trials(&candidates);
    trials.extend(parity::trials(&candidates));
    trials.extend(outage::trials());
    trials.extend(registry::trials(&candidates));
    trials.extend(rehash::trials());
    trials.extend(layers::trials());
    trials.extend(loaders::trials());
    trials.extend(mappings::trials());
    trials.extend(lockfile::trials());
    let complete = candidates.iter().filter_map(|candidate| candidate.subject.as_ref().ok());
    trials.extend(complete.filter(|subject| subject.complete).flat_map(rules::trials));
    trials.extend(cli::trials());
    trials.extend(daemon::trials());
    trials.extend(golden::trials());
    trials.extend(local::trials());
    trials.extend(crash::trials());
    trials.extend(clients::trials());
    trials.extend(install::trials());
    trials.extend(sync::trials());
    trials.extend(lint::trials());
    trials.extend(doctor::trials());
    trials.extend(e2e::trials());
    trials.extend(moving::trials());
    trials.extend(importing::trials());
    trials.extend(editing::trials());
    trials.extend(shadow::trials());
    trials.extend(docs::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    conformance::say_what_is_missing(&candidates, &arguments);
    drop(candidates);
    clear_away();
    conclusion.exit_code()
}
