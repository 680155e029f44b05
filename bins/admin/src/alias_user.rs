//! qmail's alias user, and other system users: what the stock qmail-getpw would ask the system.

use crate::output::Failure;
use nix::unistd::User;
use qmail_lookup_core::getpw::SixFields;
use qmail_lookup_core::rules::candidates;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// The alias user's record with dash `-` and `ext`.
///
/// # Errors
/// If this machine has no such user, or does not say.
pub(crate) fn fields(alias_user: &str, ext: &[u8]) -> Result<SixFields, Failure> {
    let user = User::from_name(alias_user)
        .map_err(|error| Failure::temporary(format!("cannot ask the system for user {alias_user}: {error}")))?
        .ok_or_else(|| {
            let what = format!("the alias user gets this mail, and this machine has no user '{alias_user}'");
            Failure::temporary(format!("{what} (rules.alias_user)"))
        })?;
    Ok(SixFields {
        user: user.name.into_bytes(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: user.dir.as_os_str().as_bytes().to_vec(),
        dash: b"-".to_vec(),
        ext: ext.to_vec(),
    })
}

/// Longest name of a user that the stock qmail-getpw looks for. Unit: bytes. Source: `GETPW_USERLEN` of qmail.
const NAME_MAX: usize = 31;

/// The system user that the stock qmail-getpw would find for `local`, if any: one that is not root and owns his home. And
/// the extension that is left.
///
/// # Errors
/// If the system does not say.
pub(crate) fn stock_user(local: &[u8], break_chars: &str) -> Result<Option<(User, Vec<u8>)>, Failure> {
    for candidate in candidates(local, break_chars.as_bytes()) {
        let name = &candidate.name;
        if name.as_bytes().len() > NAME_MAX {
            continue;
        }
        let found = User::from_name(name.as_str())
            .map_err(|error| Failure::temporary(format!("cannot ask the system for user {name}: {error}")))?;
        let Some(user) = found.filter(|user| !user.uid.is_root()) else { continue };
        match std::fs::metadata(&user.dir) {
            Ok(home) if home.uid() == user.uid.as_raw() => {
                let ext = candidate.ext_at.and_then(|at| local.get(at..)).unwrap_or_default().to_vec();
                return Ok(Some((user, ext)));
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => {
                return Err(Failure::temporary(format!(
                    "cannot look at {} of user {name}: {error}",
                    user.dir.display()
                )));
            }
        }
    }
    Ok(None)
}

/// The name of the [`stock_user`].
///
/// # Errors
/// As [`stock_user`].
pub(crate) fn system_user(local: &[u8], break_chars: &str) -> Result<Option<String>, Failure> {
    Ok(stock_user(local, break_chars)?.map(|(user, _)| user.name))
}
