//! Whether whoever answers may be believed.

use crate::sys;
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Mode bits that let the group, or others, write.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Whoever may write may add, and take away only what is his.
const STICKY: u32 = 0o1000;

/// Why an answer would be worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The socket's directory has just gone, as it does when the daemon is restarted.
    Gone,
    /// This; for people.
    Disbelieved(&'static str),
}

/// The other end is root or the owner of the directory that holds the socket, and nobody else can put a socket there, or
/// another directory in its place. A sticky directory is no better: anybody can be first.
///
/// # Errors
/// If that is not so, or cannot be found out.
pub fn peer(stream: &UnixStream, socket: &Path) -> std::result::Result<(), Doubt> {
    let directory = socket.parent().ok_or(Doubt::Disbelieved("the socket has no directory"))?;
    let examined = |error: Error| match error.kind() {
        ErrorKind::NotFound => Doubt::Gone,
        _ => Doubt::Disbelieved("the socket's directory cannot be examined"),
    };
    let real = directory.canonicalize().map_err(examined)?;
    let found = std::fs::metadata(&real).map_err(examined)?;
    if found.mode() & (GROUP_WRITES | OTHERS_WRITE) != 0 {
        return Err(Doubt::Disbelieved("others than its owner may write in the socket's directory"));
    }
    let mut below = found.clone();
    for above in real.ancestors().skip(1) {
        let above = std::fs::metadata(above).map_err(examined)?;
        // Whoever may take the directory below away, or was first to make it, decides who is believed.
        let trusted = [0, sys::euid(), found.uid()].contains(&above.uid());
        let first = above.mode() & STICKY != 0 && [0, sys::euid()].contains(&below.uid());
        if !trusted || (others_write(&above) && !first) {
            return Err(Doubt::Disbelieved("others may put another directory in the place of the socket's"));
        }
        below = above;
    }
    match sys::peer_uid(stream) {
        Ok(uid) if uid == 0 || uid == found.uid() => Ok(()),
        Ok(_) => Err(Doubt::Disbelieved("the socket's other end is neither root nor the owner of its directory")),
        Err(_) => Err(Doubt::Disbelieved("the socket's other end cannot be examined")),
    }
}

fn others_write(found: &Metadata) -> bool {
    let group = found.mode() & GROUP_WRITES != 0 && found.gid() != 0;
    group || found.mode() & OTHERS_WRITE != 0
}

/// Whether only root can have written `file`, which was opened at `path`: it and every directory above it, by name and
/// behind symlinks, are root's and nobody else may write there.
///
/// # Errors
/// If one of them cannot be examined.
pub fn is_roots(file: &File, path: &Path) -> Result<bool> {
    if !only_root_writes(&file.metadata()?) {
        return Ok(false);
    }
    let real = path.canonicalize()?;
    // A relative path ends in "", which is the working directory; that is among the ancestors of the real path.
    let named = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    for above in real.ancestors().skip(1).chain(named) {
        if !only_root_writes(&std::fs::metadata(above)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn only_root_writes(found: &Metadata) -> bool {
    found.uid() == 0 && !others_write(found)
}
