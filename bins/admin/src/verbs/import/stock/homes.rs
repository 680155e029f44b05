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

/// Longest file that is read. Unit: bytes. Source: ours; no list of instructions comes near it.
const SIZE_MAX: u64 = 1 << 20;

/// All files whose names begin with `.qmail`, by name.
///
/// # Errors
/// If the home cannot be read, or its owner is editing them.
pub(super) fn files(user: &User) -> Result<Vec<dotqmail::File>, String> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let failed = |error: Errno| format!("the home cannot be read: {}", error.desc());
    let mut home = Dir::open(Path::new(OsStr::from_bytes(&user.home)), flags, Mode::empty()).map_err(failed)?;
    let is = fstat(home.as_fd()).map_err(failed)?;
    if is.st_mode & 0o1000 != 0 {
        return Err("the home is sticky: they are being edited, and their mail waits; import again later".to_owned());
    }
    let mut names = Vec::new();
    for entry in home.iter() {
        let name = entry.map_err(failed)?.file_name().to_owned();
        if name.as_bytes().starts_with(b".qmail") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| dotqmail::File { content: read(&home, &name, user), name: name.into_bytes() })
        .collect())
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
    let mut content = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > SIZE_MAX {
        return Err("it is larger than 1 MiB".to_owned());
    }
    Ok((content, is.mode() & 0o777))
}
