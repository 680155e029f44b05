//! Another program as a child, with exactly the descriptors it is meant to have. Not std's Command: that gives a file which
//! is no program to a shell, and cannot say whether the directory or the program is what failed.

use super::checked;
use std::ffi::{CStr, CString, OsString};
use std::io::{Error, ErrorKind, PipeReader, PipeWriter, Read, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Path, and the zeroth argument. PATH takes no part.
    pub path: &'a [u8],
    /// The arguments behind it.
    pub arguments: &'a [&'a [u8]],
    /// Environment, besides what is inherited; it wins.
    pub variables: &'a [(&'static str, Vec<u8>)],
    /// Working directory, if it is not this one. Only the right to search it is needed.
    pub directory: Option<BorrowedFd<'a>>,
    /// What stands where in the child; 0, 1 and 2 are inherited if they are not named.
    pub descriptors: &'a [(RawFd, BorrowedFd<'a>)],
}

/// Why nothing was run.
#[derive(Debug)]
pub enum Failure {
    /// There is no child, or none with these descriptors.
    Fork(Error),
    /// The working directory cannot be entered.
    Directory(Error),
    /// The file is not there, or cannot be run.
    Run(Error),
}

/// A child that runs the program.
#[derive(Debug)]
pub struct Child(libc::pid_t);

/// Strings, and the list of pointers to them that execve takes.
pub(super) struct List {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

impl List {
    pub(super) fn of(strings: impl Iterator<Item = Vec<u8>>) -> Result<Self> {
        let strings = strings.map(CString::new).collect::<std::result::Result<Vec<_>, _>>();
        let strings = strings.map_err(|_| Error::from(ErrorKind::InvalidInput))?;
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { pointers, _strings: strings })
    }

    /// What execve takes; it is good as long as this list.
    pub(super) fn pointers(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// All that the child needs, made before it exists: it must not take memory.
struct Ready<'a> {
    path: &'a CStr,
    arguments: &'a List,
    environment: &'a List,
    directory: Option<RawFd>,
    descriptors: &'a [(RawFd, OwnedFd)],
    failure: &'a OwnedFd,
}

/// Runs `program`. Signals are as a program expects them, whatever std and this program did to them; no descriptor of this
/// process from 3 up is seen by it, as far as all of them are close-on-exec.
///
/// # Errors
/// If it does not run. An exit code is the program's own, never a sign that it was not run.
pub fn start(program: &Program<'_>) -> std::result::Result<Child, Failure> {
    let path = CString::new(program.path).map_err(|_| Failure::Run(ErrorKind::InvalidInput.into()))?;
    let words = [program.path].into_iter().chain(program.arguments.iter().copied()).map(<[u8]>::to_vec);
    let arguments = List::of(words).map_err(Failure::Run)?;
    let environment = List::of(environment(program.variables)).map_err(Failure::Run)?;
    let (told, teller) = std::io::pipe().map_err(Failure::Fork)?;
    // Above all places that are to be filled, so that filling one takes no other away.
    let lowest = program.descriptors.iter().map(|(place, _)| place + 1).fold(3, RawFd::max);
    let failure = moved(teller.as_fd(), lowest).map_err(Failure::Fork)?;
    drop(teller);
    let descriptors: Result<Vec<_>> =
        program.descriptors.iter().map(|(place, fd)| Ok((*place, moved(*fd, lowest)?))).collect();
    let descriptors = descriptors.map_err(Failure::Fork)?;
    let ready = Ready {
        path: &path,
        arguments: &arguments,
        environment: &environment,
        directory: program.directory.map(|fd| fd.as_raw_fd()),
        descriptors: &descriptors,
        failure: &failure,
    };
    // Where SIGCHLD is ignored, nobody learns an exit code. SAFETY: SIG_DFL is a disposition. The child does only what is
    // allowed between fork and exec: see become_it.
    let forked = unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::fork()
    };
    match checked(forked).map_err(Failure::Fork)? {
        0 => become_it(&ready),
        child => {
            drop(failure);
            outcome(Child(child), told)
        }
    }
}

impl Child {
    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.unsigned_abs()
    }

    /// Whether [`Child::wait`] would not have to wait.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let mut found = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: found is a writable record for which zeroes are valid, and a child is what si_pid is there for. Without
        // one that has ended it stays 0.
        unsafe {
            checked(libc::waitid(libc::P_PID, self.id(), found.as_mut_ptr(), options)).is_err()
                || found.assume_init().si_pid() != 0
        }
    }

    /// Waits until it has ended. `None`: a signal ended it.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn wait(self) -> Result<Option<i32>> {
        let mut status = 0;
        loop {
            // SAFETY: status is a writable integer.
            match checked(unsafe { libc::waitpid(self.0, &raw mut status, 0) }) {
                Ok(_) => return Ok(libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes writing to `pipe` never wait. Whoever reads from it does not notice.
///
/// # Errors
/// If the kernel refuses.
pub fn never_wait(pipe: &PipeWriter) -> Result<()> {
    // SAFETY: both take and give integers.
    unsafe {
        let flags = checked(libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL))?;
        checked(libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)).map(|_| ())
    }
}

/// Waits until a write to `to` gets on, or reading `from` does. Says whether it is the latter.
///
/// # Errors
/// If the kernel refuses.
pub fn wait_for_either(to: &PipeWriter, from: Option<&PipeReader>) -> Result<bool> {
    let from = from.map_or(-1, AsRawFd::as_raw_fd); // the kernel looks past a negative one
    let look = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut both = [look(to.as_raw_fd(), libc::POLLOUT), look(from, libc::POLLIN)];
    // SAFETY: two writable records.
    match checked(unsafe { libc::poll(both.as_mut_ptr(), 2, -1) }) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(both.last().is_some_and(|from| from.revents != 0)),
    }
}

/// Waits until reading `from` gets on. False if it does not within `milliseconds`, or a signal came.
///
/// # Errors
/// If the kernel refuses.
pub fn wait_to_read(from: &PipeReader, milliseconds: u16) -> Result<bool> {
    let mut look = libc::pollfd { fd: from.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one writable record.
    match checked(unsafe { libc::poll(&raw mut look, 1, libc::c_int::from(milliseconds)) }) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(look.revents != 0),
    }
}

/// What is inherited, unless it is in `variables`, and those.
pub(super) fn environment(variables: &[(&'static str, Vec<u8>)]) -> impl Iterator<Item = Vec<u8>> {
    let join = |name: &[u8], value: &[u8]| [name, b"=", value].concat();
    let inherited = std::env::vars_os().map(|(name, value)| (name.into_vec(), OsString::into_vec(value)));
    inherited
        .filter(|(name, _)| variables.iter().all(|(ours, _)| ours.as_bytes() != name))
        .map(move |(name, value)| join(&name, &value))
        .chain(variables.iter().map(move |(name, value)| join(name.as_bytes(), value)))
}

/// The same open file at `lowest` or above, close-on-exec.
fn moved(fd: BorrowedFd<'_>, lowest: RawFd) -> Result<OwnedFd> {
    // SAFETY: fd is open, and the call takes an integer.
    let copy = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) })?;
    // SAFETY: it was just opened, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Which step of the child failed: the first byte of what it tells, before the error number.
const FORK: u8 = 0;
const DIRECTORY: u8 = 1;
const RUN: u8 = 2;

/// The child's whole life before it is the program.
fn become_it(ready: &Ready<'_>) -> ! {
    // SAFETY: only calls that are allowed after fork, and no memory taken or given back. Dispositions are SIG_DFL; the set
    // is initialized by sigemptyset; the lists end in null and point to strings that outlive the call.
    unsafe {
        for signal in [libc::SIGPIPE, libc::SIGALRM, libc::SIGXFSZ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        if let Some(directory) = ready.directory
            && libc::fchdir(directory) == -1
        {
            fail(ready, DIRECTORY);
        }
        for (place, fd) in ready.descriptors {
            if libc::dup2(fd.as_raw_fd(), *place) == -1 {
                fail(ready, FORK);
            }
        }
        libc::execve(ready.path.as_ptr(), ready.arguments.pointers(), ready.environment.pointers());
    }
    fail(ready, RUN)
}

/// Tells the parent, and ends.
fn fail(ready: &Ready<'_>, step: u8) -> ! {
    let [a, b, c, d] = Error::last_os_error().raw_os_error().unwrap_or(0).to_ne_bytes();
    let told = [step, a, b, c, d];
    // SAFETY: told has that many bytes.
    unsafe { libc::write(ready.failure.as_raw_fd(), told.as_ptr().cast(), told.len()) };
    super::exit_now(111)
}

/// Whether the child has become the program: exec closes its end of the pipe.
fn outcome(child: Child, mut told: PipeReader) -> std::result::Result<Child, Failure> {
    let mut what = Vec::new();
    let _ = told.read_to_end(&mut what); // what cannot be read, the exit code says
    let [step, a, b, c, d] = what[..] else { return Ok(child) };
    let _ = child.wait();
    let error = Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d]));
    Err(match step {
        DIRECTORY => Failure::Directory(error),
        RUN => Failure::Run(error),
        _ => Failure::Fork(error),
    })
}
