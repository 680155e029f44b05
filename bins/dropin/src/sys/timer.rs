//! An end to waiting, where no deadline reaches: a lock that somebody holds, a file system that hangs.
#![allow(unsafe_code)] // these calls have no safe form in std

use crate::exit::{Exit, LocalExit};
use std::ffi::CString;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// What the handler says: begin and length of a static text.
static TEXT: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// What the handler removes: a path that the timer owns, or null.
static REMOVE: AtomicPtr<libc::c_char> = AtomicPtr::new(null_mut());

/// Ends the process with a deferral unless it is dropped in time. A process has one alarm: no second timer may be started
/// while there is one.
#[derive(Debug)]
pub struct Timer {
    remove: Option<CString>,
}

impl Timer {
    /// Ends the process in `seconds` (at least 1), with `text` on standard output, whatever the parent did to SIGALRM.
    #[must_use]
    pub fn start(seconds: u32, text: &'static [u8]) -> Self {
        let handler: extern "C" fn(libc::c_int) = end;
        TEXT.store(text.as_ptr().cast_mut(), Ordering::SeqCst);
        LENGTH.store(text.len(), Ordering::SeqCst);
        // SAFETY: the handler makes only calls that are allowed at any time. SIG_IGN is a disposition; it discards an
        // alarm of the parent's that is waiting behind a blocked signal.
        unsafe {
            libc::signal(libc::SIGALRM, libc::SIG_IGN);
            libc::signal(libc::SIGALRM, handler as libc::sighandler_t);
            libc::alarm(seconds.max(1));
        }
        super::unblock_alarm();
        Self { remove: None }
    }

    /// From now on the file at `path` is removed at the end of time, too. The working directory must stay.
    pub fn remove(&mut self, path: CString) {
        REMOVE.store(path.as_ptr().cast_mut(), Ordering::SeqCst);
        self.remove = Some(path); // frees the former one, which the handler cannot reach any more
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: touches no memory; SIG_DFL is a disposition.
        unsafe {
            libc::alarm(0);
            libc::signal(libc::SIGALRM, libc::SIG_DFL);
        }
        REMOVE.store(null_mut(), Ordering::SeqCst);
    }
}

/// The handler.
extern "C" fn end(_: libc::c_int) {
    let (path, text) = (REMOVE.load(Ordering::SeqCst), TEXT.load(Ordering::SeqCst));
    // SAFETY: unlink, write and _exit are allowed in handlers. The path is null or a string that the timer keeps until
    // it has stopped the alarm; the text is static and LENGTH long.
    unsafe {
        if !path.is_null() {
            libc::unlink(path);
        }
        libc::write(1, text.cast(), LENGTH.load(Ordering::SeqCst));
        libc::_exit(libc::c_int::from(LocalExit::Defer.code()));
    }
}
