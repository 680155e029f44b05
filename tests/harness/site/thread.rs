//! A thread that is somebody else. To Linux uids belong to threads; the C library's calls change all of them, so these
//! go around it.
#![allow(unsafe_code)]

use libtest_mimic::Failed;
use nix::errno::Errno;

/// Runs `work` in a thread of its own with this uid and gid, no other groups and no rights.
///
/// # Errors
/// If the thread cannot become that user, or panics; else what `work` gives.
pub fn as_user<T: Send>(id: u32, work: impl FnOnce() -> Result<T, Failed> + Send) -> Result<T, Failed> {
    as_member(id, id, work)
}

/// The same with another gid.
///
/// # Errors
/// As [`as_user`].
pub fn as_member<T: Send>(id: u32, group: u32, work: impl FnOnce() -> Result<T, Failed> + Send) -> Result<T, Failed> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_user(id, group)?;
            work()
        });
        thread.join().map_err(|_| "the thread panicked")?
    })
}

fn become_user(id: u32, group: u32) -> Result<(), Failed> {
    let no_groups: *const libc::gid_t = std::ptr::null();
    // SAFETY: the kernel reads no group from the pointer, because there are 0; the other arguments are numbers.
    let results = unsafe {
        [
            libc::syscall(libc::SYS_setgroups, 0_usize, no_groups),
            libc::syscall(libc::SYS_setresgid, group, group, group),
            libc::syscall(libc::SYS_setresuid, id, id, id),
        ]
    };
    if results.iter().all(|&result| result == 0) { Ok(()) } else { Err(Errno::last().into()) }
}
