//! A program of ours in the place of another, which is kept beside it as NAME.stock. At every moment one of the two stands
//! at the name, whole and executable: names are only ever linked and renamed.

use super::files::{UNFINISHED, cannot, remove_unfinished, split, sync};
pub(crate) use super::idle::run_idle;
use super::programs::{self, Whose, examine};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
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

/// How what stands at `path` and what is kept for it are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// One is not there, or they are two files.
    Apart,
    /// One file with two names; or two symbolic links that say the same.
    Same,
    /// One leads to the other: to rename either would leave a link to itself, and no program.
    Entangled,
}

/// See [`Relation`].
///
/// # Errors
/// If one is there and cannot be examined. The error names it.
pub(crate) fn relation(path: &Path) -> Result<Relation> {
    let stock = stock(path);
    let (Some(here), Some(kept)) = (is_there(path)?, is_there(&stock)?) else { return Ok(Relation::Apart) };
    let identity = |is: &Metadata| (is.dev(), is.ino());
    if identity(&here) == identity(&kept) {
        return Ok(Relation::Same);
    }
    if here.is_symlink() && kept.is_symlink() {
        let link = |path: &Path| fs::read_link(path).map_err(cannot("read", path));
        if link(path)? == link(&stock)? {
            return Ok(Relation::Same);
        }
    }
    let follow = |path: &Path| fs::metadata(path).map_err(cannot("follow", path));
    let is_one = (here.is_symlink() || kept.is_symlink()) && identity(&follow(path)?) == identity(&follow(&stock)?);
    Ok(if is_one { Relation::Entangled } else { Relation::Apart })
}

/// What stands at `path` itself; `None` if nothing does.
fn is_there(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(is) => Ok(Some(is)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("examine", path)(error)),
    }
}

/// Why what stands at `path` cannot be kept as a stock program; `None` if it can.
///
/// # Errors
/// If it cannot be examined. The error names it.
pub(crate) fn unfit(path: &Path) -> Result<Option<&'static str>> {
    Ok(match (examine(path)?, relation(path)?) {
        (Whose::Absent, _) => Some("is not there"),
        (Whose::Ours, _) => Some("is one of ours"),
        (Whose::Patched, _) => Some("is of a patched qmail"),
        (Whose::Stock, Relation::Entangled) => Some("and its .stock are one file, of which one name is a symlink"),
        (Whose::Stock, _) if !programs::is_program(path)? => Some("is no program that can be run (half an upgrade?)"),
        (Whose::Stock, _) => None,
    })
}

/// Keeps the program at `path` as NAME.stock, in the place of what was kept before. It stays where it is.
///
/// # Errors
/// If it is no stock program by now, or that fails; then nothing has changed. The error names the file.
pub(crate) fn keep(path: &Path) -> Result<()> {
    if let Some(why) = unfit(path)? {
        return Err(Error::other(format!("{} {why}: what is kept stays as it is", path.display())));
    }
    let stock = stock(path);
    let (folder, name) = split(&stock)?;
    remove_unfinished(folder, name)?;
    let failed = cannot("link", &stock);
    match fs::hard_link(path, &stock) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if relation(path)? != Relation::Same {
                let new = folder.join(unfinished(name));
                fs::hard_link(path, &new).map_err(&failed)?;
                fs::rename(&new, &stock).map_err(&failed)?;
            }
        }
        linked => linked.map_err(failed)?,
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
    let is_link = is_there(&stock)?.is_some_and(|is| is.is_symlink());
    let relation = relation(path)?;
    if relation == Relation::Same || relation == Relation::Entangled && is_link {
        // Two names of one file: to rename one to the other would leave both, or a link to itself.
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
