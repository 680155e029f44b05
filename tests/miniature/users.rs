//! Users: those of the system, or others that a test puts into `miniature/passwd` (lines `name:uid:gid:home`), because
//! the stand-ins for qmail's users have homes that are not of qmail's making.

use std::io::Result;
use std::path::{Path, PathBuf};

/// A user of the system, or of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
}

/// The user of the file.
pub(crate) fn of_the_test(qmail: &Path, name: &str) -> Option<Account> {
    let text = std::fs::read_to_string(qmail.join("miniature/passwd")).unwrap_or_default();
    text.lines().find_map(|line| {
        let [found, uid, gid, home] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (found == name).then(|| Account { name: name.to_owned(), uid, gid, home: home.into() })
    })
}

/// The user of this name; `None` if there is none.
pub(crate) fn find(qmail: &Path, name: &str) -> Result<Option<Account>> {
    if let Some(account) = of_the_test(qmail, name) {
        return Ok(Some(account));
    }
    let user = nix::unistd::User::from_name(name)?;
    Ok(user.map(|user| Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }))
}

/// Who plays a part of qmail: `alias`, `qmailp`, `qmaild`. The test says so in `miniature/PART`.
pub(crate) fn part(qmail: &Path, part: &str) -> String {
    let named = std::fs::read_to_string(qmail.join("miniature").join(part)).unwrap_or_default();
    let named = named.trim();
    if named.is_empty() { part.to_owned() } else { named.to_owned() }
}
