//! The home directory: where deliveries happen, and whether its owner lets them.

use super::report::{self, Ending, Outcome};
use super::words;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Others than the owner and the group may write: conf-patrn. Of a home as of a dot-qmail file.
pub const WRITABLE: u32 = 0o002;

/// The sticky bit: "I am editing".
const STICKY: u32 = 0o1000;

/// Makes `home` the working directory.
///
/// # Errors
/// A deferral if it cannot be entered, if others may write there, or, unless this is only to `print`, if it is sticky.
pub fn enter(home: &[u8], print: bool) -> Outcome<()> {
    std::env::set_current_dir(Path::new(OsStr::from_bytes(home))).map_err(|error| {
        Ending::defer(&[b"Unable to switch to ", home, b": ", words::of(&error).as_bytes(), b". (#4.3.0)"])
    })?;
    let found = std::fs::metadata(".").map_err(|error| {
        Ending::defer(&[b"Unable to stat home directory: ", words::of(&error).as_bytes(), b". (#4.3.0)"])
    })?;
    if found.mode() & WRITABLE != 0 {
        return Err(Ending::defer(&[b"Uh-oh: home directory is writable. (#4.7.0)"]));
    }
    if found.mode() & STICKY != 0 {
        if !print {
            return Err(Ending::defer(&[b"Home directory is sticky: user is editing his .qmail file. (#4.2.1)"]));
        }
        report::say(b"Warning: home directory is sticky.\n");
    }
    Ok(())
}

/// Whether the working directory is still a directory somewhere: in one that has been removed no file is found.
#[must_use]
pub fn is_there() -> bool {
    std::fs::metadata(".").is_ok_and(|found| found.nlink() > 0)
}
