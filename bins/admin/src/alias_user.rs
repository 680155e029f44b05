//! qmail's alias user, and other system users: what the stock qmail-getpw would ask the system.

use crate::output::Failure;
use nix::unistd::User;
use qmail_lookup_core::getpw::SixFields;
use qmail_lookup_core::rules::candidates;
use std::os::unix::ffi::OsStrExt;

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

/// The system user that the stock qmail-getpw would find for `local`, if any.
///
/// # Errors
/// If the system does not say.
pub(crate) fn system_user(local: &[u8], break_chars: &str) -> Result<Option<String>, Failure> {
    for candidate in candidates(local, break_chars.as_bytes()) {
        let name = &candidate.name;
        let found = User::from_name(name.as_str())
            .map_err(|error| Failure::temporary(format!("cannot ask the system for user {name}: {error}")))?;
        if let Some(user) = found.filter(|user| !user.uid.is_root()) {
            return Ok(Some(user.name));
        }
    }
    Ok(None)
}
