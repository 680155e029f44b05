//! Whether whoever answers may be believed.

use crate::sys;
use qmail_lookup_core::directories::{Entry, Flaw, Way};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Why an answer would be worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The socket's directory has just gone, as it does when the daemon is restarted.
    Gone,
    /// This; for people.
    Disbelieved(&'static str),
}

/// The other end is root or the owner of the directory that holds the socket, and nobody else can put a socket there, or
/// another directory or symlink in the place of one that leads there. A sticky directory is no better: anybody can be
/// first. `socket` is an absolute path.
///
/// # Errors
/// If that is not so, or cannot be found out.
pub fn peer(stream: &UnixStream, socket: &Path) -> std::result::Result<(), Doubt> {
    let directory = socket.parent().ok_or(Doubt::Disbelieved("the socket has no directory"))?;
    let way = Way::follow(directory, look).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Doubt::Gone,
        _ => Doubt::Disbelieved("the socket's directory cannot be examined"),
    })?;
    let owner = way.owner(sys::euid()).map_err(|flaw| match flaw {
        Flaw::Writable => Doubt::Disbelieved("others than its owner may write in the socket's directory"),
        Flaw::Shared(_) | Flaw::Foreign(..) => {
            Doubt::Disbelieved("others may put another directory in the place of the socket's")
        }
    })?;
    match sys::peer_uid(stream) {
        Ok(uid) if uid == 0 || uid == owner => Ok(()),
        Ok(_) => Err(Doubt::Disbelieved("the socket's other end is neither root nor the owner of its directory")),
        Err(_) => Err(Doubt::Disbelieved("the socket's other end cannot be examined")),
    }
}

/// Whether only root can have written `file`, which was opened at `path`: it and every directory on the way to it, by
/// name and behind symlinks, are root's and nobody else may write there.
///
/// # Errors
/// If one of them cannot be examined.
pub fn is_roots(file: &File, path: &Path) -> Result<bool> {
    if !only_root_writes(&entry(&file.metadata()?)) {
        return Ok(false);
    }
    let way = Way::follow(&std::path::absolute(path)?, look)?;
    Ok(way.steps.iter().all(|step| only_root_writes(&step.holder)))
}

fn only_root_writes(found: &Entry) -> bool {
    found.uid == 0 && !found.others_write()
}

fn look(path: &Path) -> Result<Entry> {
    let found = std::fs::symlink_metadata(path)?;
    let link = if found.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    Ok(Entry { link, ..entry(&found) })
}

fn entry(found: &Metadata) -> Entry {
    Entry { uid: found.uid(), gid: found.gid(), mode: found.mode(), link: None }
}
