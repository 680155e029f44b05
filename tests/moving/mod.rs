//! Rows on their way from store to store: `compare`, `migrate`, `export` of what arrived.

mod compare;
mod guards;
mod killed;
mod migrate;
mod outage;
mod places;
mod round_trip;
mod sides;
mod text;

use libtest_mimic::Trial;

/// All trials.
pub(crate) fn trials() -> Vec<Trial> {
    [
        compare::trials(),
        sides::trials(),
        migrate::trials(),
        guards::trials(),
        killed::trials(),
        outage::trials(),
        round_trip::trials(),
        text::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
