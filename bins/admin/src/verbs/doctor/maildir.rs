//! Maildirs: can their owner use them, and does mail wait where there is none?

use super::check::Outcome;
use super::homes::mend;
use super::host::Host;
use super::ids::Ids;
use crate::path_repair::{Mend, Owner, Place, command_for, quoted};
use crate::qmail::send;
use qmail_lookup_core::{AliasKey, Deadline, Ext, Mailbox};
use std::ffi::OsStr;
use std::io::{ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What stands in a home.
pub(super) enum Maildir {
    Fine,
    Absent,
    Wrong(String, Mend),
}

/// Tries it as its owner.
///
/// # Errors
/// If that could not be found out.
pub(super) async fn look(ids: Ids, home: &Path) -> Result<Maildir> {
    let owner = Owner { uid: ids.uid, gid: ids.gid };
    let maildir = home.join("Maildir");
    for (name, needs) in [("", "wx"), ("tmp", "rwx"), ("new", "rwx"), ("cur", "rwx")] {
        let folder = if name.is_empty() { maildir.clone() } else { maildir.join(name) };
        match ids.obstacle(&folder, needs).await {
            Ok(None) => {}
            Ok(Some(obstacle)) => {
                let is_literal = Place::look(&folder).is_ok_and(|place| place.link().is_none());
                let mend = if is_literal && !obstacle.is_own() && obstacle.path.starts_with(&maildir) {
                    let change = format!("chown -hR {}:{}", ids.uid, ids.gid);
                    command_for(&change, maildir.as_os_str().as_bytes())
                } else {
                    mend(&folder, &obstacle, owner).await?
                };
                return Ok(Maildir::Wrong(obstacle.what(), mend));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && name.is_empty() => return Ok(Maildir::Absent),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let what = format!("{} is not there", folder.display());
                return Ok(Maildir::Wrong(what, Mend::Command(make(owner, home))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Maildir::Fine)
}

/// The command that makes a maildir, as its owner: what he has put in the way cannot lead root elsewhere.
pub(super) fn make(owner: Owner, home: &Path) -> String {
    let maildir = home.join("Maildir");
    let folder = |name: &str| quoted(&[maildir.as_os_str().as_bytes(), name.as_bytes()].concat());
    match ["", "/tmp", "/new", "/cur"].into_iter().map(folder).collect::<Option<Vec<_>>>() {
        Some(folders) => format!("{} mkdir -p -m 0700 {}", owner.runs(), folders.join(" ")),
        None => format!("make Maildir, with tmp, new and cur, as uid {}", owner.uid),
    }
}

/// Those of `without` whose mail qmail puts into a Maildir that is not there: neither a row nor a file says otherwise.
pub(super) async fn wanted(host: &Host<'_>, without: &[Mailbox]) -> Vec<Outcome> {
    if without.is_empty() || default_delivery(host).as_deref() != Some(b"./Maildir/") {
        return Vec::new();
    }
    let Some(blank) = Ext::new(b"") else { return Vec::new() };
    let keys = without.iter().map(|mailbox| AliasKey { username: mailbox.username.clone(), alias: blank.clone() });
    let by = Deadline::after(host.session.config.deadline);
    let rows = match host.session.lookup.alias.aliases(&keys.collect::<Vec<_>>(), by).await {
        Ok(rows) => rows,
        Err(error) => {
            let why = format!("whether {} mailboxes need a Maildir: {error}", without.len());
            return vec![Outcome::Unknown { why, mend: String::new() }];
        }
    };
    let has_rows = |mailbox: &Mailbox| {
        let is_blank = |cell: &Option<Vec<u8>>| cell.as_deref().unwrap_or_default().is_empty();
        rows.iter().any(|row| mailbox.username.matches(row.username.as_deref()) && is_blank(&row.alias))
    };
    let waits = without.iter().filter(|mailbox| !has_rows(mailbox)).filter_map(|mailbox| {
        let home = Path::new(OsStr::from_bytes(&mailbox.home));
        let is_absent = std::fs::symlink_metadata(home.join(".qmail")).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        let what =
            format!("mailbox {}: {} holds no Maildir, where qmail puts its mail", mailbox.username, home.display());
        let owner = Owner { uid: mailbox.uid, gid: mailbox.gid };
        is_absent.then(|| Outcome::wrong(format!("{what}: it waits"), make(owner, home)))
    });
    waits.collect()
}

/// What qmail does with mail that nothing else says anything about: the argument of the qmail-lspawn that qmail-send
/// works with, which is its child. `None` if that cannot be found out.
fn default_delivery(host: &Host<'_>) -> Option<Vec<u8>> {
    let pid = send::find(&host.qmail).ok().flatten()?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let words = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
        let mut words = words.split(|&byte| byte == 0);
        // A script has its interpreter before its name.
        words.by_ref().take(2).find(|word| word.ends_with(b"qmail-lspawn"))?;
        Some(words.next()?.trim_ascii().to_vec())
    })
}
