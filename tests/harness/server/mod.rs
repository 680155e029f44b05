//! Servers of the test run's own: real programs, private folders, stopped by their process id.

pub mod certificates;
pub mod mariadb;
pub mod mysql9;
pub mod process;
pub mod slapd;

use std::path::PathBuf;

/// Finds `program` in PATH and where Debian keeps servers, which is not in an ordinary user's PATH.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// True if a subject that cannot run has to fail instead of being reported as ignored: `CI=true`, or `QL_REQUIRE`
/// names it (or `all`).
#[must_use]
pub fn is_required(name: &str) -> bool {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let named = std::env::var("QL_REQUIRE").unwrap_or_default();
    let is_named = named.split(',').map(str::trim).any(|word| word == name || word == "all");
    // mysql9 is nobody's package: only asking for it by its name makes it a must.
    if name == "mysql9" { named.split(',').any(|word| word.trim() == name) } else { ci || is_named }
}
