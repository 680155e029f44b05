//! The file that is imported.

use crate::output::Failure;
use nix::fcntl::OFlag;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Its name for messages, and its bytes; `-` is standard input, which may be a pipe.
///
/// # Errors
/// If it cannot be opened, or is no regular file: to open a pipe by its name may last for ever.
pub(super) fn open(source: &Path) -> Result<(String, Box<dyn Read>), Failure> {
    if source.as_os_str() == "-" {
        return Ok(("standard input".to_owned(), Box::new(io::stdin())));
    }
    let name = source.display().to_string();
    let refused = |what: &dyn Display| Failure::usage(format!("cannot read {name}: {what}"));
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(source).map_err(|error| refused(&error))?;
    if !file.metadata().map_err(|error| refused(&error))?.is_file() {
        return Err(refused(&"it is no regular file; what a pipe brings is read from standard input (FILE -)"));
    }
    Ok((name, Box::new(file)))
}
