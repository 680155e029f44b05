//! The home of a case: laid out before the run, looked over before and after.

use super::case::{Case, Kind};
use super::normal::replace;
use super::record::Entry;
use libtest_mimic::Failed;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// Uid and gid of everybody who gets mail here.
pub(super) const OWNER: u32 = 20_009;

/// What is below a home, by path.
pub(super) type Tree = BTreeMap<Vec<u8>, Entry>;

/// Makes the home, but for the files that `left_out` names.
pub(super) fn lay_out(home: &Path, case: &Case, left_out: Option<&[u8]>) -> Result<(), Failed> {
    fs::create_dir(home)?;
    for made in case.made.iter().filter(|made| Some(&made.path[..]) != left_out) {
        let path = below(home, &made.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match &made.kind {
            Kind::File(mode, data) => {
                fs::write(&path, replace(data, b"@HOME@", home.as_os_str().as_bytes()))?;
                fs::set_permissions(&path, Permissions::from_mode(*mode))?;
            }
            Kind::Dir(mode) => {
                fs::create_dir(&path)?;
                fs::set_permissions(&path, Permissions::from_mode(*mode))?;
            }
            Kind::Symlink(target) => symlink(OsStr::from_bytes(target), &path)?,
        }
    }
    for path in paths(home)? {
        lchown(path, Some(OWNER), Some(OWNER))?;
    }
    lchown(home, Some(OWNER), Some(OWNER))?;
    Ok(fs::set_permissions(home, Permissions::from_mode(case.home_mode))?)
}

/// A path below the home.
pub(super) fn below(home: &Path, path: &[u8]) -> PathBuf {
    home.join(OsStr::from_bytes(path))
}

/// Everything below the home, directories too.
pub(super) fn look_over(home: &Path) -> Result<Tree, Failed> {
    let mut tree = Tree::new();
    for path in paths(home)? {
        let found = fs::symlink_metadata(&path)?;
        let mode = format!("{:04o}", found.permissions().mode() & 0o7777);
        let entry = if found.is_file() {
            Entry { mode, data: fs::read(&path)? }
        } else if found.is_symlink() {
            Entry { mode: "symlink".to_owned(), data: fs::read_link(&path)?.into_os_string().into_encoded_bytes() }
        } else {
            Entry { mode: format!("not a file, {mode}"), data: Vec::new() }
        };
        tree.insert(path.strip_prefix(home)?.as_os_str().as_bytes().to_vec(), entry);
    }
    Ok(tree)
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(paths(&entry.path())?);
        }
        all.push(entry.path());
    }
    Ok(all)
}
