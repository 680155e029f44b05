//! qmail-local under a whole site: real programs from the recipient as it was typed to the files and the queue. What
//! qmail itself does around them is played by [`post`] and the site.

mod assigned;
mod changes;
mod files;
mod hosts;
mod large;
mod logged;
mod magic;
mod net;
mod outage;
mod owner;
mod post;
mod rows;
mod settings;
mod stock;
mod suspended;
mod typed;
mod verp;
mod virtuals;
mod world;

use libtest_mimic::Trial;
use qmail_lookup_tests::check::Outcome;
use world::Store;

/// All trials `local::STORE::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [
        rows::trials(),
        files::trials(),
        virtuals::trials(),
        typed::trials(),
        owner::trials(),
        magic::trials(),
        suspended::trials(),
        settings::trials(),
        outage::trials(),
        changes::trials(),
        verp::trials(),
        large::trials(),
        stock::trials(),
        assigned::trials(),
        hosts::trials(),
        net::trials(),
        logged::trials(),
    ];
    all.into_iter().flatten().collect()
}

/// A trial on a SQLite file.
fn sqlite(name: &str, run: fn(Store) -> Outcome) -> Trial {
    on(Store::Sqlite, name, run)
}

/// A trial on both stores.
fn both(name: &str, run: fn(Store) -> Outcome) -> [Trial; 2] {
    [on(Store::Sqlite, name, run), on(Store::MariaDb, name, run)]
}

fn on(store: Store, name: &str, run: fn(Store) -> Outcome) -> Trial {
    qmail_lookup_tests::site::trial(&format!("local::{}::{name}", store.name()), move || run(store))
}
