//! qmail-local in trouble: killed anywhere, without room, without time. The daemon and the static program are the real
//! ones; strace kills it at each of its system calls, and makes each of them fail.

mod crowd;
mod descriptors;
mod disk;
mod errors;
mod ground;
mod home;
mod killed;
mod locks;
mod mbox;
mod memory;
mod order;
mod others;
mod running;
mod signals;
mod strace;

use ground::Ground;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::Outcome;
use qmail_lookup_tests::server::is_required;
use std::sync::{Arc, LazyLock};

/// One site for all trials; it goes away with the last of them.
type Shared = Arc<LazyLock<Result<Ground, String>>>;

/// All trials `crash::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let make: fn() -> Result<Ground, String> = Ground::make;
    let shared: Shared = Arc::new(LazyLock::new(make));
    let all = [
        vec![trial("ground::what_is_half_is_noticed", &shared, ground::halves)],
        killed::trials(&shared),
        errors::trials(&shared),
        disk::trials(&shared),
        home::trials(&shared),
        descriptors::trials(&shared),
        signals::trials(&shared),
        crowd::trials(&shared),
        memory::trials(&shared),
        locks::trials(&shared),
        order::trials(&shared),
        others::trials(&shared),
    ];
    all.into_iter().flatten().collect()
}

fn trial(name: &str, shared: &Shared, run: impl FnOnce(&Ground) -> Outcome + Send + 'static) -> Trial {
    let shared = Arc::clone(shared);
    qmail_lookup_tests::site::trial(&format!("crash::{name}"), move || match &**shared {
        Ok(ground) => run(ground),
        Err(why) => Err(why.into()),
    })
}

/// A trial that needs strace, and a system that lets it trace.
fn traced(name: &str, shared: &Shared, run: impl FnOnce(&Ground) -> Outcome + Send + 'static) -> Trial {
    if strace::works() { trial(name, shared, run) } else { lacking(name, "strace", is_required("strace")) }
}

/// A trial that cannot run here: ignored with a loud name, or a failure if it is `required`.
fn lacking(name: &str, what: &'static str, required: bool) -> Trial {
    let loud = format!("crash::{name} (needs {what})");
    Trial::test(loud, move || Err(format!("needs {what}").into())).with_ignored_flag(!required)
}
