//! The files of our sockets: mode and group are set before anybody can reach them, and only what is ours is removed.

use crate::exit::Failure;
use qmail_lookup_core::directories::{Entry, Flaw, Way};
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{File, Metadata, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Longest path that a socket can have. Unit: bytes. Source: `sun_path` of Linux, without the NUL.
const PATH_MAX: usize = 107;

/// A socket's file that we made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Removes the file, unless another one has taken its place.
    pub(crate) fn remove(&self) {
        let ours = |found: &Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| ours(&found)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket to another name in the same directory, sets mode and group, and renames it to `path`. What is there
/// must be nothing or a socket that nobody needs any more: whoever calls has the lock.
///
/// # Errors
/// If that is not possible.
pub(crate) fn bind(path: &Path, mode: u32, group: Option<u32>) -> Result<(UnixListener, SocketFile), Failure> {
    let shown = path.display();
    let cannot = |what: &str, error: &dyn Display| format!("cannot make the socket {shown}: {what}: {error}");
    let name = path.file_name().ok_or_else(|| Failure::usage(cannot("its path", &"it has no name")))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Failure::usage(cannot("there is something else", &"a file that is no socket")));
        }
        _ => {}
    }
    let opened = File::open(directory).map_err(|error| Failure::temporary(cannot("its directory", &error)))?;
    let mut new = OsString::from(format!(".{}.", std::process::id()));
    new.push(name);
    let mut temporary = directory.join(&new);
    if temporary.as_os_str().len() > PATH_MAX {
        temporary = PathBuf::from(format!("/proc/self/fd/{}/.{}", opened.as_raw_fd(), std::process::id()));
    }
    // Left behind by a process that had this number before us and was killed.
    let _ = std::fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary).map_err(|error| Failure::temporary(cannot("bind", &error)))?;
    let made = furnish(&temporary, mode, group).and_then(|made| std::fs::rename(&temporary, path).map(|()| made));
    match made {
        Ok(made) => Ok((listener, SocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino() })),
        Err(error) => {
            let _ = std::fs::remove_file(&temporary);
            if group.is_some() && error.kind() == std::io::ErrorKind::PermissionDenied {
                let help = "the user that qmail-lookupd runs as has to be a member of daemon.auth_group";
                return Err(Failure::usage(format!("{}; {help}", cannot("its group", &error))));
            }
            Err(Failure::temporary(cannot("mode and name", &error)))
        }
    }
}

fn furnish(path: &Path, mode: u32, group: Option<u32>) -> std::io::Result<Metadata> {
    if group.is_some() {
        lchown(path, None, group)?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    std::fs::symlink_metadata(path)
}

/// What qmail's programs would not like about the directory of the lookup socket: they believe a socket only where
/// nobody but root and its owner can put one. None if it cannot be examined, as nothing can be bound there either.
pub(crate) fn doubt(path: &Path) -> Option<String> {
    let own = crate::system::own_uid();
    let directory = std::path::absolute(path).ok()?.parent()?.to_owned();
    // Root's programs trust no uid but the owner's that others do not trust as well.
    let verdict = Way::follow(&directory, look).ok()?.owner(0);
    let shown = directory.display();
    match verdict {
        Ok(owner) if owner == own || own == 0 => None,
        Ok(owner) => {
            Some(format!("{shown} belongs to uid {owner}, so qmail's programs do not believe our socket there"))
        }
        Err(Flaw::Writable) => Some(format!(
            "others may write to {shown}, so qmail's programs do not believe a socket there; chmod go-w {shown}"
        )),
        Err(Flaw::Shared(above)) => Some(format!(
            "others may write to {}, so qmail's programs do not believe a socket at {shown}; use a directory below /run",
            above.display()
        )),
        Err(Flaw::Foreign(above, uid)) => Some(format!(
            "{} belongs to uid {uid}, so qmail's programs do not believe a socket at {shown}; use a directory below /run",
            above.display()
        )),
    }
}

fn look(path: &Path) -> std::io::Result<Entry> {
    let found = std::fs::symlink_metadata(path)?;
    let link = if found.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    Ok(Entry { uid: found.uid(), gid: found.gid(), mode: found.mode(), link })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stale_file_is_replaced_and_only_ours_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err(), "stale");
        let (_listener, file) = bind(&path, 0o640, None).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other name is left");
        let (_other, theirs) = bind(&path, 0o666, None).unwrap();
        file.remove();
        assert!(path.exists(), "it is another one");
        theirs.remove();
        assert!(!path.exists());
        theirs.remove();
    }

    #[test]
    fn a_path_of_the_greatest_length_works() {
        let folder = tempfile::tempdir().unwrap();
        let left = PATH_MAX - folder.path().as_os_str().len() - 1;
        let path = folder.path().join("x".repeat(left));
        let (_listener, file) = bind(&path, 0o666, None).unwrap();
        UnixStream::connect(&path).unwrap();
        file.remove();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_may_come_and_a_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(bind(&folder.path().join("no/s"), 0o666, None).unwrap_err().exit, Exit::Temporary);
        let path = folder.path().join("file");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&path, 0o666, None).unwrap_err().exit, Exit::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mine = crate::system::own_uid() == 0;
        assert_eq!(doubt(&path).is_none(), mine, "a shared directory above is no harm to root's only");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o775)).unwrap();
        assert!(doubt(&path).unwrap().contains("others may write to"));
        assert_eq!(doubt(&folder.path().join("no/s")), None, "bind says so");
    }

    #[test]
    fn what_the_programs_refuse_further_up_is_named() {
        if crate::system::own_uid() != 0 {
            return; // another user's directory below a shared one is refused anyway
        }
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let below = folder.path().join("below");
        let path = below.join("s");
        std::fs::create_dir(&below).unwrap();
        mode(&below, 0o755);
        mode(folder.path(), 0o777);
        assert!(doubt(&path).unwrap().contains(&format!("others may write to {},", folder.path().display())));
        mode(folder.path(), 0o755);
        lchown(&below, Some(65_534), None).unwrap();
        assert_eq!(doubt(&path), None, "the daemon's directory in root's");
        lchown(&below, Some(0), None).unwrap();
        lchown(folder.path(), Some(65_533), None).unwrap();
        assert!(doubt(&path).unwrap().contains("others may write to"), "anybody could be first to make it");
        let home = tempfile::tempdir().unwrap();
        let third = home.path().join("third");
        std::fs::create_dir_all(third.join("below")).unwrap();
        lchown(&third, Some(65_533), None).unwrap();
        assert!(doubt(&third.join("below/s")).unwrap().contains(&format!("{} belongs to uid 65533", third.display())));
        let link = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(home.path(), link.path().join("in")).unwrap();
        assert_eq!(doubt(&link.path().join("in/s")), None, "only root can make that link");
        mode(link.path(), 0o1777);
        assert!(doubt(&link.path().join("in/s")).unwrap().contains("others may write to"));
    }
}
