//! Standard output.

use std::fs::File;
use std::io::{Result, Write};
use std::os::fd::AsFd;

/// Writes all of `bytes`. Not by std's own standard output, which takes a closed one for written.
///
/// # Errors
/// If not all of it can be written.
pub fn write(bytes: &[u8]) -> Result<()> {
    File::from(std::io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}
