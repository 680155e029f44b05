//! The tool, run by root on a site.

use libtest_mimic::Failed;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{Ran, Site, command, dropin, program, run};
use std::path::PathBuf;

/// `qmail-lookup --config CONFIG arguments...`.
pub(super) fn tool(site: &Site, arguments: &[&str]) -> Result<Ran, Failed> {
    let config = site.config().display().to_string();
    tool_with(&["--config", &config], arguments)
}

/// The same with another option in the place of `--config`.
pub(super) fn tool_with(option: &[&str], arguments: &[&str]) -> Result<Ran, Failed> {
    run(command(program("qmail-lookup")?, (0, 0)).args(option).args(arguments), b"")
}

/// `qmail-lookup install` with the programs that were built beside this test.
pub(super) fn install(site: &Site) -> Result<Ran, Failed> {
    let programs = dropin("qmail-getpw")?.parent().map_or_else(PathBuf::new, PathBuf::from).display().to_string();
    tool(site, &["install", "--programs", &programs])
}

/// Fails unless it has ended with this code.
pub(super) fn exits(what: &str, ran: &Ran, code: i32) -> Outcome {
    ensure(ran.code == Some(code), format!("{what}: exit {code} expected: {ran:#?}"))
}
