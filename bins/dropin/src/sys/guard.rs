//! A process that puts a file in order if this one is killed.
#![allow(unsafe_code)] // these calls have no safe form in std

use super::checked;
use std::fs::File;
use std::io::{Error, ErrorKind, PipeWriter, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

/// A child that cuts a file back to its old length unless it is [dismissed](Guard::dismiss). It shares the open file with
/// this process, and so keeps the file's lock until it has done that: whoever gets the lock next finds no half message.
///
/// Not all programs heed that lock. So what is to be undone is written through the guard, which counts it: a file that
/// has become longer than that, or shorter than it was, has been changed by another program, and is left as it is.
///
/// What it cannot help: itself and this process killed together by SIGKILL, which is what a power failure does too, and
/// a file system that refuses to cut the file. It is no worse off than without a guard if only the guard is killed.
#[derive(Debug)]
pub struct Guard<'a> {
    file: &'a File,
    /// The file's old length. Unit: bytes.
    length: u64,
    /// What has been written. Unit: bytes.
    written: u64,
    /// How far behind the old length that may reach, the write in progress included.
    reach: Shared,
    child: libc::pid_t,
    /// The other end is the child's. `None` once it is closed.
    pipe: Option<PipeWriter>,
}

impl<'a> Guard<'a> {
    /// Sets a guard on `file`, which is `length` bytes long and open for appending. The process must have one thread.
    ///
    /// # Errors
    /// If there cannot be a pipe, memory that is shared or a process.
    pub fn set(file: &'a File, length: u64) -> Result<Self> {
        let (reader, pipe) = std::io::pipe()?;
        let reach = Shared::zero()?;
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets live on this stack; sigfillset initializes one, sigprocmask the other. Signals are blocked
        // before the fork, so that none that is meant for all processes here finds the child unprepared. The child makes
        // only calls that are allowed after a fork, on descriptors and memory that it has inherited, and never returns.
        let child = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            checked(libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()))?;
            let child = checked(libc::fork());
            match child {
                Ok(0) => watch(file.as_raw_fd(), length, reach.get(), reader.as_raw_fd(), pipe.as_raw_fd()),
                // A SIGKILL for this process group is not for the guard. Done here, it is done before anything is written.
                Ok(child) => {
                    libc::setpgid(child, child);
                }
                Err(_) => {}
            }
            libc::sigprocmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
            child
        };
        Ok(Self { file, length, written: 0, reach, child: child?, pipe: Some(pipe) })
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

    /// Takes back what was written, if nothing else was. Where this process cannot, the guard tries once more.
    pub fn undo(self) {
        if cut_back(self.file.as_raw_fd(), self.length, self.written) {
            let _ = self.file.sync_data(); // or a power failure now could bring half a message back; more cannot be done
            self.dismiss();
        }
    }

    /// Waits for the child's end, however it ended.
    fn wait(&self) {
        // SAFETY: no status is asked for.
        while unsafe { libc::waitpid(self.child, null_mut(), 0) } == -1
            && Error::last_os_error().kind() == ErrorKind::Interrupted
        {}
    }
}

/// Appends to the file.
impl Write for Guard<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.reach.get().store(self.written.saturating_add(length(bytes.len())), Ordering::SeqCst);
        let result = self.file.write(bytes);
        self.written = self.written.saturating_add(result.as_ref().map_or(0, |&count| length(count)));
        self.reach.get().store(self.written, Ordering::SeqCst);
        result
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Lets the guard cut the file, and waits until it has.
impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.pipe = None;
        self.wait();
    }
}

/// A number that this process and its child both see.
#[derive(Debug)]
struct Shared(NonNull<AtomicU64>);

impl Shared {
    fn zero() -> Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let page = unsafe { libc::mmap(null_mut(), size_of::<AtomicU64>(), protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Self).ok_or_else(|| ErrorKind::OutOfMemory.into())
    }

    fn get(&self) -> &AtomicU64 {
        // SAFETY: the mapping is as long, begins with a page, is zero at first and stays until self is dropped. Both
        // processes use it as this type only.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this object's own, and so long. The child has one of its own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU64>()) };
    }
}

/// The child: waits for a byte or the end of the pipe, whose last writer it must not be itself.
fn watch(file: RawFd, length: u64, reach: &AtomicU64, reader: RawFd, writer: RawFd) -> ! {
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
    }
    cut_back(file, length, reach.load(Ordering::SeqCst));
    super::exit_now(0)
}

/// Gives `file` its old `length` back if at most `reach` bytes have come to it. False if that fails, not if it is left
/// as it is. Only calls that are allowed after a fork.
fn cut_back(file: RawFd, length: u64, reach: u64) -> bool {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: found is a writable record, and read only when fstat has filled it. Both take an open descriptor.
    unsafe {
        while libc::fstat(file, found.as_mut_ptr()) == -1 {
            if *libc::__errno_location() != libc::EINTR {
                return false;
            }
        }
        let found = u64::try_from(found.assume_init().st_size).unwrap_or_default();
        if found <= length || found - length > reach {
            return true;
        }
        let Ok(length) = libc::off_t::try_from(length) else { return false };
        while libc::ftruncate(file, length) == -1 {
            if *libc::__errno_location() != libc::EINTR {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: in a process of several threads, two guards would hold each other's pipes.
    #[test]
    fn only_what_was_written_is_cut_and_only_unless_the_guard_is_dismissed() {
        type End = fn(Guard<'_>);
        let (dismissed, undone, killed): (End, End, End) = (|guard| guard.dismiss(), |guard| guard.undo(), |_| {});
        let nothing: fn(&File) = |_| {};
        let appended: fn(&File) = |mut file| file.write_all(b"other\n").unwrap();
        let shrunk: fn(&File) = |file| file.set_len(2).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let append = || std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        for (end, meanwhile, left) in [
            (dismissed, nothing, "old\nnew\n"),
            (killed, nothing, "old\n"),
            (undone, nothing, "old\n"),
            (killed, appended, "old\nnew\nother\n"),
            (undone, appended, "old\nnew\nother\n"),
            (killed, shrunk, "ol"),
            (undone, shrunk, "ol"),
        ] {
            std::fs::write(&path, "old\n").unwrap();
            let file = append();
            file.lock().unwrap();
            let mut guard = Guard::set(&file, file.metadata().unwrap().len()).unwrap();
            guard.write_all(b"new\n").unwrap();
            meanwhile(&append());
            end(guard);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left);
            drop(file);
            append().try_lock().unwrap();
        }
        // Killed in the middle of a write: nobody knows how much of it there is.
        std::fs::write(&path, "old\n").unwrap();
        let file = append();
        let guard = Guard::set(&file, 4).unwrap();
        guard.reach.get().store(100, Ordering::SeqCst);
        (&file).write_all(&[b'x'; 60]).unwrap();
        // SAFETY: touches no memory.
        let (group, ours) = unsafe { (libc::getpgid(guard.child), libc::getpgid(0)) };
        drop(guard);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
        assert!(group > 0 && group != ours, "{group} {ours}");
    }
}
