//! Files below qmail's home, read and replaced so that whoever reads them meanwhile finds all of the old or all of the new.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Ends the name of each file that is being written; a dot, the file's own name and a process id stand before it.
pub(crate) const UNFINISHED: &[u8] = b".qmail-lookup";

/// As many symbolic links as Linux follows.
const LINKS_MAX: usize = 40;

/// Where this tool keeps what it has to remember about a qmail: below qmail's home, for root only.
pub(crate) fn memory(qmail: &Path) -> PathBuf {
    qmail.join("qmail-lookup")
}

/// The content of a file; `None` if there is none.
///
/// # Errors
/// If it is there and cannot be read. The error names it.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path)(error)),
    }
}

/// Puts `content` in the place of what is at `path`, if it differs: a new file beside it, written to disk, renamed over
/// it, the folder written to disk. Owner, group and mode are those of the old file; of a new one root's and `mode`,
/// whatever the umask. A symbolic link is followed: what it leads to is replaced. True if it differed.
///
/// # Errors
/// If any of that fails; then nothing has changed, unless only the folder could not be written to disk. The error names
/// the file.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<bool> {
    if read(path)?.is_some_and(|old| old == content) {
        return Ok(false);
    }
    replace_with(path, mode, |file| file.write_all(content)).map(|()| true)
}

/// [`replace`] for content that `fill` writes, whether it differs or not.
///
/// # Errors
/// As there.
pub(crate) fn replace_with(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let place = place(path).map_err(cannot("follow", path))?;
    let (folder, name) = split(&place)?;
    let old = match fs::symlink_metadata(&place) {
        Ok(old) if old.is_file() => Some(old),
        Ok(_) => return Err(cannot("replace", &place)(Error::other("it is no file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(cannot("examine", &place)(error)),
    };
    remove_unfinished(folder, name)?;

    let failed = cannot("write", &place);
    let prefix = OsString::from_vec([b".", name.as_bytes(), format!(".{}", std::process::id()).as_bytes()].concat());
    let mut new = tempfile::Builder::new();
    let new = new.prefix(&prefix).suffix(OsStr::from_bytes(UNFINISHED)).rand_bytes(0);
    let mut new = new.tempfile_in(folder).map_err(&failed)?;
    let us = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let (owner, mode) = old.map_or((us, mode), |old| ((old.uid(), old.gid()), old.mode() & 0o7777));
    fill(new.as_file_mut())
        // Before the owner: the mode of another's file is for who has CAP_FOWNER, and `sync` as a service has not.
        .and_then(|()| protect(new.as_file(), mode))
        .and_then(|()| own(new.as_file(), owner))
        // Giving a file away takes bits of its mode, if it has some.
        .and_then(|()| protect(new.as_file(), mode))
        .and_then(|()| new.as_file().sync_all())
        .map_err(&failed)?;
    new.persist(&place).map_err(|error| failed(error.error))?;
    sync(folder)
}

/// Removes a file, if it is there, and writes the folder to disk. True if it was there.
///
/// # Errors
/// If it is there and cannot be removed. The error names it.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync(split(path)?.0).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cannot("remove", path)(error)),
    }
}

/// Writes what was made, renamed and removed in a folder to disk.
///
/// # Errors
/// If that fails. The error names the folder.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot("write to disk", folder))
}

/// Says what could not be done to what.
pub(crate) fn cannot<'a>(action: &'a str, path: &'a Path) -> impl Fn(Error) -> Error + 'a {
    move |error| Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

/// Where `path` leads, whether something is there or not.
fn place(path: &Path) -> Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&place) {
            // An absolute target replaces the folder.
            Ok(target) => place = place.parent().unwrap_or(Path::new("")).join(target),
            // No link (InvalidInput), or nothing at all.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => return Ok(place),
            Err(error) => return Err(error),
        }
    }
    Err(Error::other("too many symbolic links"))
}

pub(crate) fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let parts = folder.zip(path.file_name());
    parts.ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("{} is no name of a file", path.display())))
}

fn own(file: &File, (uid, gid): (u32, u32)) -> Result<()> {
    let is = file.metadata()?;
    if (is.uid(), is.gid()) == (uid, gid) { Ok(()) } else { fchown(file, Some(uid), Some(gid)) }
}

fn protect(file: &File, mode: u32) -> Result<()> {
    let is = file.metadata()?.mode() & 0o7777;
    if is == mode { Ok(()) } else { file.set_permissions(Permissions::from_mode(mode)) }
}

/// Removes what killed runs left beside the file `name`.
pub(crate) fn remove_unfinished(folder: &Path, name: &OsStr) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(cannot("read", folder))? {
        let entry = entry.map_err(cannot("read", folder))?.file_name();
        if is_unfinished(&entry, name) {
            match fs::remove_file(folder.join(&entry)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(cannot("remove", &folder.join(&entry))(error));
                }
                _ => (),
            }
        }
    }
    Ok(())
}

/// Whether `entry` is the name that a run which is over gave to what should become the file `name`.
pub(crate) fn is_unfinished(entry: &OsStr, name: &OsStr) -> bool {
    let begin = [b".", name.as_bytes(), b"."].concat();
    let pid = entry.as_bytes().strip_prefix(&*begin).and_then(|rest| rest.strip_suffix(UNFINISHED));
    pid.is_some_and(is_over)
}

/// Whether `pid` names no process, or this one: what it began it does not go on with.
pub(super) fn is_over(pid: &[u8]) -> bool {
    let pid = std::str::from_utf8(pid).ok().filter(|pid| pid.bytes().all(|b| b.is_ascii_digit()));
    let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
    pid.is_some_and(|pid| pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists())
}

/// Held while control files or programs of a qmail are changed; gone with the process.
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held, not used")] File);

impl Lock {
    /// Takes it without waiting, and makes [`memory`] (0700, root) if it is not there.
    ///
    /// # Errors
    /// If another process has it (the error says so, and names the file), or it cannot be made.
    pub(crate) fn take(qmail: &Path) -> Result<Self> {
        let memory = memory(qmail);
        match DirBuilder::new().mode(0o700).create(&memory) {
            Ok(()) => sync(qmail)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(cannot("make", &memory)(error)),
        }
        let is = fs::symlink_metadata(&memory).map_err(cannot("examine", &memory))?;
        if !is.is_dir() || is.uid() != nix::unistd::geteuid().as_raw() {
            let what = format!("{} is not root's folder: remove it, or give it to root", memory.display());
            return Err(Error::new(ErrorKind::PermissionDenied, what));
        }
        if is.mode() & 0o7777 != 0o700 {
            fs::set_permissions(&memory, Permissions::from_mode(0o700)).map_err(cannot("protect", &memory))?;
        }

        // The file stays: whoever unlinks a locked file lets a second one in.
        let path = memory.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(cannot("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another qmail-lookup is changing this qmail: it holds {}", path.display());
                Err(Error::new(ErrorKind::WouldBlock, what))
            }
            Err(TryLockError::Error(error)) => Err(cannot("lock", &path)(error)),
        }
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
