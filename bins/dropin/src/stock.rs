//! The stock program kept beside ours.

use crate::sys;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Set for a stock program. Whoever is one of ours and finds it set has been put in the stock program's place.
pub const MARK: &str = "QMAIL_LOOKUP_STOCK";

/// Our own program.
const OURSELVES: &str = "/proc/self/exe";

/// What stands where the stock program should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A program that is not ours, as far as one can see.
    Stock,
    /// Ours, under whatever name: running it would lead back here.
    Ours,
    /// Nothing.
    Absent,
    /// Something that cannot be examined.
    Unknown,
}

/// Looks at `path`.
#[must_use]
pub fn examine(path: &Path) -> Standing {
    if std::env::var_os(MARK).is_some() {
        return Standing::Ours;
    }
    let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (std::fs::metadata(path), std::fs::metadata(OURSELVES)) {
        (Err(error), _) if error.kind() == ErrorKind::NotFound => Standing::Absent,
        (Ok(there), Ok(ours)) if same(&there, &ours) => Standing::Ours,
        // Without /proc the mark ends a loop after one turn.
        (Ok(_), _) => Standing::Stock,
        (Err(_), _) => Standing::Unknown,
    }
}

/// `NAME.stock` in the directory that holds our own program.
///
/// # Errors
/// If that directory cannot be found out.
pub fn beside_ours(name: &str) -> Result<PathBuf> {
    Ok(std::fs::read_link(OURSELVES)?.with_file_name(format!("{name}.stock")))
}

/// Becomes the stock program at `path`. Returns only if that fails.
pub fn become_it(path: &Path, arguments: &[&OsStr]) -> Error {
    sys::clear_alarm();
    sys::become_program(path.as_os_str(), arguments, (MARK, "1"))
}
