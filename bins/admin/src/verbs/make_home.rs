//! `make-home`: what [`crate::editing::home`] runs as a child. It makes a home and a Maildir as the user whose they are;
//! with `--as-root`, only the home itself, and only where nobody but root can interfere.
//!
//! Every directory on the way is opened from the one before, and none through a symbolic link. What it says is one JSON
//! value for its parent; nothing that it made is removed again.

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat, umask};
use nix::unistd::{Gid, Uid, fchown, geteuid, setgid, setgroups, setuid};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// What a Maildir consists of.
const MAILDIR: [&str; 4] = ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"];

/// Nobody but the owner.
const MODE: Mode = Mode::S_IRWXU;

/// Why not all of it is there.
enum Stop {
    /// The user may not make the home where it belongs.
    Parent,
    /// Whatever is there is not what it should be.
    Refused(String),
    /// The system said so.
    Trouble(String),
}

pub(crate) fn run(options: &cli::MakeHome, output: &mut Output) -> Result<Exit, Failure> {
    let mut made = Vec::new();
    let (word, why, exit) = match work(options, &mut made) {
        Ok(()) => ("made", Value::Null, Exit::Yes),
        Err(Stop::Parent) => ("parent", Value::Null, Exit::No),
        Err(Stop::Refused(why)) => ("refused", why.into(), Exit::No),
        Err(Stop::Trouble(why)) => ("trouble", why.into(), Exit::Temporary),
    };
    let made: Vec<_> = made.iter().map(|path: &PathBuf| path.to_string_lossy()).collect();
    output.line(json!({ "result": word, "why": why, "made": made }).to_string());
    Ok(exit)
}

fn work(options: &cli::MakeHome, made: &mut Vec<PathBuf>) -> Result<(), Stop> {
    umask(Mode::empty());
    let (uid, gid) = (Uid::from_raw(options.uid), Gid::from_raw(options.gid));
    if options.as_root {
        return as_root(&options.home, uid, gid, made);
    }
    become_user(uid, gid).map_err(|error| {
        Stop::Trouble(format!("cannot become uid {uid}, gid {gid}: {error} (only root can make other users' homes)"))
    })?;
    let (parent, name, path) = parent_of(&options.home, false)?;
    let home = match enter(&parent, &name, &path) {
        Err(Missing::Is(stop)) => return Err(stop),
        Ok(home) => home,
        Err(Missing::Nothing) => {
            match mkdirat(&parent, name.as_os_str(), MODE) {
                Ok(()) => made.push(path.clone()),
                Err(Errno::EACCES | Errno::EPERM) => return Err(Stop::Parent),
                // Somebody was faster; who it belongs to is looked at below.
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(Stop::Trouble(format!("{}: cannot be made: {error}", path.display()))),
            }
            enter(&parent, &name, &path).map_err(|missing| missing.again(&path))?
        }
    };
    judge(&home, &path, uid, gid)?;
    let mut open = vec![(PathBuf::new(), home)];
    for place in MAILDIR.map(Path::new) {
        let above = place.parent().unwrap_or(Path::new(""));
        let (Some((_, above)), Some(name)) = (open.iter().find(|(known, _)| known == above), place.file_name()) else {
            continue;
        };
        let path = path.join(place);
        let fd = match enter(above, name, &path) {
            Err(Missing::Is(stop)) => return Err(stop),
            Ok(fd) => fd,
            Err(Missing::Nothing) => {
                match mkdirat(above, name, MODE) {
                    Ok(()) => made.push(path.clone()),
                    Err(Errno::EEXIST) => {}
                    Err(Errno::EACCES | Errno::EPERM) => {
                        let what = "cannot be made: its owner may not write to the directory above it";
                        return Err(Stop::Refused(format!("{}: {what} (chmod u+rwx)", path.display())));
                    }
                    Err(error) => return Err(Stop::Trouble(format!("{}: cannot be made: {error}", path.display()))),
                }
                enter(above, name, &path).map_err(|missing| missing.again(&path))?
            }
        };
        judge(&fd, &path, uid, gid)?;
        open.push((place.to_owned(), fd));
    }
    Ok(())
}

/// For good: the real, effective and saved ids, and no other groups.
fn become_user(uid: Uid, gid: Gid) -> Result<(), Errno> {
    if geteuid().is_root() {
        setgroups(&[])?;
        setgid(gid)?;
        setuid(uid)?;
    }
    let root_again = !uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
    if geteuid() != uid || nix::unistd::getegid() != gid || root_again { Err(Errno::EPERM) } else { Ok(()) }
}

/// Makes the home where only root may write: every directory from `/` on is root's own, so that nobody can put another
/// in the place of what is made here before it has its owner.
fn as_root(home: &Path, uid: Uid, gid: Gid, made: &mut Vec<PathBuf>) -> Result<(), Stop> {
    let (parent, name, path) = parent_of(home, true)?;
    let failed = |error: Errno| Stop::Trouble(format!("{}: cannot be made: {error}", path.display()));
    mkdirat(&parent, name.as_os_str(), MODE).map_err(failed)?;
    made.push(path.clone());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let home = openat(&parent, name.as_os_str(), flags, Mode::empty()).map_err(failed)?;
    if fstat(&home).map_err(failed)?.st_uid != geteuid().as_raw() {
        return Err(Stop::Refused(format!("{}: somebody else put another directory there", path.display())));
    }
    fchown(&home, Some(uid), Some(gid)).map_err(|error| {
        Stop::Trouble(format!("{}: made, but it cannot be given to uid {uid}, gid {gid}: {error}", path.display()))
    })
}

/// Why a directory was not entered.
enum Missing {
    Nothing,
    Is(Stop),
}

impl Missing {
    /// Of a directory that was there a moment ago.
    fn again(self, path: &Path) -> Stop {
        match self {
            Self::Nothing => Stop::Refused(format!("{}: somebody takes it away", path.display())),
            Self::Is(stop) => stop,
        }
    }
}

/// Opens one directory inside another, and nothing else.
fn enter(above: &OwnedFd, name: &OsStr, path: &Path) -> Result<OwnedFd, Missing> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let stop = |stop| Err(Missing::Is(stop));
    match openat(above, name, flags, Mode::empty()) {
        Ok(fd) => Ok(fd),
        Err(Errno::ENOENT) => Err(Missing::Nothing),
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            let link =
                fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| kind(&stat) == SFlag::S_IFLNK);
            stop(Stop::Refused(if link {
                format!("{}: a symbolic link, and none is followed; write the path that it leads to", path.display())
            } else {
                format!("{}: not a directory", path.display())
            }))
        }
        Err(Errno::EACCES) => stop(Stop::Refused(format!("{}: the mailbox's uid may not go in there", path.display()))),
        Err(error) => stop(Stop::Trouble(format!("{}: {error}", path.display()))),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// The directory that the home is in, the home's name there, and its path. With `trusted`, fails unless nobody but root
/// can change any directory on the way.
fn parent_of(home: &Path, trusted: bool) -> Result<(OwnedFd, OsString, PathBuf), Stop> {
    let mut names = Vec::new();
    for component in home.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::RootDir => {}
            _ => return Err(Stop::Refused(format!("{}: holds '..' or is not absolute", home.display()))),
        }
    }
    let (Some(last), true) = (names.pop(), home.is_absolute()) else {
        return Err(Stop::Refused(format!("{}: not an absolute path below /", home.display())));
    };
    let mut path = PathBuf::from("/");
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut fd = open("/", flags, Mode::empty()).map_err(|error| Stop::Trouble(format!("/: {error}")))?;
    if trusted {
        is_roots_alone(&fd, &path)?;
    }
    for name in names {
        path.push(name);
        fd = enter(&fd, name, &path).map_err(|missing| match missing {
            Missing::Nothing => {
                Stop::Refused(format!("{}: missing; make it first (install -d -m 755), then try again", path.display()))
            }
            Missing::Is(stop) => stop,
        })?;
        if trusted {
            is_roots_alone(&fd, &path)?;
        }
    }
    path.push(last);
    Ok((fd, last.to_owned(), path))
}

fn is_roots_alone(fd: &OwnedFd, path: &Path) -> Result<(), Stop> {
    let stat = fstat(fd).map_err(|error| Stop::Trouble(format!("{}: {error}", path.display())))?;
    if stat.st_uid == 0 && stat.st_mode & 0o022 == 0 {
        return Ok(());
    }
    Err(Stop::Refused(format!(
        "{}: neither the mailbox's uid may make the home below it, nor is it root's alone (owner root, no write permission \
         for group and others)",
        path.display()
    )))
}

/// A directory that is there already, or was just made.
fn judge(fd: &OwnedFd, path: &Path, uid: Uid, gid: Gid) -> Result<(), Stop> {
    let stat = fstat(fd).map_err(|error| Stop::Trouble(format!("{}: {error}", path.display())))?;
    if (stat.st_uid, stat.st_gid) != (uid.as_raw(), gid.as_raw()) {
        return Err(Stop::Refused(format!(
            "{}: belongs to uid {}, gid {} instead of uid {uid}, gid {gid}",
            path.display(),
            stat.st_uid,
            stat.st_gid
        )));
    }
    if stat.st_mode & 0o002 != 0 {
        return Err(Stop::Refused(format!(
            "{}: everybody may write there, so that qmail-local defers",
            path.display()
        )));
    }
    Ok(())
}
