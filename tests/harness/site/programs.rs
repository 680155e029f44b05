//! Where the programs are that were built beside this test.

use libtest_mimic::Failed;
use std::path::PathBuf;

/// A program of the debug build: `qmail-lookup`, `qmail-lookupd`.
///
/// # Errors
/// If it is not built.
pub fn program(name: &str) -> Result<PathBuf, Failed> {
    built("debug", name, "cargo build --workspace --bins")
}

/// A static drop-in.
///
/// # Errors
/// If it is not built.
pub fn dropin(name: &str) -> Result<PathBuf, Failed> {
    built("dropin", name, "bash bins/dropin/build.sh")
}

/// An example of the drop-ins: static if it was built so, else that of the debug build.
///
/// # Errors
/// If it is not built.
pub fn example(name: &str) -> Result<PathBuf, Failed> {
    let name = format!("examples/{name}");
    dropin(&name).or_else(|_| built("debug", &name, "cargo build -p qmail-lookup-dropin --examples"))
}

fn built(profile: &str, name: &str, how: &str) -> Result<PathBuf, Failed> {
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(3).ok_or("no target folder")?;
    let path = target.join(profile).join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is not built: {how}", path.display()).into()) }
}
