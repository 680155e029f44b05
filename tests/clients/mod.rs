//! Real programs of other people against the real daemon and drop-ins: what Debian packages of Dovecot, Postfix, CVM,
//! mailfront and daemontools make of our answers. Needs root, as every site does.

mod checkpassword;
mod cvm;
mod dialogue;
mod dovecot;
mod mailfront;
mod postfix;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::server::{find, is_required};
use qmail_lookup_tests::site;
use std::path::{Path, PathBuf};

/// Settings for sites whose store goes away.
pub(crate) const SOON: &str = "[store]\ndeadline = \"1s\"\n";

/// Where servers listen: an address that no connection of another trial begins at, so that nobody takes their port.
const ADDRESS: &str = "127.0.0.77";

/// All trials `clients::PROGRAM::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [dovecot::trials(), postfix::trials(), cvm::trials(), mailfront::trials(), checkpassword::trials()];
    all.into_iter().flatten().collect()
}

/// A trial that needs `programs`: ignored with a loud name where one is missing, and a failure in CI.
fn trial(subject: &str, programs: &[&str], sentence: &str, run: fn() -> Outcome) -> Trial {
    let name = format!("clients::{subject}::{sentence}");
    match programs.iter().find(|program| installed(program).is_err()) {
        None => site::trial(&name, run),
        Some(missing) => {
            let why = format!("{missing} is not installed");
            let trial = Trial::test(format!("{name} ({why})"), || Err(why.into()));
            trial.with_ignored_flag(!is_required(subject))
        }
    }
}

/// A program of the system: a name, or a path where Debian keeps programs that are not to be called by people.
fn installed(program: &str) -> Result<PathBuf, Failed> {
    let found = if program.starts_with('/') {
        Some(program.into()).filter(|path: &PathBuf| path.is_file())
    } else {
        find(program)
    };
    found.ok_or_else(|| format!("{program} is not installed").into())
}

/// Fails if `text` holds `word`.
fn holds_no(what: &str, text: &str, word: &str) -> Outcome {
    ensure(!text.contains(word), format!("{what} holds {word:?}:\n{text}"))
}

/// A port that nobody listens on at the moment.
fn free_port() -> Result<u16, Failed> {
    Ok(std::net::TcpListener::bind((ADDRESS, 0))?.local_addr()?.port())
}

/// Gid of a group of the system.
fn gid_of(group: &str) -> Result<u32, Failed> {
    let found = nix::unistd::Group::from_name(group)?.ok_or_else(|| format!("there is no group {group}"))?;
    Ok(found.gid.as_raw())
}

/// Uid of a user of the system.
fn uid_of(user: &str) -> Result<u32, Failed> {
    let found = nix::unistd::User::from_name(user)?.ok_or_else(|| format!("there is no user {user}"))?;
    Ok(found.uid.as_raw())
}

/// A path as text.
fn text(path: &Path) -> String {
    path.display().to_string()
}
