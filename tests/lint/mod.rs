//! `qmail-lookup lint`: what is wrong with the rows.

mod across;
mod directory;
mod homes;
mod loops;
mod memory;
mod repairs;
mod report;
mod rows;
mod world;

use libtest_mimic::Trial;

/// All trials.
pub(crate) fn trials() -> Vec<Trial> {
    let single = [rows::trials(), repairs::trials(), report::trials(), memory::trials(), directory::trials()];
    let across = [across::trials(), homes::trials(), loops::trials()];
    single.into_iter().chain(across).flatten().collect()
}
