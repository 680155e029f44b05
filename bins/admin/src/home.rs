//! Looks at a home directory as qmail-getpw does (rule G3); the decision is core's.

use qmail_lookup_core::getpw::HomeCheck;
use qmail_lookup_core::{Deadline, Mailbox};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// After so many looks that a file system did not answer no more are made: each of them holds a thread.
pub(crate) const SILENT_MAX: u64 = 64;

/// What the home of `mailbox` looks like. A file system that does not answer in time cannot be examined.
pub(crate) async fn look(mailbox: &Mailbox, by: Deadline) -> HomeCheck {
    let mailbox = mailbox.clone();
    let seen = tokio::task::spawn_blocking(move || look_now(&mailbox));
    match tokio::time::timeout_at(by.instant().into(), seen).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) | Err(_) => HomeCheck::CannotExamine,
    }
}

fn look_now(mailbox: &Mailbox) -> HomeCheck {
    let found = std::fs::metadata(Path::new(OsStr::from_bytes(&mailbox.home)));
    HomeCheck::of(found.map(|home| (home.uid(), home.gid())).map_err(|error| error.kind()), mailbox.uid, mailbox.gid)
}
