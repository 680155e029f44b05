//! What is shipped beside the programs - manual pages, unit files, run scripts, snippets, documents - and what keeps it
//! true.

mod activation;
mod faq;
mod local;
mod man;
mod package;
mod reports;
mod rules;
mod snippets;
mod supervise;
mod text;
mod units;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::server::{find, is_required};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// All trials `docs::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let shipped = [units::trials(), activation::trials(), supervise::trials(), snippets::trials(), local::trials()];
    let told = [man::trials(), text::trials(), faq::trials(), package::trials(), rules::trials()];
    let all = told.into_iter().chain(shipped);
    all.flatten().collect()
}

fn trial(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::test(format!("docs::{name}"), run)
}

/// A trial that needs these programs, and root if `root`: ignored with a loud name without, and a failure in CI.
fn needing(programs: &[&str], root: bool, name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    let mut missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if root && !nix::unistd::geteuid().is_root() {
        missing.push("root");
    }
    if missing.is_empty() {
        return trial(name, run);
    }
    let needs = format!("needs {}", missing.join(", "));
    let required = missing.iter().any(|name| is_required(name));
    trial(&format!("{name} ({needs})"), move || Err(needs.into())).with_ignored_flag(!required)
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A file of the repository.
fn read(path: impl AsRef<Path>) -> Result<String, Failed> {
    let path = root().join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The files of a folder of the repository, in order.
fn files(folder: &str) -> Result<Vec<PathBuf>, Failed> {
    let entries = std::fs::read_dir(root().join(folder))?;
    let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    ensure(!files.is_empty(), format!("{folder} is empty"))?;
    Ok(files)
}

/// Runs a command; both its outputs as one text if it succeeds.
///
/// # Errors
/// With that text if it does not.
fn succeeds(command: &mut Command) -> Result<String, Failed> {
    let Output { status, stdout, stderr } = command.output()?;
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure(status.success(), format!("{command:?}: {status}\n{text}"))?;
    Ok(text)
}
