//! `qmail-lookup sync`: control files kept in step with the stores.

mod going;
mod ground;
mod hosts;
mod killed;
mod lines;
mod order;
mod send;
mod watch;

use libtest_mimic::Trial;

/// All trials `sync::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [hosts::trials(), lines::trials(), order::trials(), going::trials(), killed::trials(), watch::trials()];
    all.into_iter().flatten().collect()
}
