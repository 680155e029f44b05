//! Files that hold rows: for nobody but who runs the tool, and under their name only when they are complete.

use crate::output::Failure;
use crate::qmail::files::{UNFINISHED, cannot, is_unfinished, split};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// One that is being written, with mode 0600, beside the place where it shall be. It is gone unless it is kept.
pub(crate) struct PrivateFile {
    file: BufWriter<File>,
    folder: Folder,
    place: PathBuf,
    name: OsString,
    /// Its name until it is complete.
    unfinished: OsString,
}

impl PrivateFile {
    /// Begins the file that shall be at `place`.
    ///
    /// # Errors
    /// If something other than a regular file is there, a symbolic link is on the way, no file can be made beside it, or
    /// (for root) others could put another file in its place.
    pub(crate) fn begin(place: &Path) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::usage(error.to_string());
        let (folder, name) = split(place).map_err(refused)?;
        let folder = Folder::open(folder)?;
        folder.free(name, place)?;
        folder.remove_unfinished(name).map_err(refused)?;
        let unfinished = [b".", name.as_bytes(), format!(".{}", std::process::id()).as_bytes(), UNFINISHED].concat();
        let unfinished = OsString::from_vec(unfinished);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = openat(&folder.fd, unfinished.as_os_str(), flags, mode);
        let file = file.map_err(|error| refused(cannot("make", &folder.path.join(&unfinished))(error.into())))?;
        let (file, name, place) = (BufWriter::new(File::from(file)), name.to_owned(), place.to_owned());
        let file = Self { file, folder, place, name, unfinished };
        // Whatever the umask.
        fchmod(file.file.get_ref(), mode).map_err(|error| refused(cannot("protect", &file.place)(error.into())))?;
        Ok(file)
    }

    /// Adds to it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.file.write_all(bytes).map_err(cannot("write", &self.place))?)
    }

    /// It is complete: it is written to disk, and takes its place.
    ///
    /// # Errors
    /// If that fails; what was at its place is there still, unless somebody else changed it, or only the folder could not
    /// be written to disk.
    pub(crate) fn keep(mut self) -> Result<(), Failure> {
        let place = self.place.clone();
        let failed = cannot("write", &place);
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(&failed)?;
        self.folder.free(&self.name, &place)?;
        let changed = || Failure::temporary(format!("{}: somebody else changes the files beside it", place.display()));
        if !self.is_named(&self.unfinished) {
            return Err(changed());
        }
        let folder = &self.folder.fd;
        renameat(folder, self.unfinished.as_os_str(), folder, self.name.as_os_str())
            .map_err(|error| failed(error.into()))?;
        if !self.is_named(&self.name) {
            return Err(changed());
        }
        Ok(fsync(folder).map_err(|error| failed(error.into()))?)
    }

    /// True if `name` leads to this file.
    fn is_named(&self, name: &OsStr) -> bool {
        let place = |stat: FileStat| (stat.st_dev, stat.st_ino);
        let found = fstatat(&self.folder.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| fstat(self.file.get_ref()).is_ok_and(|own| place(own) == place(found)))
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if self.is_named(&self.unfinished) {
            // The next run takes it away if this fails.
            let _ = unlinkat(&self.folder.fd, self.unfinished.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// A folder, held open: whatever becomes of its name.
struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Goes there from directory to directory, and follows no symbolic link.
    fn open(path: &Path) -> Result<Self, Failure> {
        let refused = |way: &Path, error: Errno| Failure::usage(cannot("open", way)(error.into()).to_string());
        let to = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut way = PathBuf::from(if path.is_absolute() { "/" } else { "." });
        let mut fd = open(&way, to, Mode::empty()).map_err(|error| refused(&way, error))?;
        for component in path.components() {
            let (Component::Normal(_) | Component::ParentDir) = component else { continue };
            let name = component.as_os_str();
            way.push(name);
            fd = openat(&fd, name, to, Mode::empty()).map_err(|error| {
                let is_link =
                    fstatat(&fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| kind(&stat) == SFlag::S_IFLNK);
                if is_link { link(&way, "write the path that it leads to") } else { refused(&way, error) }
            })?;
        }
        // To read it and to write it to disk.
        let to = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(&fd, ".", to, Mode::empty()).map_err(|error| refused(&way, error))?;
        let folder = Self { fd, path: path.to_owned() };
        let us = geteuid();
        if us.is_root() {
            let stat = fstat(&folder.fd).map_err(|error| refused(path, error))?;
            let mode = Mode::from_bits_truncate(stat.st_mode);
            let others_write = mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX);
            if stat.st_uid != us.as_raw() || others_write {
                return Err(Failure::usage(format!(
                    "{} is not root's alone, so others could put another file in the place of this one: name a folder of \
                     root's (or /tmp), or run this as the folder's owner",
                    path.display()
                )));
            }
        }
        Ok(folder)
    }

    /// Refuses a name by which something is there that is no regular file.
    fn free(&self, name: &OsStr, place: &Path) -> Result<(), Failure> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| kind(&stat)) {
            Ok(SFlag::S_IFREG) | Err(Errno::ENOENT) => Ok(()),
            Ok(SFlag::S_IFLNK) => Err(link(place, "name the file itself, or remove the link")),
            Ok(_) => Err(Failure::usage(format!("{} is there already, and is no regular file", place.display()))),
            Err(error) => Err(Failure::usage(cannot("examine", place)(error.into()).to_string())),
        }
    }

    /// Removes the files that killed runs left beside the file `name`. Whatever else has such a name is not ours.
    fn remove_unfinished(&self, name: &OsStr) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let failed = |error: Errno| cannot("read", &self.path)(error.into());
        let mut entries = Dir::openat(&self.fd, ".", flags, Mode::empty()).map_err(failed)?;
        for entry in entries.iter() {
            let entry = entry.map_err(failed)?;
            let entry = OsStr::from_bytes(entry.file_name().to_bytes());
            let is_ours = |stat: FileStat| kind(&stat) == SFlag::S_IFREG && stat.st_uid == geteuid().as_raw();
            if !is_unfinished(entry, name) || !fstatat(&self.fd, entry, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(is_ours)
            {
                continue;
            }
            match unlinkat(&self.fd, entry, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => return Err(cannot("remove", &self.path.join(entry))(error.into())),
            }
        }
        Ok(())
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn link(path: &Path, help: &str) -> Failure {
    Failure::usage(format!("{} is a symbolic link, and none is followed: {help}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn it_is_private_from_its_beginning_and_takes_its_place_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("rows");
        std::fs::write(&place, "old").unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut file = PrivateFile::begin(&place).unwrap();
        file.write(b"new").unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path() != place) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read(&place).unwrap(), b"old");
        file.keep().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (place, link) = (folder.path().join("rows"), folder.path().join("link"));
        PrivateFile::begin(&place).unwrap().write(b"half").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        symlink(&place, &link).unwrap();
        assert!(PrivateFile::begin(&link).is_err() && PrivateFile::begin(folder.path()).is_err());
        // Nor one that came meanwhile.
        let file = PrivateFile::begin(&place).unwrap();
        symlink(&link, &place).unwrap();
        assert!(file.keep().is_err());
        assert_eq!(std::fs::read_link(&place).unwrap(), link);
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real/below")).unwrap();
        symlink("real", folder.path().join("link")).unwrap();
        for (place, is_taken) in [("link/x", false), ("link/below/x", false), ("real/below/../x", true)] {
            let file = PrivateFile::begin(&folder.path().join(place));
            assert_eq!(file.is_ok(), is_taken, "{place}");
            let Err(error) = file else { continue };
            assert!(error.line().contains("/link is a symbolic link"), "{}", error.line());
        }
        assert_eq!(std::fs::read_dir(folder.path().join("real")).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_moved_away_is_written_to_all_the_same_and_its_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("a")).unwrap();
        std::fs::create_dir(path("other")).unwrap();
        let mut file = PrivateFile::begin(&path("a/x")).unwrap();
        std::fs::rename(path("a"), path("b")).unwrap();
        symlink("other", path("a")).unwrap();
        file.write(b"rows").unwrap();
        file.keep().unwrap();
        assert_eq!(std::fs::read(path("b/x")).unwrap(), b"rows");
        assert_eq!(std::fs::read_dir(path("other")).unwrap().count(), 0);
    }

    #[test]
    fn another_file_under_its_name_is_neither_kept_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        std::fs::write(&place, "old").unwrap();
        for is_kept in [true, false] {
            let file = PrivateFile::begin(&place).unwrap();
            let unfinished = folder.path().join(&file.unfinished);
            std::fs::remove_file(&unfinished).unwrap();
            std::fs::write(&unfinished, "another").unwrap();
            if is_kept {
                assert!(file.keep().is_err());
            } else {
                drop(file);
            }
            assert_eq!(std::fs::read(&unfinished).unwrap(), b"another");
            assert_eq!(std::fs::read(&place).unwrap(), b"old");
        }
    }

    #[test]
    fn what_killed_runs_left_is_removed_and_what_only_looks_like_it_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path(".y.99999999.qmail-lookup")).unwrap();
        symlink("nowhere", path(".y.99999998.qmail-lookup")).unwrap();
        std::fs::write(path(".y.99999997.qmail-lookup"), "half").unwrap();
        std::fs::write(path(".y.1.qmail-lookup"), "another's").unwrap();
        let mut left = 4;
        if geteuid().is_root() {
            std::fs::write(path(".y.99999996.qmail-lookup"), "theirs").unwrap();
            chown(path(".y.99999996.qmail-lookup"), Some(7), None).unwrap();
            left += 1;
        }
        PrivateFile::begin(&path("y")).unwrap().keep().unwrap();
        assert!(path("y").exists() && !path(".y.99999997.qmail-lookup").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), left);
    }

    #[test]
    fn root_writes_only_where_nobody_else_can_put_another_file_there() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let place = folder.path().join("x");
        for (bits, is_roots) in [(0o755, true), (0o775, false), (0o707, false), (0o1777, true)] {
            mode(bits);
            assert_eq!(PrivateFile::begin(&place).is_ok(), is_roots || !geteuid().is_root(), "{bits:o}");
        }
        if geteuid().is_root() {
            chown(folder.path(), Some(7), None).unwrap();
            assert!(PrivateFile::begin(&place).is_err());
        }
    }
}
