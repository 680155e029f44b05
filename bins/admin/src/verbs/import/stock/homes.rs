//! Reads the dot-qmail files of a home: only what its owner could read himself, and never by a symbolic link in it. A
//! home is its user's, who may put anything into it while root reads.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use qmail_lookup_core::import::stock::dotqmail;
use qmail_lookup_core::import::stock::users::User;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::vec::IntoIter;

/// Longest file that is read. Unit: bytes. Source: ours; no list of instructions comes near it.
const SIZE_MAX: u64 = 1 << 20;

/// Most files of a home, and most that they may hold together. Unit: files, bytes. Source: ours; whoever has a home could
/// fill this program's memory else.
const FILES_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;

/// The files of a home whose names begin with `.qmail`, by name; each is read when it is asked for. An error ends them:
/// there is too much of them.
pub(super) struct Files<'a> {
    home: Dir,
    names: IntoIter<CString>,
    user: &'a User,
    /// What they may hold still. Unit: bytes.
    left: usize,
}

impl Iterator for Files<'_> {
    type Item = Result<dotqmail::File, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.names.next()?;
        let content = read(&self.home, &name, self.user);
        let length = content.as_ref().map_or(0, |(content, _)| content.len());
        let Some(left) = self.left.checked_sub(length) else {
            return Some(Err(format!("its dot-qmail files hold more than {} MiB", BYTES_MAX >> 20)));
        };
        self.left = left;
        Some(Ok(dotqmail::File { content, name: name.into_bytes() }))
    }
}

/// The files of this user. The alias user's home may be root's.
///
/// # Errors
/// If the home cannot be read, is not his, holds too many files, or its owner is editing them.
pub(super) fn files(user: &User, is_alias: bool) -> Result<Files<'_>, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let failed = |error: Errno| format!("the home cannot be read: {}", error.desc());
    let mut home = Dir::open(Path::new(OsStr::from_bytes(&user.home)), flags, Mode::empty()).map_err(failed)?;
    let is = fstat(home.as_fd()).map_err(failed)?;
    // Since it was examined, another may have been put there.
    if is.st_uid != user.uid && !(is_alias && is.st_uid == 0) {
        return Err(format!("the home belongs to uid {}", is.st_uid));
    }
    if is.st_mode & 0o1000 != 0 {
        return Err("the home is sticky: they are being edited, and their mail waits; import again later".to_owned());
    }
    let mut names = Vec::new();
    for entry in home.iter() {
        let name = entry.map_err(failed)?.file_name().to_owned();
        if name.as_bytes().starts_with(b".qmail") {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} dot-qmail files"));
        }
    }
    names.sort();
    Ok(Files { home, names: names.into_iter(), user, left: BYTES_MAX })
}

fn read(home: &Dir, name: &CString, user: &User) -> Result<(Vec<u8>, u32), String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = match openat(home.as_fd(), name.as_c_str(), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ELOOP) => return Err("it is a symbolic link".to_owned()),
        Err(error) => return Err(format!("it cannot be opened: {}", error.desc())),
    };
    let failed = |error: std::io::Error| format!("it cannot be read: {error}");
    let is = file.metadata().map_err(failed)?;
    if !is.is_file() {
        return Err("it is no regular file".to_owned());
    }
    // A link to another's file would make its lines instructions.
    let readable = match (is.uid() == user.uid, is.gid() == user.gid) {
        (true, _) => 0o400,
        (false, true) => 0o040,
        (false, false) => 0o004,
    };
    if is.mode() & readable == 0 {
        return Err("its user may not read it, so that qmail-local delivers nothing".to_owned());
    }
    let too_large = || "it is larger than 1 MiB".to_owned();
    if is.len() > SIZE_MAX {
        return Err(too_large());
    }
    let mut content = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > SIZE_MAX {
        return Err(too_large());
    }
    Ok((content, is.mode() & 0o777))
}
