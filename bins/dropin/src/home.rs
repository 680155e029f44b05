//! Whether a mailbox's home is in order (rule G3).

use qmail_lookup_core::getpw::{HomeCheck, SixFields};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Looks at the home of `fields`, following symlinks. A dead file server makes this hang: the caller has set an alarm.
#[must_use]
pub fn look(fields: &SixFields) -> HomeCheck {
    let found = std::fs::metadata(Path::new(OsStr::from_bytes(&fields.home)));
    HomeCheck::of(found.map(|home| (home.uid(), home.gid())).map_err(|error| error.kind()), fields.uid, fields.gid)
}
