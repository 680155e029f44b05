//! The command that mends owner, mode or absence of a path that a row names. Root runs it, and the row's owner may have
//! chosen what stands there: where a command could reach anything else, it is words.

use nix::unistd::Uid;
use qmail_lookup_core::directories::{Entry, Step, Way};
use qmail_lookup_core::error::printable;
use qmail_lookup_core::lint::Repair;
use qmail_lookup_core::settings::RuleSettings;
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// The kind of a file, among its mode bits; that of a directory.
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

/// What to run, or to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    Command(String),
    Words(String),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Command(text) | Self::Words(text)) = self;
        f.write_str(text)
    }
}

impl From<Mend> for Repair {
    fn from(mend: Mend) -> Self {
        match mend {
            Mend::Command(text) => Self::Command(text),
            Mend::Words(text) => Self::Words(text),
        }
    }
}

/// Uid and gid of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// What begins a command that runs as he, without further groups: nothing that he has put in its way leads root
    /// elsewhere.
    pub(crate) fn runs(self) -> String {
        format!("setpriv --reuid={} --regid={} --clear-groups", self.uid, self.gid)
    }
}

/// A path that a row names, and everything on the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
    pub(crate) way: Way,
}

impl Place {
    /// Follows the absolute `path`; waits as long as the file system does.
    ///
    /// # Errors
    /// If it leads nowhere, or cannot be followed.
    pub(crate) fn look(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), way: Way::follow(path, entry)? })
    }

    /// Gives the place itself to `owner`.
    pub(crate) fn give(&self, owner: Owner, rules: &RuleSettings) -> Mend {
        let (Owner { uid, gid }, end) = (owner, &self.way.end);
        let wanted = format!("correct column home, or give the mailbox's own home to {uid}:{gid}");
        let shown = printable(self.path.as_os_str().as_bytes());
        if let Some(link) = self.link() {
            return Mend::Words(format!("{link}: {wanted}"));
        }
        if end.mode & KIND != DIRECTORY {
            return Mend::Words(format!("{shown} is no directory: {wanted}"));
        }
        if is_of_the_system(end.uid, rules) {
            return Mend::Words(format!("{shown} belongs to uid {}, which has no mailbox: {wanted}", end.uid));
        }
        if !self.way.steps.iter().all(is_roots) || self.way.steps.is_empty() {
            return Mend::Words(format!(
                "others than root can put something else at {shown}: look at it, and {wanted}"
            ));
        }
        self.command(&format!("chown -h {uid}:{gid}"), &self.path)
    }

    /// Changes the mode of `directory`, the place itself or a directory on the way to it (as [`Step::path`] has it).
    /// `change` is what chmod takes, `o-w` for instance; `owner` is the row's.
    pub(crate) fn change_mode(&self, directory: &Path, change: &str, owner: Owner) -> Mend {
        let shown = printable(directory.as_os_str().as_bytes());
        let before = |step: &&Step| step.path != directory;
        let steps: Vec<&Step> = self.way.steps.iter().take_while(before).collect();
        // A way that ends at the directory passes through all of its steps, and a link among them leads elsewhere.
        if let Some(link) = self.link_among(steps.len()) {
            return Mend::Words(format!("{link}: look whether that is meant, and then at the mode of {shown}"));
        }
        let holder = self.way.steps.iter().find(|step| step.path == directory).map(|step| &step.holder);
        let found = holder.unwrap_or(&self.way.end);
        if steps.iter().all(|step| is_roots(step)) {
            self.command(&format!("chmod {change}"), directory)
        } else if (found.uid, found.gid) == (owner.uid, owner.gid) {
            self.command(&format!("{} chmod {change}", owner.runs()), directory)
        } else {
            let whose = format!("{shown} belongs to {}:{}", found.uid, found.gid);
            Mend::Words(format!(
                "{whose}, and others than root can put something else there: look at it (chmod {change})"
            ))
        }
    }

    fn command(&self, command: &str, path: &Path) -> Mend {
        command_for(command, path.as_os_str().as_bytes())
    }

    /// `PATH is a link to X`, of the first link on the way.
    pub(crate) fn link(&self) -> Option<String> {
        self.link_among(self.way.steps.len())
    }

    fn link_among(&self, steps: usize) -> Option<String> {
        let (at, target) =
            self.way.steps.iter().take(steps).enumerate().find_map(|(at, s)| Some((at, s.held.link.as_ref()?)))?;
        // Up to the first link, each step is a name of the path itself, unless it goes back up.
        let names = self.path.components().filter(|part| !matches!(part, Component::ParentDir | Component::CurDir));
        let link: PathBuf = names.take(at.saturating_add(2)).collect();
        let text = |path: &Path| printable(path.as_os_str().as_bytes());
        Some(format!("{} is a link to {}", text(&link), text(target)))
    }
}

/// Makes the home `path`, which is not there, for `owner`. Waits as long as the file system does.
pub(crate) fn make_home(path: &Path, owner: Owner) -> Mend {
    let shown = printable(path.as_os_str().as_bytes());
    if let Ok(target) = std::fs::read_link(path) {
        let target = printable(target.as_os_str().as_bytes());
        return Mend::Words(format!(
            "{shown} is a link to {target}, which is not there: make that, or correct the link"
        ));
    }
    let Some(parent) = path.parent() else { return Mend::Words("correct column home".to_owned()) };
    let parent_shown = printable(parent.as_os_str().as_bytes());
    let Ok(place) = Place::look(parent) else {
        return Mend::Words(format!("{parent_shown} is not there either: is its file system mounted?"));
    };
    let end = &place.way.end;
    if end.mode & KIND != DIRECTORY {
        return Mend::Words(format!("{parent_shown} is no directory: correct column home"));
    }
    let is_roots_own = end.uid == 0 && !end.others_write();
    if !is_roots_own || !place.way.steps.iter().all(is_roots) {
        return Mend::Words(format!("others than root write on the way to {shown}: look at it, and make it by hand"));
    }
    command_for(&format!("install -d -m 0700 -o {} -g {}", owner.uid, owner.gid), path.as_os_str().as_bytes())
}

/// `command PATH`; words if the path cannot be written into a command.
pub(crate) fn command_for(command: &str, path: &[u8]) -> Mend {
    match quoted(path) {
        Some(path) => Mend::Command(format!("{command} {path}")),
        None => Mend::Words(format!("{command}, for {}", printable(path))),
    }
}

/// A word of a command for /bin/sh; `None` if it is not printable ASCII: other characters may show as what they are not.
pub(crate) fn quoted(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| matches!(b, b' '..=b'~')))?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-=+:,@%".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) && !text.starts_with(['-', '=']) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Whether a uid is one that no mailbox has: what belongs to it is not given away.
fn is_of_the_system(uid: u32, rules: &RuleSettings) -> bool {
    Uid::from_raw(uid).is_root() || uid < rules.min_uid || rules.deny_uids.contains(&uid)
}

/// Whether only root decides what stands in the directory of this step.
fn is_roots(step: &Step) -> bool {
    step.holder.uid == 0 && !step.holder.others_write()
}

/// One name, not followed.
fn entry(path: &Path) -> Result<Entry> {
    let found = std::fs::symlink_metadata(path)?;
    if found.file_type().is_socket() || found.file_type().is_fifo() {
        return Err(Error::from(ErrorKind::NotADirectory));
    }
    let link = if found.is_symlink() { Some(std::fs::read_link(path)?) } else { None };
    Ok(Entry { uid: found.uid(), gid: found.gid(), mode: found.mode(), link })
}

#[cfg(test)]
#[path = "path_repair_tests.rs"]
mod tests;
