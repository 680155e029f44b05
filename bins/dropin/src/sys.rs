//! The kernel's calls that std does not offer, or not safely. All unsafe code of the drop-ins.
#![allow(unsafe_code)] // these calls have no safe form in std

pub mod files;
pub mod guard;
pub mod memory;
pub mod names;
pub mod spawn;
pub mod timer;

use spawn::{List, environment};
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, Ordering};

/// One bit for each of descriptors 0, 1 and 2 that was closed when the program was started.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Runs before std's own start, which opens /dev/null in place of a closed descriptor: a closed standard output would
/// swallow the answer without an error.
#[used]
// SAFETY: the C library calls each function in this section once, after its own start and before main. Arguments that
// it passes are ignored, as the C calling convention allows.
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    for fd in 0..3 {
        if !is_open(fd) {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// Whether standard input was open when the program was started.
#[must_use]
pub fn stdin_was_open() -> bool {
    CLOSED.load(Ordering::Relaxed) & 1 == 0
}

/// Whether standard output was open when the program was started.
#[must_use]
pub fn stdout_was_open() -> bool {
    CLOSED.load(Ordering::Relaxed) & 2 == 0
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes no argument and touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

fn checked(result: libc::c_int) -> Result<libc::c_int> {
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Ends the process at once: no destructor, no exit handler.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit does not return and touches no memory.
    unsafe { libc::_exit(libc::c_int::from(code)) }
}

/// Closes every descriptor from 3 up. To be called before any is opened.
pub fn close_inherited() {
    let (first, last, flags): (libc::c_uint, libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX, 0);
    // SAFETY: the call touches no memory. Nothing in this process owns a descriptor above 2 yet.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
        return;
    }
    // Linux before 5.9 does not know the call. SAFETY: as above.
    let most = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    for fd in 3..RawFd::try_from(most).unwrap_or(1024).clamp(256, 65_536) {
        // SAFETY: as above.
        let _ = unsafe { libc::close(fd) };
    }
}

/// Takes over descriptor 3, if it is open. To be called once, and before any descriptor is opened.
#[must_use]
pub fn take_descriptor_3() -> Option<OwnedFd> {
    // SAFETY: it is open, it was inherited, and nothing else in this process knows of it.
    is_open(3).then(|| unsafe { OwnedFd::from_raw_fd(3) })
}

/// Makes `fd` descriptor 3, open across exec. Whatever 3 was is closed.
///
/// # Errors
/// If the kernel refuses.
pub fn become_descriptor_3(fd: OwnedFd) -> Result<()> {
    if fd.as_raw_fd() == 3 {
        // SAFETY: the descriptor is ours; F_SETFD takes an integer.
        checked(unsafe { libc::fcntl(3, libc::F_SETFD, 0) })?;
        std::mem::forget(fd); // stays open until exec
        return Ok(());
    }
    // SAFETY: fd is open and ours. No object in this process owns descriptor 3: the caller has dropped what
    // take_descriptor_3 gave, and everything else it opened.
    checked(unsafe { libc::dup2(fd.as_raw_fd(), 3) }).map(|_| ())
}

/// Lets SIGALRM end the process in `seconds`, whatever the parent did to that signal.
pub fn set_alarm(seconds: u32) {
    // SAFETY: SIG_DFL is a disposition, not a handler.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
    }
    unblock_alarm();
    // SAFETY: touches no memory.
    unsafe {
        libc::alarm(seconds);
    }
}

/// Lets SIGALRM through, if the parent blocked it.
fn unblock_alarm() {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set lives on this stack and is initialized by sigemptyset.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGALRM);
        libc::sigprocmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Takes [`set_alarm`] back. An alarm survives exec.
pub fn clear_alarm() {
    // SAFETY: touches no memory.
    unsafe {
        libc::alarm(0);
    }
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: libc::mode_t) {
    // SAFETY: always succeeds and touches no memory.
    unsafe {
        libc::umask(mask);
    }
}

/// Makes a write beyond the file size limit an error (EFBIG) and not the end of the process. exec takes it back.
pub fn survive_file_size_limit() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing, which is allowed at any time.
    unsafe {
        libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t);
    }
}

/// No core dump, no reading of this process's memory by others of its uid. exec resets it.
pub fn undumpable() {
    let off: libc::c_ulong = 0;
    // SAFETY: PR_SET_DUMPABLE takes an integer.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, off, off, off, off);
    }
}

/// Zeroes `bytes` in a way that the compiler does not leave out.
pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a reference may be written through.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// A UNIX stream socket that is not connected yet, so that a time limit can be set first. Close-on-exec.
///
/// # Errors
/// If the kernel refuses.
pub fn unix_socket() -> Result<UnixStream> {
    // SAFETY: the call touches no memory.
    let fd = checked(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: it was just opened, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

/// Connects `socket` to whoever listens at `path`. It takes no longer than the socket's write timeout.
///
/// # Errors
/// The kernel's; InvalidInput for a path that is too long for a socket.
pub fn connect(socket: &UnixStream, path: &OsStr) -> Result<()> {
    // SAFETY: sockaddr_un is an integer and an array of characters, for which zeroes are valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).map_err(Error::other)?;
    let path = path.as_bytes();
    if path.is_empty() || path.len() >= address.sun_path.len() || path.contains(&0) {
        return Err(Error::from(ErrorKind::InvalidInput));
    }
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(Error::other)?;
    // SAFETY: address is a whole sockaddr_un of that length, NUL-terminated because it was zeroed and path is shorter.
    checked(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) }).map(|_| ())
}

/// The uid that the other end had when it began to listen.
///
/// # Errors
/// If the kernel refuses.
pub fn peer_uid(socket: &UnixStream) -> Result<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of_val(&peer)).map_err(Error::other)?;
    // SAFETY: peer and length are ours and writable, and length says how big peer is.
    checked(unsafe {
        let (into, size) = ((&raw mut peer).cast(), &raw mut length);
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, into, size)
    })?;
    Ok(peer.uid)
}

/// Effective uid.
#[must_use]
pub fn euid() -> u32 {
    // SAFETY: always succeeds and touches no memory.
    unsafe { libc::geteuid() }
}

/// Real, effective and saved uid.
///
/// # Errors
/// If the kernel refuses.
pub fn uids() -> Result<[u32; 3]> {
    let [mut real, mut effective, mut saved] = [u32::MAX; 3];
    // SAFETY: three writable integers.
    checked(unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    Ok([real, effective, saved])
}

/// Real, effective and saved gid.
///
/// # Errors
/// If the kernel refuses.
pub fn gids() -> Result<[u32; 3]> {
    let [mut real, mut effective, mut saved] = [u32::MAX; 3];
    // SAFETY: three writable integers.
    checked(unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    Ok([real, effective, saved])
}

/// Supplementary groups.
///
/// # Errors
/// If the kernel refuses.
pub fn groups() -> Result<Vec<u32>> {
    // SAFETY: with length 0 nothing is written.
    let count = checked(unsafe { libc::getgroups(0, std::ptr::null_mut()) })?;
    let mut found = vec![0; usize::try_from(count).map_err(Error::other)?];
    // SAFETY: found has room for count groups.
    let count = checked(unsafe { libc::getgroups(count, found.as_mut_ptr()) })?;
    found.truncate(usize::try_from(count).map_err(Error::other)?);
    Ok(found)
}

/// Makes `gid` the only supplementary group.
///
/// # Errors
/// If the kernel refuses.
pub fn set_only_group(gid: u32) -> Result<()> {
    // SAFETY: one group, at the address of gid.
    checked(unsafe { libc::setgroups(1, &raw const gid) }).map(|_| ())
}

/// Sets real, effective and saved gid.
///
/// # Errors
/// If the kernel refuses.
pub fn set_gids(gid: u32) -> Result<()> {
    // SAFETY: touches no memory.
    checked(unsafe { libc::setresgid(gid, gid, gid) }).map(|_| ())
}

/// Sets real, effective and saved uid.
///
/// # Errors
/// If the kernel refuses.
pub fn set_uids(uid: u32) -> Result<()> {
    // SAFETY: touches no memory.
    checked(unsafe { libc::setresuid(uid, uid, uid) }).map(|_| ())
}

/// Whether this process could become root again. It tries.
#[must_use]
pub fn can_become_root() -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::setuid(0) == 0 }
}

/// Becomes the program at `path`, with `arguments` behind its name, our environment and `mark` in it. Returns only if that
/// fails. Unlike std's exec it never gives a file that is no program to /bin/sh, whose 127 would bounce mail.
pub fn become_program(path: &OsStr, arguments: &[&OsStr], mark: (&'static str, &str)) -> Error {
    let words = std::iter::once(&path).chain(arguments).map(|word| word.as_bytes().to_vec());
    let mark = [(mark.0, mark.1.as_bytes().to_vec())];
    let (Ok(words), Ok(variables)) = (List::of(words), List::of(environment(&mark))) else {
        return ErrorKind::InvalidInput.into();
    };
    // SAFETY: SIG_DFL is a disposition (std ignores SIGPIPE, and exec would hand that down). The lists end in null and point
    // to NUL-terminated strings that they hold; the first of the words is the path.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execve(*words.pointers(), words.pointers(), variables.pointers());
    }
    Error::last_os_error()
}
