//! Looks at a home directory as qmail-getpw does (rule G3); the decision is core's.

use qmail_lookup_core::Mailbox;
use qmail_lookup_core::getpw::HomeCheck;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the home of `mailbox` looks like. Blocks; a dead file system may block it for ever.
pub(crate) fn look(mailbox: &Mailbox) -> HomeCheck {
    match std::fs::metadata(Path::new(OsStr::from_bytes(&mailbox.home))) {
        Ok(found) if found.uid() == mailbox.uid && found.gid() == mailbox.gid => HomeCheck::Fine,
        Ok(_) => HomeCheck::OtherOwner,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => HomeCheck::Missing,
        Err(_) => HomeCheck::CannotExamine,
    }
}
