//! The safety net: one dot-qmail file of the alias user for each virtual host, which defers its mail while the stock
//! programs are in place. Our qmail-local never reads them.

use super::files::{cannot, is_over};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, fchown, fsync, getegid, geteuid, linkat, unlinkat};
use qmail_lookup_core::Host;
use qmail_lookup_core::virtuals::is_host_key;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What such a file holds.
pub(crate) const CONTENT: &str = "|echo qmail-lookup is not in place; exit 111\n";

/// The hosts that have a file in the alias user's `home`, whatever is in it; no host if there is no such folder.
///
/// # Errors
/// If the folder cannot be read.
pub(crate) fn hosts(home: &Path) -> Result<BTreeSet<Host>> {
    let mut hosts = BTreeSet::new();
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(hosts),
        entries => entries.map_err(cannot("read", home))?,
    };
    for entry in entries {
        hosts.extend(host(entry.map_err(cannot("read", home))?.file_name().as_bytes()));
    }
    Ok(hosts)
}

/// True if a file of the safety net is in the alias user's `home`.
///
/// # Errors
/// If one cannot be read. The error names it.
pub(crate) fn has_any(home: &Path) -> Result<bool> {
    let hosts = hosts(home)?;
    if hosts.is_empty() {
        return Ok(false);
    }
    let home = Home::open(home)?;
    for host in &hosts {
        if matches!(home.examine(&name(host))?, Found::Right | Found::Content) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives each of `hosts` its file, root's and 0644, whatever stands there, and writes the folder to disk. The files are
/// names of one and the same. The alias user can write in his home: nothing of it is followed, and nothing else there is
/// changed.
///
/// # Errors
/// If one cannot be made: there is no such folder; the host is longer than [`qmail_lookup_core::sync::HOST_MAX`]; a folder
/// with something in it stands there. The error names it, and says how many more there are: all others are made.
pub(crate) fn put(home: &Path, hosts: &BTreeSet<Host>) -> Result<()> {
    if hosts.is_empty() {
        return Ok(());
    }
    let home = Home::open(home)?;
    let (mut new, mut failed) = (None, Vec::new());
    for host in hosts {
        let name = name(host);
        let found = match home.examine(&name) {
            Ok(Found::Right) => continue,
            Ok(found) => found,
            Err(error) => {
                failed.push(error);
                continue;
            }
        };
        let new = match &mut new {
            Some(new) => new,
            new => new.insert(New::make(&home)?),
        };
        failed.extend(new.place(&name, found).err());
    }
    if let Some(new) = new {
        drop(new);
        home.sync()?;
    }
    let more = failed.len().saturating_sub(1);
    match failed.into_iter().next() {
        None => Ok(()),
        Some(only) if more == 0 => Err(only),
        Some(first) => Err(Error::new(first.kind(), format!("{first}; and {more} more"))),
    }
}

/// Takes the files of `hosts` away, as far as they hold [`CONTENT`].
///
/// # Errors
/// If one cannot be removed.
pub(crate) fn remove(home: &Path, hosts: &BTreeSet<Host>) -> Result<()> {
    let home = match Home::open(home) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        home => home?,
    };
    let mut gone = false;
    for host in hosts {
        let name = name(host);
        if matches!(home.examine(&name)?, Found::Right | Found::Content) {
            match unlinkat(&home.folder, name.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) => gone = true,
                Err(Errno::ENOENT) => (),
                Err(error) => return Err(home.cannot("remove", &name, error)),
            }
        }
    }
    if gone { home.sync() } else { Ok(()) }
}

/// What the stock qmail-local looks for: `-default` behind the extension, its dots as colons.
fn name(host: &Host) -> String {
    format!(".qmail-={}=-default", host.as_str().replace('.', ":"))
}

fn host(name: &[u8]) -> Option<Host> {
    let written = name.strip_prefix(b".qmail-=")?.strip_suffix(b"=-default")?;
    let key: Vec<u8> = written.iter().map(|&b| if b == b':' { b'.' } else { b }).collect();
    (!written.contains(&b'.') && is_host_key(&key)).then(|| Host::new(&key)).flatten()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The content, the owner and the mode.
    Right,
    /// Only the content.
    Content,
    Other,
    Nothing,
}

/// The alias user's home, held open: whatever he does with its name.
struct Home<'a> {
    path: &'a Path,
    folder: OwnedFd,
}

impl<'a> Home<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(|error| cannot("open", path)(error.into()))?;
        Ok(Self { path, folder })
    }

    fn cannot(&self, action: &str, name: &str, error: impl Into<Error>) -> Error {
        cannot(action, &self.path.join(name))(error.into())
    }

    fn examine(&self, name: &str) -> Result<Found> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            // A symbolic link; a socket; a file that its owner has leased.
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EAGAIN) => return Ok(Found::Other),
            Err(error) => return Err(self.cannot("open", name, error)),
        };
        let is = file.metadata().map_err(|error| self.cannot("examine", name, error))?;
        let mut content = Vec::with_capacity(CONTENT.len() + 1);
        if is.is_file() {
            let beginning = u64::try_from(CONTENT.len() + 1).unwrap_or(u64::MAX);
            file.take(beginning).read_to_end(&mut content).map_err(|error| self.cannot("read", name, error))?;
        }
        let right = (is.uid(), is.mode() & 0o7777) == (geteuid().as_raw(), 0o644);
        Ok(match (content == CONTENT.as_bytes(), right) {
            (true, true) => Found::Right,
            (true, false) => Found::Content,
            (false, _) => Found::Other,
        })
    }

    fn sync(&self) -> Result<()> {
        fsync(&self.folder).map_err(|error| cannot("write to disk", self.path)(error.into()))
    }
}

/// A file with [`CONTENT`], on disk, that gets the names. It has names of its own meanwhile, which are no dot-qmail files.
struct New<'a> {
    home: &'a Home<'a>,
    /// Its first name.
    first: String,
    /// Its name on the way over something else.
    second: String,
}

impl<'a> New<'a> {
    const ENDS: [&'static str; 2] = [".net-1.qmail-lookup", ".net-2.qmail-lookup"];

    fn make(home: &'a Home<'a>) -> Result<Self> {
        // What killed runs left.
        for entry in fs::read_dir(home.path).map_err(cannot("read", home.path))? {
            let entry = entry.map_err(cannot("read", home.path))?.file_name();
            let pid =
                Self::ENDS.iter().find_map(|end| entry.as_bytes().strip_suffix(end.as_bytes())?.strip_prefix(b"."));
            if pid.is_some_and(is_over) {
                home.unlink(&entry);
            }
        }
        let [first, second] = Self::ENDS.map(|end| format!(".{}{end}", std::process::id()));
        let new = Self { home, first, second };
        new.write()?;
        Ok(new)
    }

    fn write(&self) -> Result<()> {
        let Self { home, first, .. } = self;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let failed = |error: Error| home.cannot("write", first, error);
        let file = openat(&home.folder, first.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = file.map(File::from).map_err(|error| failed(error.into()))?;
        fchown(&file, Some(geteuid()), Some(getegid()))
            .and_then(|()| fchmod(&file, Mode::from_bits_truncate(0o644)))
            .map_err(|error| failed(error.into()))?;
        file.write_all(CONTENT.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    fn place(&self, name: &str, found: Found) -> Result<()> {
        let Self { home, second, .. } = self;
        if found == Found::Nothing {
            return self.link(name);
        }
        self.link(second)?;
        let rename = || renameat(&home.folder, second.as_str(), &home.folder, name);
        match rename() {
            Err(Errno::EISDIR) => unlinkat(&home.folder, name, UnlinkatFlags::RemoveDir).and_then(|()| rename()),
            renamed => renamed,
        }
        .map_err(|error| home.cannot("replace", name, error))
    }

    fn link(&self, name: &str) -> Result<()> {
        let Self { home, first, .. } = self;
        let link = || linkat(&home.folder, first.as_str(), &home.folder, name, AtFlags::empty());
        match link() {
            Err(Errno::EMLINK) => {
                home.unlink(OsStr::new(first));
                self.write()?;
                link()
            }
            linked => linked,
        }
        .map_err(|error| home.cannot("make", name, error))
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        self.home.unlink(OsStr::new(&self.first));
        self.home.unlink(OsStr::new(&self.second));
    }
}

impl Home<'_> {
    /// Removes a name of ours, if it can be: whoever makes a file of that name finds out.
    fn unlink(&self, name: &OsStr) {
        let _ = unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir);
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
