//! A process that puts a file in order if this one is killed.
#![allow(unsafe_code)] // these calls have no safe form in std

use super::checked;
use std::fs::File;
use std::io::{Error, PipeWriter, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null_mut;

/// A child that cuts a file back to its old length unless it is [dismissed](Guard::dismiss). It shares the open file with
/// this process, and so keeps the file's lock until it has done that: whoever gets the lock next finds no half message.
///
/// What it cannot help: itself and this process killed together by SIGKILL, which is what a power failure does too, and
/// a file system that refuses to cut the file. It is no worse off than without a guard if only the guard is killed.
#[derive(Debug)]
pub struct Guard {
    child: libc::pid_t,
    /// The other end is the child's. `None` once it is closed.
    pipe: Option<PipeWriter>,
}

impl Guard {
    /// Sets a guard on `file`, which is `length` bytes long and open for writing. The process must have one thread.
    ///
    /// # Errors
    /// If there cannot be a pipe or a process.
    pub fn set(file: &File, length: u64) -> Result<Self> {
        let length = libc::off_t::try_from(length).map_err(Error::other)?;
        let (reader, pipe) = std::io::pipe()?;
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets live on this stack; sigfillset initializes one, sigprocmask the other. Signals are blocked
        // before the fork, so that none that is meant for all processes here finds the child unprepared. The child makes
        // only calls that are allowed after a fork, on descriptors that it has inherited, and never returns.
        let child = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            checked(libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()))?;
            let child = checked(libc::fork());
            if matches!(child, Ok(0)) {
                watch(file.as_raw_fd(), length, reader.as_raw_fd(), pipe.as_raw_fd());
            }
            libc::sigprocmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
            child
        };
        Ok(Self { child: child?, pipe: Some(pipe) })
    }

    /// Tells the guard that the file is in order, and waits for its end.
    pub fn dismiss(mut self) {
        let told = self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.write_all(b"+"));
        if told.is_err() {
            // Most likely the guard was killed by somebody else. If not: it must not take the end of the pipe for that of
            // this process, so it has to end before the pipe does.
            // SAFETY: touches no memory. Nobody has waited for the child, so the number is still its own.
            unsafe { libc::kill(self.child, libc::SIGKILL) };
            self.wait();
        }
    }

    /// Waits for the child's end, however it ended.
    fn wait(&self) {
        // SAFETY: no status is asked for.
        while unsafe { libc::waitpid(self.child, null_mut(), 0) } == -1
            && Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
}

/// Lets the guard cut the file, and waits until it has.
impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        self.wait();
    }
}

/// The child: waits for a byte or the end of the pipe, whose last writer it must not be itself.
fn watch(file: RawFd, length: libc::off_t, reader: RawFd, writer: RawFd) -> ! {
    let mut byte = 0_u8;
    // SAFETY: this process runs nothing else, so nobody uses a descriptor after it is closed; byte is ours.
    unsafe {
        libc::close(writer);
        loop {
            match libc::read(reader, (&raw mut byte).cast(), 1) {
                0 => break,
                -1 if *libc::__errno_location() == libc::EINTR => {}
                // Dismissed; or, which cannot be, it is not known whether the writer is still at work.
                _ => libc::_exit(0),
            }
        }
        while libc::ftruncate(file, length) == -1 && *libc::__errno_location() == libc::EINTR {}
        libc::_exit(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: in a process of several threads, two guards would hold each other's pipes.
    #[test]
    fn only_a_guard_that_is_not_dismissed_cuts_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let append = || std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        append().write_all(b"old\n").unwrap();
        for (dismissed, left) in [(false, "old\n"), (true, "old\nnew\n"), (false, "old\nnew\n")] {
            let mut file = append();
            file.lock().unwrap();
            let guard = Guard::set(&file, file.metadata().unwrap().len()).unwrap();
            file.write_all(b"new\n").unwrap();
            if dismissed {
                guard.dismiss();
            } else {
                drop(guard);
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left);
            drop(file);
            append().try_lock().unwrap();
        }
    }
}
