//! `qmail-lookup install` and `uninstall`: programs put in place of qmail's, and taken away.

mod back;
mod ground;
mod hosts;
mod kept;
mod killed;
mod put;
mod refused;

use libtest_mimic::Trial;

/// All trials `install::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [put::trials(), refused::trials(), kept::trials(), back::trials(), hosts::trials(), killed::trials()];
    all.into_iter().flatten().collect()
}
