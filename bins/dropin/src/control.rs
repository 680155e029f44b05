//! Where the daemon listens: qmail's control files `lookupsocket` and `authsocket`.

use crate::ask::NoAnswer;
use crate::{believe, sys};
use qmail_lookup_core::control::first_line;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// qmail's home, unless the environment names another: conf-qmail of the FAQ.
const HOME: &str = match option_env!("QMAIL_LOOKUP_QMAILHOME") {
    Some(home) => home,
    None => "/var/qmail",
};

/// Most that is read of a control file. Unit: bytes. Source: ours; a socket's path has at most 107.
const FILE_MAX: u64 = 4096;

/// One of the daemon's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// For every question that names no password.
    Lookup,
    /// For logins.
    Auth,
}

impl Socket {
    /// Control file, and path without that file.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Lookup => ("control/lookupsocket", "/run/qmail-lookup/lookup.sock"),
            Self::Auth => ("control/authsocket", "/run/qmail-lookup/auth.sock"),
        }
    }

    /// The socket's path, for a program whose working directory is qmail's home.
    ///
    /// # Errors
    /// If the control file is there and does not give one, or if this is root and others can write it.
    pub fn below_working_directory(self) -> Result<PathBuf, NoAnswer> {
        self.path(Path::new(""))
    }

    /// The socket's path, for a program that is run anywhere: `$QMAILHOME`, else the home given at build time.
    ///
    /// # Errors
    /// As above.
    pub fn below_home(self) -> Result<PathBuf, NoAnswer> {
        let home = std::env::var_os("QMAILHOME").filter(|home| !home.is_empty());
        let home = home.map_or_else(|| PathBuf::from(HOME), PathBuf::from);
        if !home.is_absolute() {
            return Err("qmail's home is not an absolute path".into());
        }
        self.path(&home)
    }

    fn path(self, home: &Path) -> Result<PathBuf, NoAnswer> {
        let (name, default) = self.names();
        let path = home.join(name);
        let unreadable = |_| NoAnswer::from("the control file that names the daemon's socket cannot be read");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(default.into()),
            Err(error) => return Err(unreadable(error)),
        };
        if sys::euid() == 0 && !believe::is_roots(&file, &path).map_err(unreadable)? {
            return Err("others than root can write the control file that names the daemon's socket".into());
        }
        let mut content = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut content).map_err(unreadable)?;
        match first_line(&content).map(|line| Path::new(OsStr::from_bytes(line))) {
            Some(named) if named.is_absolute() => Ok(named.into()),
            _ => Err("the control file for the daemon's socket does not hold an absolute path".into()),
        }
    }
}
