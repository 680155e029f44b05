//! Message in, file out: whole sites under a miniature qmail, or a real one. Each trial runs on every kind of store.

mod ground;
mod outage;
mod rows;
mod suspended;
mod switch;
mod tool;
mod traffic;
mod upgrade;
mod virtuals;

use ground::{Ground, Store};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::Outcome;
use std::sync::Arc;

/// All trials `e2e::STORE::AREA::SENTENCE`; with an installed qmail its own beside them, `e2e::STORE-real::...`.
pub(crate) fn trials() -> Vec<Trial> {
    Store::all().into_iter().flat_map(on).chain(switch::trials()).collect()
}

fn on(store: Store) -> Vec<Trial> {
    // Those that disturb nobody share a site; it goes away with the last of them. An installed qmail is lent to one at a
    // time.
    let new = || Arc::new(ground::Shared::new(store));
    let all = new();
    let together = [rows::TOGETHER, virtuals::TOGETHER].concat().into_iter().map(|(sentence, run)| {
        let shared = if store.is_real() { new() } else { Arc::clone(&all) };
        trial(store, sentence, move || run(shared.ground()?))
    });
    // The programs of an installed qmail are not replaced.
    let changing = if store.is_real() { [].as_slice() } else { &[upgrade::ALONE, traffic::ALONE] }.concat();
    let alone = [suspended::ALONE, outage::ALONE].concat().into_iter().chain(changing);
    together.chain(alone.map(|(sentence, run)| trial(store, sentence, move || run(store)))).collect()
}

/// A sentence on a site that others use as well.
type Together = (&'static str, fn(&Ground) -> Outcome);

/// A sentence that makes sites of its own.
type Alone = (&'static str, fn(Store) -> Outcome);

fn trial(store: Store, sentence: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    qmail_lookup_tests::site::trial(&format!("e2e::{}::{sentence}", store.name()), run)
}
