//! The daemon asks a second store after each answer.

mod questions;

use libtest_mimic::Trial;

/// All trials.
pub(crate) fn trials() -> Vec<Trial> {
    [questions::trials()].into_iter().flatten().collect()
}
