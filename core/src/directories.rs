//! Who could have put a directory where a path leads. Whoever calls does the looking.

use std::ffi::OsString;
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf};

/// Mode bits that let the group, or others, write.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Whoever may write may add, and take away only what is his.
const STICKY: u32 = 0o1000;

/// Most symlinks on a way. Source: `MAXSYMLINKS` of Linux.
const LINKS_MAX: usize = 40;

/// What stands at a name, not behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode bits, with or without the file's type.
    pub mode: u32,
    /// Where it leads, if it is a symlink.
    pub link: Option<PathBuf>,
}

impl Entry {
    /// Whether anybody but the owner and root's group may write there.
    #[must_use]
    pub fn others_write(&self) -> bool {
        let group = self.mode & GROUP_WRITES != 0 && self.gid != 0;
        group || self.mode & OTHERS_WRITE != 0
    }
}

/// One name on a way: a directory and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The directory's path, without symlinks.
    pub path: PathBuf,
    /// The directory.
    pub holder: Entry,
    /// A directory, a symlink, or what the path names.
    pub held: Entry,
}

/// Everything that decides where a path leads: each of its names, and each name of every symlink on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// In the order in which the kernel takes them.
    pub steps: Vec<Step>,
    /// What the path names; no symlink.
    pub end: Entry,
}

/// Why a directory proves nothing about who listens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Others than its owner may write in it.
    Writable,
    /// Others may write in this directory on the way to it, and could have put there what leads on.
    Shared(PathBuf),
    /// This directory on the way to it is this other user's.
    Foreign(PathBuf, u32),
}

impl Way {
    /// Follows the absolute `path` as the kernel does. `look` examines one name without following it, and is asked once
    /// for each.
    ///
    /// # Errors
    /// What `look` returns; a path that is not absolute; too many symlinks.
    pub fn follow(path: &Path, mut look: impl FnMut(&Path) -> Result<Entry>) -> Result<Self> {
        if !path.is_absolute() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut at = PathBuf::from("/");
        let root = look(&at)?;
        let (mut below, mut steps, mut links) = (Vec::new(), Vec::new(), 0);
        let mut ahead = names_reversed(path);
        while let Some(name) = ahead.pop() {
            if name == ".." {
                below.pop();
                at.pop();
                continue;
            }
            let holder = below.last().unwrap_or(&root).clone();
            let path = at.clone();
            at.push(name);
            let held = look(&at)?;
            steps.push(Step { path, holder, held: held.clone() });
            let Some(target) = &held.link else {
                below.push(held);
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(Error::other("too many symbolic links"));
            }
            at.pop();
            if target.is_absolute() {
                below.clear();
                at = PathBuf::from("/");
            }
            ahead.append(&mut names_reversed(target));
        }
        Ok(Self { steps, end: below.pop().unwrap_or(root) })
    }

    /// The owner of the directory at the end, if only he, root and the uid that is `asking` can put a socket there, or
    /// have another directory found at the path. Whoever is neither he nor root is not to be believed there.
    ///
    /// # Errors
    /// The first reason why that is not so.
    pub fn owner(&self, asking: u32) -> std::result::Result<u32, Flaw> {
        let owner = self.end.uid;
        if self.end.mode & (GROUP_WRITES | OTHERS_WRITE) != 0 {
            return Err(Flaw::Writable);
        }
        for Step { path, holder, held } in &self.steps {
            if ![0, asking, owner].contains(&holder.uid) {
                return Err(Flaw::Foreign(path.clone(), holder.uid));
            }
            // In a sticky directory anybody can be first, so what stands there has to be made by one who is trusted
            // anyway. Of a symlink the owner proves nothing: unlike a directory it can be moved there from a directory
            // of one's own, or linked, by somebody who is not its owner.
            let made = held.link.is_none() && [0, asking].contains(&held.uid);
            if holder.others_write() && !(holder.mode & STICKY != 0 && made) {
                return Err(Flaw::Shared(path.clone()));
            }
        }
        Ok(owner)
    }
}

fn names_reversed(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const DAEMON: u32 = 300;
    const EVE: u32 = 1000;
    const ASKING: u32 = 200;

    /// Directories `(path, uid, gid, mode)` and symlinks `(path, uid, target)`.
    fn verdict(path: &str, folders: &[(&str, u32, u32, u32)], links: &[(&str, u32, &str)]) -> Result<Answer> {
        let root = ("/", 0, 0, 0o755);
        let mut found: HashMap<PathBuf, Entry> = HashMap::new();
        for (path, uid, gid, mode) in std::iter::once(&root).chain(folders) {
            found.insert(path.into(), Entry { uid: *uid, gid: *gid, mode: *mode, link: None });
        }
        for (path, uid, to) in links {
            found.insert(path.into(), Entry { uid: *uid, gid: *uid, mode: 0o777, link: Some(to.into()) });
        }
        let look = |path: &Path| found.get(path).cloned().ok_or_else(|| ErrorKind::NotFound.into());
        Ok(Way::follow(Path::new(path), look)?.owner(ASKING))
    }

    type Answer = std::result::Result<u32, Flaw>;

    const RUN: (&str, u32, u32, u32) = ("/run", 0, 0, 0o755);
    const TMP: (&str, u32, u32, u32) = ("/tmp", 0, 0, 0o1777);

    fn shared(path: &str) -> Answer {
        Err(Flaw::Shared(path.into()))
    }

    #[test]
    fn a_directory_below_roots_is_its_owners() {
        assert_eq!(verdict("/run/ql", &[RUN, ("/run/ql", DAEMON, DAEMON, 0o755)], &[]).unwrap(), Ok(DAEMON));
        assert_eq!(verdict("/", &[], &[]).unwrap(), Ok(0));
        for loose in [0o775, 0o757, 0o1777] {
            let found = verdict("/run/ql", &[RUN, ("/run/ql", DAEMON, 0, loose)], &[]).unwrap();
            assert_eq!(found, Err(Flaw::Writable), "{loose:o}");
        }
    }

    #[test]
    fn what_is_first_in_a_sticky_directory_is_roots_or_ours() {
        for (uid, answer) in [(0, Ok(0)), (ASKING, Ok(ASKING)), (DAEMON, shared("/tmp")), (EVE, shared("/tmp"))] {
            assert_eq!(verdict("/tmp/x", &[TMP, ("/tmp/x", uid, uid, 0o755)], &[]).unwrap(), answer, "{uid}");
        }
        let below = [TMP, ("/tmp/x", 0, 0, 0o755), ("/tmp/x/y", DAEMON, DAEMON, 0o755)];
        assert_eq!(verdict("/tmp/x/y", &below, &[]).unwrap(), Ok(DAEMON));
    }

    #[test]
    fn without_the_sticky_bit_nothing_below_is_anybodys() {
        let roots = [("/open", 0, 0, 0o777), ("/open/x", 0, 0, 0o755)];
        assert_eq!(verdict("/open/x", &roots, &[]).unwrap(), shared("/open"));
        let group = |gid| [("/open", 0, gid, 0o775), ("/open/x", 0, 0, 0o755)];
        assert_eq!(verdict("/open/x", &group(50), &[]).unwrap(), shared("/open"));
        assert_eq!(verdict("/open/x", &group(0), &[]).unwrap(), Ok(0));
    }

    #[test]
    fn a_third_users_directory_above_is_a_flaw() {
        let above = |uid| [("/home", uid, uid, 0o755), ("/home/x", DAEMON, DAEMON, 0o755)];
        assert_eq!(verdict("/home/x", &above(EVE), &[]).unwrap(), Err(Flaw::Foreign("/home".into(), EVE)));
        for uid in [0, ASKING, DAEMON] {
            assert_eq!(verdict("/home/x", &above(uid), &[]).unwrap(), Ok(DAEMON), "{uid}");
        }
    }

    #[test]
    fn symlinks_count_where_they_stand() {
        let folders = [
            TMP,
            RUN,
            ("/home", 0, 0, 0o755),
            ("/home/eve", EVE, EVE, 0o755),
            ("/home/eve/d", EVE, EVE, 0o755),
            ("/run/ql", DAEMON, DAEMON, 0o755),
            ("/run/ql/s", DAEMON, DAEMON, 0o755),
        ];
        let asked = |path, links: &[(&str, u32, &str)]| verdict(path, &folders, links).unwrap();
        for uid in [EVE, 0, ASKING] {
            // Eve can move another's symlink there as well as make one.
            assert_eq!(asked("/tmp/ql", &[("/tmp/ql", uid, "/home/eve/d")]), shared("/tmp"), "{uid}");
            assert_eq!(asked("/tmp/ql/d", &[("/tmp/ql", uid, "../home/eve")]), shared("/tmp"), "{uid}");
            // One in the middle of a chain, and one that the path leaves again.
            let chain = [("/run/a", 0, "../tmp/b"), ("/tmp/b", uid, "/run/ql")];
            assert_eq!(asked("/run/a", &chain), shared("/tmp"), "{uid}");
            assert_eq!(asked("/tmp/b/../ql", &chain), shared("/tmp"), "{uid}");
            // Whoever owns a symlink where only root writes: root put it there.
            assert_eq!(asked("/var/ql", &[("/var", uid, "run")]), Ok(DAEMON), "{uid}");
        }
        let eves = asked("/home/eve/l", &[("/home/eve/l", EVE, "/run/ql")]);
        assert_eq!(eves, Err(Flaw::Foreign("/home/eve".into(), EVE)));
        assert_eq!(asked("/home/eve/l", &[("/home/eve/l", EVE, "./d/")]), Ok(EVE));
        assert_eq!(asked("/../run/./ql/s/..", &[]), Ok(DAEMON));
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        assert!(verdict("run", &[RUN], &[]).is_err());
        assert_eq!(verdict("/gone", &[], &[]).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(verdict("/l", &[], &[("/l", 0, "gone")]).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(verdict("/l", &[], &[("/l", 0, "l")]).is_err());
    }
}
