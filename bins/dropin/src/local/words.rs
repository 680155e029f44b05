//! qmail's own words for errors.

use libc::c_int;
use std::io::{Error, ErrorKind};

const UNKNOWN: &str = "unknown error";

/// Those that files, processes and network file systems can end with. Source: error_str.c.
const WORDS: &[(c_int, &str)] = &[
    (libc::EINTR, "interrupted system call"),
    (libc::ENOMEM, "out of memory"),
    (libc::ENOENT, "file does not exist"),
    (libc::ETXTBSY, "text busy"),
    (libc::EIO, "input/output error"),
    (libc::EEXIST, "file already exists"),
    (libc::ETIMEDOUT, "timed out"),
    (libc::EINPROGRESS, "operation in progress"),
    (libc::EAGAIN, "temporary failure"),
    (libc::EPIPE, "broken pipe"),
    (libc::EPERM, "permission denied"),
    (libc::EACCES, "access denied"),
    (libc::ESRCH, "no such process"),
    (libc::ENXIO, "device not configured"),
    (libc::E2BIG, "argument list too long"),
    (libc::ENOEXEC, "exec format error"),
    (libc::EBADF, "file descriptor not open"),
    (libc::ECHILD, "no child processes"),
    (libc::EDEADLK, "operation would cause deadlock"),
    (libc::EFAULT, "bad address"),
    (libc::ENOTBLK, "not a block device"),
    (libc::EBUSY, "device busy"),
    (libc::EXDEV, "cross-device link"),
    (libc::ENODEV, "device does not support operation"),
    (libc::ENOTDIR, "not a directory"),
    (libc::EISDIR, "is a directory"),
    (libc::EINVAL, "invalid argument"),
    (libc::ENFILE, "system cannot open more files"),
    (libc::EMFILE, "process cannot open more files"),
    (libc::ENOTTY, "not a tty"),
    (libc::EFBIG, "file too big"),
    (libc::ENOSPC, "out of disk space"),
    (libc::ESPIPE, "unseekable descriptor"),
    (libc::EROFS, "read-only file system"),
    (libc::EMLINK, "too many links"),
    (libc::ERANGE, "output out of range"),
    (libc::EMSGSIZE, "message too long"),
    (libc::EOPNOTSUPP, "operation not supported"),
    (libc::ENETDOWN, "network down"),
    (libc::ENETUNREACH, "network unreachable"),
    (libc::ENETRESET, "network reset"),
    (libc::ECONNABORTED, "connection aborted"),
    (libc::ECONNRESET, "connection reset"),
    (libc::ENOBUFS, "out of buffer space"),
    (libc::ENOTCONN, "not connected"),
    (libc::ESHUTDOWN, "socket shut down"),
    (libc::ETOOMANYREFS, "too many references"),
    (libc::ECONNREFUSED, "connection refused"),
    (libc::ELOOP, "symbolic link loop"),
    (libc::ENAMETOOLONG, "file name too long"),
    (libc::EHOSTDOWN, "host down"),
    (libc::EHOSTUNREACH, "host unreachable"),
    (libc::ENOTEMPTY, "directory not empty"),
    (libc::EUSERS, "too many users"),
    (libc::EDQUOT, "disk quota exceeded"),
    (libc::ESTALE, "stale NFS file handle"),
    (libc::EREMOTE, "too many levels of remote in path"),
    (libc::ENOLCK, "no locks available"),
    (libc::ENOSYS, "system call not available"),
    (libc::EBADMSG, "bad message type"),
    (libc::ENOLINK, "link severed"),
    (libc::ECOMM, "communication error"),
    (libc::EPROTO, "protocol error"),
    (libc::EMULTIHOP, "multihop attempted"),
];

/// Those of which a later attempt may know nothing. Source: error_temp.c.
const TEMPORARY: &[c_int] = &[
    libc::EINTR,
    libc::ENOMEM,
    libc::ETXTBSY,
    libc::EIO,
    libc::ETIMEDOUT,
    libc::EAGAIN,
    libc::EDEADLK,
    libc::EBUSY,
    libc::ENFILE,
    libc::EMFILE,
    libc::EFBIG,
    libc::ENOSPC,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::ENETRESET,
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::ENOBUFS,
    libc::ETOOMANYREFS,
    libc::ECONNREFUSED,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::EUSERS,
    libc::EDQUOT,
    libc::ESTALE,
    libc::ENOLCK,
];

/// What the report says of `error`.
#[must_use]
pub fn of(error: &Error) -> &'static str {
    let words = number(error).and_then(|number| WORDS.iter().find(|(known, _)| *known == number));
    words.map_or(UNKNOWN, |(_, words)| words)
}

/// Whether `error` may be gone at the next attempt: it says nothing about what is there. So does an error of which
/// nothing is known.
#[must_use]
pub fn is_temporary(error: &Error) -> bool {
    number(error).is_none_or(|number| TEMPORARY.contains(&number))
}

/// The kernel's number of `error`; of std's own errors, that of the kernel's which is most like it.
fn number(error: &Error) -> Option<c_int> {
    error.raw_os_error().or_else(|| match error.kind() {
        ErrorKind::NotFound => Some(libc::ENOENT),
        ErrorKind::PermissionDenied => Some(libc::EACCES),
        ErrorKind::AlreadyExists => Some(libc::EEXIST),
        ErrorKind::InvalidInput => Some(libc::EINVAL),
        ErrorKind::Interrupted => Some(libc::EINTR),
        ErrorKind::WouldBlock => Some(libc::EAGAIN),
        ErrorKind::TimedOut => Some(libc::ETIMEDOUT),
        ErrorKind::OutOfMemory => Some(libc::ENOMEM),
        ErrorKind::BrokenPipe => Some(libc::EPIPE),
        ErrorKind::StorageFull => Some(libc::ENOSPC),
        ErrorKind::QuotaExceeded => Some(libc::EDQUOT),
        ErrorKind::Unsupported => Some(libc::ENOSYS),
        // A transfer that stopped half way.
        ErrorKind::UnexpectedEof | ErrorKind::WriteZero => Some(libc::EIO),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::{File, OpenOptions};

    #[test]
    fn no_number_and_no_words_come_twice() {
        let numbers: BTreeSet<_> = WORDS.iter().map(|(number, _)| number).collect();
        let words: BTreeSet<_> = WORDS.iter().map(|(_, words)| words).collect();
        assert_eq!((numbers.len(), words.len()), (WORDS.len(), WORDS.len()));
        assert!(TEMPORARY.iter().all(|number| numbers.contains(number)));
    }

    #[test]
    fn errors_of_the_kernel_have_qmails_words() {
        let folder = tempfile::tempdir().unwrap();
        let missing = File::open(folder.path().join("missing")).unwrap_err();
        assert_eq!((of(&missing), is_temporary(&missing)), ("file does not exist", false));
        let directory = OpenOptions::new().write(true).open(folder.path()).unwrap_err();
        assert_eq!((of(&directory), is_temporary(&directory)), ("is a directory", false));
        let inside_a_file = File::open("/proc/self/exe/x").unwrap_err();
        assert_eq!((of(&inside_a_file), is_temporary(&inside_a_file)), ("not a directory", false));
        for (number, words, temporary) in [
            (libc::EPERM, "permission denied", false),
            (libc::EACCES, "access denied", false),
            (libc::EINVAL, "invalid argument", false),
            (libc::ENOSPC, "out of disk space", true),
            (libc::EDQUOT, "disk quota exceeded", true),
            (libc::EIO, "input/output error", true),
            (libc::ESTALE, "stale NFS file handle", true),
            (libc::EAGAIN, "temporary failure", true),
            (libc::EROFS, "read-only file system", false),
            (9999, "unknown error", false),
        ] {
            let error = Error::from_raw_os_error(number);
            assert_eq!((of(&error), is_temporary(&error)), (words, temporary), "{number}");
        }
    }

    #[test]
    fn errors_of_std_have_words_too() {
        let nul = File::open("a\0b").unwrap_err();
        assert_eq!((nul.raw_os_error(), of(&nul), is_temporary(&nul)), (None, "invalid argument", false));
        for (kind, words) in [
            (ErrorKind::WriteZero, "input/output error"),
            (ErrorKind::UnexpectedEof, "input/output error"),
            (ErrorKind::OutOfMemory, "out of memory"),
            (ErrorKind::Other, "unknown error"),
        ] {
            let error = Error::from(kind);
            assert_eq!((of(&error), is_temporary(&error)), (words, true), "{kind}");
        }
    }
}
