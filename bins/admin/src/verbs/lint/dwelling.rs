//! One home on this machine: what a delivery would find wrong with it.

use super::machine::{is_absence, path};
use qmail_lookup_core::directories::{Entry, Step, Way};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Mode bits.
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Somebody without further groups: so deliveries run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Person {
    /// Whether the mode bits let him search a directory. Access control lists do not count.
    fn may_search(self, directory: &Entry) -> bool {
        let bit = if self.uid == directory.uid {
            0o100
        } else if self.gid == directory.gid {
            0o010
        } else {
            0o001
        };
        self.uid == 0 || directory.mode & bit != 0
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Missing,
    NoDirectory,
    /// It is this other person's.
    Owner(Person),
    /// On the way to it he cannot pass this directory.
    Closed {
        directory: PathBuf,
        who: Person,
    },
    OthersWrite,
    GroupWrites,
    Sticky,
    /// An instruction names this maildir, which is none.
    NoMaildir(Vec<u8>),
    /// It cannot be looked at, for this reason.
    Unseen(String),
    /// Its file system does not answer.
    Silent,
}

/// A home as a row has it.
pub(super) struct Dwelling {
    pub(super) path: PathBuf,
    pub(super) owner: Person,
    /// Who has to see it before a delivery, besides its owner.
    pub(super) looker: Option<Person>,
}

impl Dwelling {
    /// Looks, and may wait as long as the file system does.
    pub(super) fn flaws(&self, maildirs: &[Vec<u8>]) -> Vec<Flaw> {
        let way = match Way::follow(&self.path, entry) {
            Ok(way) => way,
            Err(error) if is_absence(error.kind()) => return vec![Flaw::Missing],
            Err(error) => return vec![Flaw::Unseen(error.to_string())],
        };
        let mut flaws: Vec<Flaw> = self.closed(&way).into_iter().collect();
        let end = &way.end;
        let found = Person { uid: end.uid, gid: end.gid };
        if found != self.owner {
            flaws.push(Flaw::Owner(found));
            return flaws;
        }
        match std::fs::metadata(&self.path) {
            Ok(home) if home.is_dir() => flaws.extend(stopped(&self.path, end, self.owner)),
            Ok(_) => {
                flaws.push(Flaw::NoDirectory);
                return flaws;
            }
            Err(error) => return vec![Flaw::Unseen(error.to_string())],
        }
        if end.mode & OTHERS_WRITE != 0 {
            flaws.push(Flaw::OthersWrite);
        } else if end.mode & GROUP_WRITES != 0 {
            flaws.push(Flaw::GroupWrites);
        }
        if end.mode & STICKY != 0 {
            flaws.push(Flaw::Sticky);
        }
        flaws.extend(maildirs.iter().filter_map(|maildir| self.no_maildir(maildir)));
        flaws
    }

    /// The first directory on the way that stops one of those who have to get there.
    fn closed(&self, way: &Way) -> Option<Flaw> {
        let people = [Some(self.owner), self.looker];
        let each = |step: &Step| people.iter().flatten().find_map(|who| stopped(&step.path, &step.holder, *who));
        way.steps.iter().find_map(each)
    }

    fn no_maildir(&self, maildir: &[u8]) -> Option<Flaw> {
        let place = self.path.join(path(maildir));
        let is_folder = |name: &str| match std::fs::metadata(place.join(name)) {
            Ok(found) => found.is_dir(),
            Err(error) => !is_absence(error.kind()),
        };
        let is_maildir = ["tmp", "new"].into_iter().all(is_folder);
        (!is_maildir).then(|| Flaw::NoMaildir(place.as_os_str().as_encoded_bytes().to_vec()))
    }
}

fn stopped(directory: &Path, entry: &Entry, who: Person) -> Option<Flaw> {
    (!who.may_search(entry)).then(|| Flaw::Closed { directory: directory.to_path_buf(), who })
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
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn dwelling(path: &Path) -> Dwelling {
        let home = std::fs::metadata(path).unwrap();
        let owner = Person { uid: home.uid(), gid: home.gid() };
        Dwelling { path: path.to_path_buf(), owner, looker: None }
    }

    #[test]
    fn a_home_is_judged_by_its_mode_and_its_maildirs() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("Maildir/new")).unwrap();
        let of = |mode: u32, maildirs: &[&[u8]]| {
            std::fs::set_permissions(&home, Permissions::from_mode(mode)).unwrap();
            dwelling(&home).flaws(&maildirs.iter().map(|m| m.to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(of(0o700, &[]), []);
        assert_eq!(of(0o770, &[]), [Flaw::GroupWrites]);
        assert_eq!(of(0o702, &[]), [Flaw::OthersWrite]);
        assert_eq!(of(0o1700, &[]), [Flaw::Sticky]);
        let missing = Flaw::NoMaildir(home.join("./Maildir/").into_os_string().into_encoded_bytes());
        assert_eq!(of(0o700, &[b"./Maildir/"]), [missing], "without tmp");
        std::fs::create_dir(home.join("Maildir/tmp")).unwrap();
        assert_eq!(of(0o700, &[b"./Maildir/"]), []);
        let absolute = home.join("Maildir/").into_os_string().into_encoded_bytes();
        assert_eq!(of(0o700, &[&absolute]), []);
    }

    #[test]
    fn whoever_has_to_get_there_is_stopped_by_each_directory_on_the_way() {
        let directory = |uid, gid, mode| Entry { uid, gid, mode, link: None };
        let iain = Person { uid: 800, gid: 100 };
        for (entry, may) in [
            (directory(0, 0, 0o755), true),
            (directory(0, 0, 0o750), false),
            (directory(0, 100, 0o710), true),
            (directory(0, 100, 0o701), false),
            (directory(800, 100, 0o100), true),
            (directory(800, 100, 0o011), false),
        ] {
            assert_eq!(iain.may_search(&entry), may, "{entry:?}");
        }
        let step = |path: &str, mode| Step {
            path: path.into(),
            holder: directory(0, 0, mode),
            held: directory(800, 100, 0o700),
        };
        let way =
            |middle| Way { steps: vec![step("/", 0o755), step("/home", middle)], end: directory(800, 100, 0o700) };
        let home = Dwelling { path: "/home/iain".into(), owner: iain, looker: None };
        assert_eq!(home.closed(&way(0o755)), None);
        let closed = Flaw::Closed { directory: "/home".into(), who: iain };
        assert_eq!(home.closed(&way(0o700)), Some(closed));
        let looker = Person { uid: 300, gid: 0 };
        let seen = Dwelling { looker: Some(looker), ..home };
        assert_eq!(seen.closed(&way(0o751)), None);
        assert_eq!(seen.closed(&way(0o705)), Some(Flaw::Closed { directory: "/home".into(), who: looker }));
    }
}
