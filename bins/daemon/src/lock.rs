//! The file that is locked while the daemon runs.

use crate::exit::Failure;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held for life. The file stays: whoever unlinks a locked file lets a second one in.
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held, not used")] Flock<File>);

/// Takes the lock.
///
/// # Errors
/// If another daemon has it, or the file cannot be made.
pub(crate) fn take(path: &Path) -> Result<Lock, Failure> {
    let shown = path.display();
    let cannot = |error: &dyn std::fmt::Display| Failure::temporary(format!("cannot lock {shown}: {error}"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| cannot(&error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            // For people; nothing reads it as a number.
            let _ = lock.set_len(0).and_then(|()| writeln!(&mut *lock, "{}", std::process::id()));
            Ok(Lock(lock))
        }
        Err((file, Errno::EWOULDBLOCK)) => {
            Err(Failure::temporary(format!("another qmail-lookupd{} is running: it holds {shown}", holder(file))))
        }
        Err((_, error)) => Err(cannot(&error)),
    }
}

fn holder(mut file: File) -> String {
    let mut text = String::new();
    let _ = Read::by_ref(&mut file).take(16).read_to_string(&mut text);
    match text.trim() {
        pid if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => format!(" (process {pid})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn only_one_has_it_and_the_next_one_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let first = take(&path).unwrap();
        let second = take(&path).err().unwrap();
        let us = std::process::id();
        assert_eq!(second.exit, Exit::Temporary);
        assert!(second.text.starts_with(&format!("another qmail-lookupd (process {us}) is running")), "{second:?}");
        drop(first);
        take(&path).unwrap();
        assert!(take(&folder.path().join("missing/x")).is_err());
    }
}
