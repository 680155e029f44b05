//! Whether a mailbox's home is in order (rule G3).

use qmail_lookup_core::getpw::{HomeCheck, SixFields};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Looks at the home of `fields`, following symlinks. A dead file server makes this hang: the caller has set an alarm.
#[must_use]
pub fn look(fields: &SixFields) -> HomeCheck {
    match std::fs::metadata(Path::new(OsStr::from_bytes(&fields.home))) {
        Ok(found) if found.uid() == fields.uid && found.gid() == fields.gid => HomeCheck::Fine,
        Ok(_) => HomeCheck::OtherOwner,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => HomeCheck::Missing,
        Err(_) => HomeCheck::CannotExamine,
    }
}
