//! All unsafe code of the daemon, and what it asks the kernel for.
#![allow(unsafe_code)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Supplementary groups that a peer is asked about at most. Source: `NGROUPS_MAX` of Linux.
const GROUPS_MAX: usize = 65_536;

/// The supplementary groups of the process that connected, as they were then.
///
/// # Errors
/// If the kernel does not say.
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let size = size_of::<libc::gid_t>();
        let mut length = libc::socklen_t::try_from(groups.len() * size).map_err(io::Error::other)?;
        // SAFETY: the pointer is to `length` bytes that are ours for the time of the call, and any bytes are gids.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = usize::try_from(length).map_err(io::Error::other)? / size;
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > GROUPS_MAX {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// Takes over a descriptor that the service manager passed. Each number may be taken once.
pub(crate) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the service manager passed it to this process, and nothing else here knows its number.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Allows as many descriptors as the hard limit lets us; returns how many that are.
pub(crate) fn raise_descriptors() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_peer_has_the_groups_of_its_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut found = peer_groups(ours.as_fd()).unwrap();
        let mut expected: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn descriptors_can_be_raised_to_the_hard_limit() {
        let hard = raise_descriptors().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
