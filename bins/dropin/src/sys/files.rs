//! Files: the errors that std's own calls swallow, and a move that replaces nothing.
#![allow(unsafe_code)] // these calls have no safe form in std

use std::ffi::CString;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Closes `file`.
///
/// # Errors
/// What the kernel knows of earlier writes only now: over NFS, for instance, that a quota is exceeded.
pub fn close(file: File) -> Result<()> {
    // SAFETY: the descriptor was the file's own, and nobody uses it after this.
    match unsafe { libc::close(file.into_raw_fd()) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Moves the file `from` to the name `to`, on the same file system, if nothing has that name.
///
/// # Errors
/// AlreadyExists; EINVAL where the file system cannot move so; and whatever else stops a rename.
pub fn rename_to_unused(from: &Path, to: &Path) -> Result<()> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| ErrorKind::InvalidInput.into());
    let (from, to): (Result<CString>, Result<CString>) = (path(from), path(to));
    let (from, to) = (from?, to?);
    // SAFETY: both are NUL-terminated strings that outlive the call. Not every C library has a function for it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Makes the names in the directory `path` outlive a power failure. Where that cannot be asked for at all (no right to
/// read the directory, a file system that does not know the call) there is nothing to do, as in the stock programs.
///
/// # Errors
/// If it was tried and failed.
pub fn sync_directory(path: &Path) -> Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Err(error) if !is_unable(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_unable(error: &Error) -> bool {
    let codes = [libc::EACCES, libc::EPERM, libc::EINVAL, libc::EROFS, libc::EBADF, libc::ENOSYS, libc::EOPNOTSUPP];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        std::fs::write(&a, "a").unwrap();
        std::fs::write(&b, "b").unwrap();
        assert_eq!(rename_to_unused(&a, &b).unwrap_err().kind(), ErrorKind::AlreadyExists);
        rename_to_unused(&a, &c).unwrap();
        assert_eq!((std::fs::read(&b).unwrap(), std::fs::read(&c).unwrap()), (b"b".into(), b"a".into()));
        assert_eq!(rename_to_unused(&a, &folder.path().join("d")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        sync_directory(folder.path()).unwrap();
        sync_directory(Path::new("/proc")).unwrap();
        assert_eq!(sync_directory(&folder.path().join("new")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_closed_file_is_open_no_more() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = File::open(&path).unwrap();
        file.lock().unwrap();
        let other = File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        close(file).unwrap();
        other.try_lock().unwrap();
    }
}
