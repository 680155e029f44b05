//! One home on this machine: what a delivery would find wrong with it.

use super::machine::{is_absence, path};
use crate::path_repair::{Mend, Owner, Place, command_for, make_home};
use qmail_lookup_core::directories::{Entry, Step, Way};
use qmail_lookup_core::settings::RuleSettings;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mode bits.
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Whether the mode bits let `who`, without further groups (so deliveries run), search a directory. Access control lists
/// do not count.
fn may_search(who: Owner, directory: &Entry) -> bool {
    let bit = if who.uid == directory.uid {
        0o100
    } else if who.gid == directory.gid {
        0o010
    } else {
        0o001
    };
    who.uid == 0 || directory.mode & bit != 0
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Missing,
    NoDirectory,
    /// It is this other person's.
    Owner(Owner),
    /// On the way to it he cannot pass this directory.
    Closed {
        directory: PathBuf,
        who: Owner,
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
    pub(super) owner: Owner,
    /// Who has to see it before a delivery, besides its owner.
    pub(super) looker: Option<Owner>,
    pub(super) rules: Arc<RuleSettings>,
}

impl Dwelling {
    /// What is wrong, and what mends it. Looks, and may wait as long as the file system does.
    pub(super) fn flaws(&self, maildirs: &[Vec<u8>]) -> Vec<(Flaw, Mend)> {
        let place = match Place::look(&self.path) {
            Ok(place) => place,
            Err(error) if is_absence(error.kind()) => {
                return vec![(Flaw::Missing, make_home(&self.path, self.owner))];
            }
            Err(error) => return vec![unseen(&error)],
        };
        let mode = |change: &str| place.change_mode(&self.path, change, self.owner);
        let mut flaws: Vec<(Flaw, Mend)> =
            self.closed(&place.way).map(|flaw| self.open(&place, flaw)).into_iter().collect();
        let end = &place.way.end;
        let found = Owner { uid: end.uid, gid: end.gid };
        if found != self.owner {
            flaws.push((Flaw::Owner(found), place.give(self.owner, &self.rules)));
            return flaws;
        }
        match std::fs::metadata(&self.path) {
            Ok(home) if home.is_dir() => {
                flaws.extend(stopped(&self.path, end, self.owner).map(|flaw| (flaw, mode("u+x"))));
            }
            Ok(_) => {
                flaws.push((Flaw::NoDirectory, Mend::Words("correct column home".to_owned())));
                return flaws;
            }
            Err(error) => return vec![unseen(&error)],
        }
        if end.mode & OTHERS_WRITE != 0 {
            flaws.push((Flaw::OthersWrite, mode("o-w")));
        } else if end.mode & GROUP_WRITES != 0 {
            flaws.push((Flaw::GroupWrites, mode("g-w")));
        }
        if end.mode & STICKY != 0 {
            flaws.push((Flaw::Sticky, mode("-t")));
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

    fn open(&self, place: &Place, flaw: Flaw) -> (Flaw, Mend) {
        let mend = match &flaw {
            Flaw::Closed { directory, .. } => place.change_mode(directory, "a+x", self.owner),
            _ => Mend::Words(String::new()),
        };
        (flaw, mend)
    }

    fn no_maildir(&self, maildir: &[u8]) -> Option<(Flaw, Mend)> {
        let place = self.path.join(path(maildir));
        let is_folder = |name: &str| match std::fs::metadata(place.join(name)) {
            Ok(found) => found.is_dir(),
            Err(error) => !is_absence(error.kind()),
        };
        let is_maildir = ["tmp", "new"].into_iter().all(is_folder);
        (!is_maildir).then(|| {
            let place = place.as_os_str().as_encoded_bytes();
            let mend = command_for(&format!("{} maildirmake", self.owner.runs()), place);
            (Flaw::NoMaildir(place.to_vec()), mend)
        })
    }
}

fn stopped(directory: &Path, entry: &Entry, who: Owner) -> Option<Flaw> {
    (!may_search(who, entry)).then(|| Flaw::Closed { directory: directory.to_path_buf(), who })
}

fn unseen(error: &std::io::Error) -> (Flaw, Mend) {
    (Flaw::Unseen(error.to_string()), Mend::Words("run this as root".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn dwelling(path: &Path) -> Dwelling {
        let home = std::fs::metadata(path).unwrap();
        let owner = Owner { uid: home.uid(), gid: home.gid() };
        Dwelling { path: path.to_path_buf(), owner, looker: None, rules: Arc::default() }
    }

    #[test]
    fn a_home_is_judged_by_its_mode_and_its_maildirs() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("Maildir/new")).unwrap();
        let of = |mode: u32, maildirs: &[&[u8]]| {
            std::fs::set_permissions(&home, Permissions::from_mode(mode)).unwrap();
            let found = dwelling(&home).flaws(&maildirs.iter().map(|m| m.to_vec()).collect::<Vec<_>>());
            found.into_iter().map(|(flaw, _)| flaw).collect::<Vec<_>>()
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
        let iain = Owner { uid: 800, gid: 100 };
        for (entry, may) in [
            (directory(0, 0, 0o755), true),
            (directory(0, 0, 0o750), false),
            (directory(0, 100, 0o710), true),
            (directory(0, 100, 0o701), false),
            (directory(800, 100, 0o100), true),
            (directory(800, 100, 0o011), false),
        ] {
            assert_eq!(may_search(iain, &entry), may, "{entry:?}");
        }
        let step = |path: &str, mode| Step {
            path: path.into(),
            holder: directory(0, 0, mode),
            held: directory(800, 100, 0o700),
        };
        let way =
            |middle| Way { steps: vec![step("/", 0o755), step("/home", middle)], end: directory(800, 100, 0o700) };
        let home = Dwelling { path: "/home/iain".into(), owner: iain, looker: None, rules: Arc::default() };
        assert_eq!(home.closed(&way(0o755)), None);
        let closed = Flaw::Closed { directory: "/home".into(), who: iain };
        assert_eq!(home.closed(&way(0o700)), Some(closed));
        let looker = Owner { uid: 300, gid: 0 };
        let seen = Dwelling { looker: Some(looker), ..home };
        assert_eq!(seen.closed(&way(0o751)), None);
        assert_eq!(seen.closed(&way(0o705)), Some(Flaw::Closed { directory: "/home".into(), who: looker }));
    }
}
