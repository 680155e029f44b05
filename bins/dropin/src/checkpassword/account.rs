//! Becoming the user: groups, gid, uid, in this order, each read back.

use crate::sys;
use qmail_lookup_core::wire::auth::Account;
use std::ffi::OsStr;
use std::io::Result;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The user could not be become, or must not be. Nothing may be run then, whoever this process is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Becomes `account` and enters its home. Without root's rights only if this process is that user already.
///
/// # Errors
/// If anything is not as it has to be: the home and its owner (rule P8), a call, or what is read back after it.
pub fn become_user(account: &Account) -> std::result::Result<(), Refused> {
    let home = home(account);
    if sys::euid() == 0 {
        let found = std::fs::metadata(&home).map_err(|_| Refused)?;
        let owned = (found.uid(), found.gid()) == (account.uid, account.gid);
        if account.uid == 0 || account.gid == 0 || !found.is_dir() || !owned {
            return Err(Refused);
        }
        take_ids(account).map_err(|_| Refused)?;
    }
    if !is(account).unwrap_or(false) || sys::can_become_root() {
        return Err(Refused);
    }
    std::env::set_current_dir(&home).map_err(|_| Refused)
}

/// The home as a path.
#[must_use]
pub fn home(account: &Account) -> PathBuf {
    Path::new(OsStr::from_bytes(&account.home)).into()
}

fn take_ids(account: &Account) -> Result<()> {
    sys::set_only_group(account.gid)?;
    if sys::groups()? != [account.gid] {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    sys::set_gids(account.gid)?;
    sys::set_uids(account.uid)
}

/// Whether this process is `account`'s, and nobody else's in addition.
fn is(account: &Account) -> Result<bool> {
    Ok(sys::uids()? == [account.uid; 3] && sys::gids()? == [account.gid; 3])
}
