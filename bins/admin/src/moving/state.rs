//! That a migration was begun into an empty target, so that the rows which the next run finds there are known to be
//! its own. The file names both sides, the stores that they were, and the time; no row is in it.

use super::target::file_of;
use crate::output::Failure;
use crate::session::Session;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use qmail_lookup_config::Role;
use serde_json::{Value, json};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// From where to where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    pub(crate) from: String,
    pub(crate) to: String,
    /// What the sides are now: a configuration may name another store tomorrow, and a file be another file.
    pub(crate) stores: Vec<String>,
}

impl Migration {
    /// Of two sides with their names.
    pub(crate) fn of(from: (&str, &Session), to: (&str, &Session)) -> Self {
        let stores = [stores(from.1), stores(to.1)].concat();
        Self { from: identity(from.0), to: identity(to.0), stores }
    }
}

/// Each role's store: its kind, place, database or base, and which file it is, if it is there.
fn stores(session: &Session) -> Vec<String> {
    let one = |role: Role| {
        let stores = &session.stores;
        let store = match role {
            Role::Mailbox => &stores.mailbox,
            Role::Alias => &stores.alias,
            Role::Virtual => &stores.virtuals,
        };
        let file = file_of(&**store).and_then(|path| std::fs::metadata(path).ok());
        let file = file.map_or_else(String::new, |file| format!("{}:{}", file.dev(), file.ino()));
        let words = [role.as_str(), store.kind(), &store.place(), &session.config.store.role(role).part(), &file];
        words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
    };
    Role::ALL.into_iter().map(one).collect()
}

/// Locked as long as it lives, so that two runs of one migration do not meet.
pub(crate) struct State {
    file: Flock<File>,
    path: PathBuf,
    begun: bool,
    /// It was begun into other stores than those of today.
    stale: bool,
    /// This run made the file.
    made: bool,
    /// The file is this program's.
    ours: bool,
}

/// Where it is if no other place is given.
///
/// # Errors
/// If there is no home.
pub(crate) fn default_path(migration: &Migration) -> Result<PathBuf, Failure> {
    let Migration { from, to, .. } = migration;
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let folder = folder.ok_or_else(|| Failure::usage("neither XDG_STATE_HOME nor HOME is set: give --state FILE"))?;
    // Only a name: what it is about stands in the file. FNV-1a, which is the same in every version.
    let bytes = from.bytes().chain([0]).chain(to.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    Ok(folder.join("qmail-lookup").join(format!("migrate-{hash:016x}.json")))
}

/// What a side is called in the file: a relative path means nothing elsewhere.
fn identity(name: &str) -> String {
    if name.starts_with('/') || name.contains(":/") {
        return name.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    format!("{name} in {}", here.display())
}

impl State {
    /// Opens the file at `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// If it is of another migration, is used by another run, is no regular file, or cannot be made.
    pub(crate) fn open(path: PathBuf, migration: &Migration) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::usage(format!("{}: {error} (--state FILE)", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        }
        let (mut file, made) = loop {
            let (file, made) = match options().create_new(true).open(&path) {
                Ok(file) => (file, true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => match options().open(&path) {
                    Ok(file) => (file, false),
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(cannot(error)),
                },
                Err(error) => return Err(cannot(error)),
            };
            if !file.metadata().map_err(cannot)?.is_file() {
                return Err(Failure::usage(format!("{} is no regular file (--state FILE)", path.display())));
            }
            let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
                Errno::EWOULDBLOCK => {
                    Failure::refused(format!("this migration is running already ({} is locked)", path.display()))
                }
                error => cannot(error.into()),
            })?;
            // The run that ended just now took it away.
            if locked.metadata().map_err(cannot)?.nlink() > 0 {
                break (locked, made);
            }
        };
        let text = read(&mut file);
        let is_empty = text.as_ref().is_ok_and(String::is_empty);
        let found = text.map_or(Found::Other, |text| found(&text, migration));
        if !is_empty && found == Found::Other {
            return Err(Failure::usage(format!(
                "{} is not about this migration, or is damaged: give another --state FILE, or remove it",
                path.display()
            )));
        }
        let (begun, stale) = (found == Found::Begun, found == Found::Stale);
        Ok(Self { file, path, begun, stale, made, ours: made || !is_empty })
    }

    /// True if an earlier run has begun to write.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// True if one has begun to write into other stores.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Notes that writing begins.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn note(&mut self, migration: &Migration) -> Result<(), Failure> {
        let begun = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let Migration { from, to, stores } = migration;
        let text = json!({ "from": from, "to": to, "stores": stores, "begun": begun }).to_string();
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        self.begun = true;
        write(&mut self.file).map_err(|error| Failure::temporary(format!("{}: {error}", self.path.display())))
    }

    /// The migration is complete: the next one of the same sides begins anew.
    pub(crate) fn forget(mut self) {
        // It stays if that fails, and the next run finds nothing left to do.
        let _ = if self.ours { std::fs::remove_file(&self.path) } else { self.file.set_len(0) };
        self.made = false;
    }
}

impl Drop for State {
    /// Takes away what was made for nothing.
    fn drop(&mut self) {
        if self.made && !self.begun {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Waits for nobody at the other end of a pipe, and follows no link.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    options
}

/// Longer than any that is written. Unit: bytes.
const LONGEST: u64 = 1 << 20;

fn read(file: &mut File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// True if the file at `path` notes this migration. For who changes nothing.
pub(crate) fn was_begun(path: &Path, migration: &Migration) -> bool {
    let file = options().write(false).open(path);
    let text = file.and_then(|mut file| if file.metadata()?.is_file() { read(&mut file) } else { Ok(String::new()) });
    text.is_ok_and(|text| found(&text, migration) == Found::Begun)
}

/// What a file notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing about this migration.
    Other,
    /// One between sides of these names that were other stores.
    Stale,
    /// This one.
    Begun,
}

fn found(text: &str, migration: &Migration) -> Found {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let Migration { from, to, stores } = migration;
    if value.get("from") != Some(&from.as_str().into()) || value.get("to") != Some(&to.as_str().into()) {
        return Found::Other;
    }
    if value.get("stores") == Some(&json!(stores)) { Found::Begun } else { Found::Stale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::unix::fs::PermissionsExt;

    fn migration(from: &str, to: &str, stores: &[&str]) -> Migration {
        let stores = stores.iter().map(|store| (*store).to_owned()).collect();
        Migration { from: from.to_owned(), to: to.to_owned(), stores }
    }

    #[test]
    fn it_is_private_locked_and_remembers_what_was_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/a.json");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let one = migration("a", "b", &["x"]);
        let mut state = State::open(path.clone(), &one).unwrap();
        assert!(!state.begun() && !was_begun(&path, &one));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(State::open(path.clone(), &one).is_err());
        state.note(&one).unwrap();
        drop(state);
        assert!(State::open(path.clone(), &migration("a", "other", &["x"])).is_err());
        assert!(was_begun(&path, &one) && !was_begun(&path, &migration("b", "a", &["x"])));
        let state = State::open(path.clone(), &one).unwrap();
        assert!(state.begun() && !state.is_stale());
        state.forget();
        assert!(!path.exists());
        drop(State::open(path.clone(), &one).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn one_into_another_store_is_not_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let (one, other) = (migration("a", "b", &["x"]), migration("a", "b", &["y"]));
        State::open(path.clone(), &one).unwrap().note(&one).unwrap();
        assert!(!was_begun(&path, &other));
        let state = State::open(path.clone(), &other).unwrap();
        assert!(!state.begun() && state.is_stale());
        drop(state);
        // Somebody may go back to the first one.
        assert!(was_begun(&path, &one));
    }

    #[test]
    fn what_is_not_its_own_is_neither_removed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, pipe) = (folder.path().join("theirs"), folder.path().join("pipe"));
        let one = migration("a", "b", &["x"]);
        std::fs::write(&path, "").unwrap();
        drop(State::open(path.clone(), &one).unwrap());
        let mut state = State::open(path.clone(), &one).unwrap();
        state.note(&one).unwrap();
        state.forget();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        std::fs::write(&path, b"\xff").unwrap();
        assert!(State::open(path.clone(), &one).is_err() && path.exists());
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        assert!(State::open(pipe.clone(), &one).is_err() && pipe.exists());
        assert!(!was_begun(&pipe, &one));
    }
}
