//! `qmail-lookup doctor`: the FAQ's symptoms on a host, each made and mended by the command that doctor names.

mod files;
mod ground;
mod homes;
mod hosts;
mod service;
mod store;

use libtest_mimic::Trial;
use qmail_lookup_tests::check::Outcome;

/// All trials `doctor::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [files::trials(), homes::trials(), hosts::trials(), service::trials(), store::trials()];
    all.into_iter().flatten().collect()
}

fn trial(name: &str, run: fn() -> Outcome) -> Trial {
    qmail_lookup_tests::site::mounting(&format!("doctor::{name}"), run)
}
