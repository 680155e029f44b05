//! A program of ours in the place of another, which is kept beside it as NAME.stock. At every moment one of the two stands
//! at the name, whole and executable: names are only ever linked and renamed.

use super::files::{UNFINISHED, cannot, remove_unfinished, split, sync};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// What everybody needs to be able to do with a program of qmail: it is run by many uids.
const MODE_MIN: u32 = 0o711;

/// What nobody but the owner may do; and no program of ours becomes somebody by being run.
const MODE_MASK: u32 = 0o755;

/// Where the program at `path` is kept.
pub(crate) fn stock(path: &Path) -> PathBuf {
    PathBuf::from(OsString::from_vec([path.as_os_str().as_bytes(), b".stock"].concat()))
}

/// Owner, group and mode that a program of ours needs in the place of the one at `path`, or kept for it; `None` if there
/// is neither.
///
/// # Errors
/// If it cannot be examined. The error names it.
pub(crate) fn rights(path: &Path) -> Result<Option<(u32, u32, u32)>> {
    for path in [&stock(path), path] {
        match fs::metadata(path) {
            Ok(is) => return Ok(Some((is.uid(), is.gid(), is.mode() & MODE_MASK | MODE_MIN))),
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => return Err(cannot("examine", path)(error)),
        }
    }
    Ok(None)
}

/// True if what stands at `path` is the very file that is kept for it.
///
/// # Errors
/// If one is there and cannot be examined. The error names it.
pub(crate) fn is_kept(path: &Path) -> Result<bool> {
    let file = |path: &Path| match fs::symlink_metadata(path) {
        Ok(is) => Ok(Some((is.dev(), is.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("examine", path)(error)),
    };
    let here = file(path)?;
    Ok(here.is_some() && here == file(&stock(path))?)
}

/// Keeps the program at `path` as NAME.stock, in the place of what was kept before. It stays where it is.
///
/// # Errors
/// If that fails; then nothing has changed. The error names the file.
pub(crate) fn keep(path: &Path) -> Result<()> {
    let stock = stock(path);
    let (folder, name) = split(&stock)?;
    remove_unfinished(folder, name)?;
    let failed = cannot("link", &stock);
    match fs::hard_link(path, &stock) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_kept(path)? => {
            let new = folder.join(unfinished(name));
            fs::hard_link(path, &new).map_err(&failed)?;
            fs::rename(&new, &stock).map_err(&failed)?;
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => (),
    }
    sync(folder)
}

/// Puts a copy of `program` at `path`, with this owner, group and mode. The copy has to pass `trial` first, where it is
/// going to be run.
///
/// # Errors
/// If that fails; then nothing has changed, unless only the folder could not be written to disk. The error names the file.
pub(crate) fn put(
    program: &Path,
    path: &Path,
    (uid, gid, mode): (u32, u32, u32),
    trial: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let (folder, name) = split(path)?;
    remove_unfinished(folder, name)?;
    let failed = cannot("write", path);
    let mut from = File::open(program).map_err(cannot("read", program))?;
    let new = tempfile::Builder::new().prefix(&unfinished(name)).rand_bytes(0).tempfile_in(folder);
    let mut new = new.map_err(&failed)?;
    std::io::copy(&mut from, new.as_file_mut())
        .and_then(|_| fchown(new.as_file(), Some(uid), Some(gid)))
        // After the owner: giving a file away takes bits of its mode.
        .and_then(|()| new.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| new.as_file().sync_all())
        .map_err(&failed)?;
    // What is open for writing cannot be run.
    let new = new.into_temp_path();
    trial(&new)?;
    new.persist(path).map_err(|error| failed(error.error))?;
    sync(folder)
}

/// Gives NAME.stock its name back.
///
/// # Errors
/// If that fails; then nothing has changed, unless only the folder could not be written to disk. The error names the file.
pub(crate) fn give_back(path: &Path) -> Result<()> {
    let stock = stock(path);
    let (folder, name) = split(path)?;
    if is_kept(path)? {
        // Two names of one file: to rename one to the other would leave both.
        fs::remove_file(&stock).map_err(cannot("remove", &stock))?;
    } else {
        fs::rename(&stock, path).map_err(cannot("rename", &stock))?;
    }
    remove_unfinished(folder, name)?;
    remove_unfinished(folder, split(&stock)?.1)?;
    sync(folder)
}

/// True if both files hold the same.
///
/// # Errors
/// If one cannot be read. The error names it.
pub(crate) fn same_content(one: &Path, other: &Path) -> Result<bool> {
    let length = |path: &Path| fs::metadata(path).map(|is| is.len()).map_err(cannot("examine", path));
    let content = |path: &Path| fs::read(path).map_err(cannot("read", path));
    Ok(length(one)? == length(other)? && content(one)? == content(other)?)
}

/// Name of the file that is to become `name`.
fn unfinished(name: &OsStr) -> OsString {
    let pid = std::process::id().to_string();
    OsString::from_vec([b".", name.as_bytes(), b".", pid.as_bytes(), UNFINISHED].concat())
}

/// Runs a program of ours in a way that does nothing, and takes any status but `expected` for trouble.
///
/// # Errors
/// If it cannot be run, or ends otherwise. The error names it.
pub(crate) fn run_idle(program: &Path, expected: i32) -> Result<()> {
    use std::process::{Command, Stdio};
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(cannot("run", program))?;
    if status.code() == Some(expected) {
        return Ok(());
    }
    Err(Error::other(format!("{} does not work here: without arguments it ended with {status}", program.display())))
}
