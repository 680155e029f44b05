//! Running a program of ours in a way that does nothing: to see that it runs.

use super::files::cannot;
use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs it without arguments, environment and descriptors: checkpassword reads 3, whoever left that open. Any status but
/// `expected` is trouble.
///
/// # Errors
/// If it cannot be run, or ends otherwise. The error names it.
pub(crate) fn run_idle(program: &Path, expected: i32) -> Result<()> {
    let shown = program.display();
    let child = spawn(program).map_err(|error| cannot("run", program)(error.into()))?;
    match ended(child).map_err(|error| cannot("run", program)(error.into()))? {
        Some(WaitStatus::Exited(_, code)) if code == expected => Ok(()),
        Some(WaitStatus::Exited(_, code)) => {
            Err(Error::other(format!("{shown} does not work here: without arguments it ended with {code}")))
        }
        Some(WaitStatus::Signaled(_, signal, _)) => {
            Err(Error::other(format!("{shown} does not work here: without arguments it was ended by {signal}")))
        }
        _ => Err(Error::other(format!("{shown} does not work here: without arguments it does not end"))),
    }
}

fn spawn(program: &Path) -> nix::Result<Pid> {
    let mut descriptors = PosixSpawnFileActions::init()?;
    let null = File::options().read(true).write(true).open("/dev/null").map_err(|error| errno(&error))?;
    for descriptor in 0..=2 {
        descriptors.add_dup2(null.as_raw_fd(), descriptor)?;
    }
    let open = std::fs::read_dir("/proc/self/fd").map_err(|error| errno(&error))?;
    for entry in open {
        let number = entry.map_err(|error| errno(&error))?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            descriptors.add_close(number)?;
        }
    }
    let name = CString::new(program.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    posix_spawn(program, &descriptors, &PosixSpawnAttr::init()?, &[name], &[] as &[&CStr])
}

fn errno(error: &Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// How it ended; `None` if it did not, and was killed.
fn ended(child: Pid) -> nix::Result<Option<WaitStatus>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            Ok(WaitStatus::StillAlive) => {
                kill(child, Signal::SIGKILL)?;
                waitpid(child, None)?;
                return Ok(None);
            }
            Err(Errno::EINTR) => (),
            status => return status.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    fn script(folder: &Path, body: &str) -> std::path::PathBuf {
        let path = folder.join("program");
        let mut make = std::process::Command::new("/bin/sh");
        make.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\"; chmod 755 \"$1\"", "sh"]).arg(&path).arg(body);
        assert!(make.status().unwrap().success());
        path
    }

    #[test]
    fn it_is_run_with_nothing_open_and_has_to_end_as_expected() {
        let folder = tempfile::tempdir().unwrap();
        // What would be inherited, whatever the number: it is not closed on exec.
        let kept = OwnedFd::from(File::open("/dev/zero").unwrap());
        nix::fcntl::fcntl(&kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let body =
            format!("test -e /proc/self/fd/{} && exit 1; test \"$#$HOME\" = 0 || exit 2; exit 7", kept.as_raw_fd());
        let program = script(folder.path(), &body);
        run_idle(&program, 7).unwrap();
        let error = run_idle(&program, 0).unwrap_err().to_string();
        assert_eq!(error, format!("{} does not work here: without arguments it ended with 7", program.display()));
        assert!(run_idle(&script(folder.path(), "kill -9 $$"), 0).unwrap_err().to_string().contains("SIGKILL"));
        let missing = folder.path().join("missing");
        let error = run_idle(&missing, 0).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot run {}: ", missing.display())), "{error}");
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let error = run_idle(&script(folder.path(), "exec sleep 1000"), 0).unwrap_err().to_string();
        assert!(error.ends_with("does not end"), "{error}");
    }
}
