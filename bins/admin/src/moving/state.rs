//! That a migration was begun into an empty target, so that the rows which the next run finds there are known to be
//! its own. The file names both sides and the time; no row is in it.

use crate::output::Failure;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde_json::{Value, json};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Locked as long as it lives, so that two runs of one migration do not meet.
pub(crate) struct State {
    file: Flock<File>,
    path: PathBuf,
    from: String,
    to: String,
    begun: bool,
}

/// Where it is if no other place is given.
///
/// # Errors
/// If there is no home.
pub(crate) fn default_path(from: &str, to: &str) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let folder = folder.ok_or_else(|| Failure::usage("neither XDG_STATE_HOME nor HOME is set: give --state FILE"))?;
    // Only a name: what it is about stands in the file. FNV-1a, which is the same in every version.
    let bytes = from.bytes().chain([0]).chain(to.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    Ok(folder.join("qmail-lookup").join(format!("migrate-{hash:016x}.json")))
}

/// What a side is called in the file: a relative path means nothing elsewhere.
pub(crate) fn identity(name: &str) -> String {
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
    /// If it is of another migration, is used by another run, or cannot be made.
    pub(crate) fn open(path: PathBuf, from: &str, to: &str) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::usage(format!("{}: {error} (--state FILE)", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        }
        let mut file = loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path).map_err(cannot)?;
            let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
                Errno::EWOULDBLOCK => {
                    Failure::refused(format!("this migration is running already ({} is locked)", path.display()))
                }
                error => cannot(error.into()),
            })?;
            // The run that ended just now took it away.
            if locked.metadata().map_err(cannot)?.nlink() > 0 {
                break locked;
            }
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(cannot)?;
        let begun = !text.is_empty();
        if begun && !is_of(&text, from, to) {
            return Err(Failure::usage(format!(
                "{} is not about this migration, or is damaged: give another --state FILE, or remove it",
                path.display()
            )));
        }
        Ok(Self { file, path, from: from.to_owned(), to: to.to_owned(), begun })
    }

    /// True if an earlier run has begun to write.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// Notes that writing begins.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn note(&mut self) -> Result<(), Failure> {
        let begun = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let text = json!({ "from": self.from, "to": self.to, "begun": begun }).to_string();
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write(&mut self.file).map_err(|error| Failure::temporary(format!("{}: {error}", self.path.display())))?;
        self.begun = true;
        Ok(())
    }

    /// The migration is complete: the next one of the same sides begins anew.
    pub(crate) fn forget(self) {
        remove(&self.path);
    }

    /// Takes the file away if nothing was begun.
    pub(crate) fn leave(self) {
        if !self.begun {
            remove(&self.path);
        }
    }
}

fn remove(path: &Path) {
    // It stays if that fails, and the next run finds nothing left to do.
    let _ = std::fs::remove_file(path);
}

/// True if the file at `path` notes this migration. For who changes nothing.
pub(crate) fn was_begun(path: &Path, from: &str, to: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| is_of(&text, from, to))
}

fn is_of(text: &str, from: &str, to: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.get("from") == Some(&from.into()) && value.get("to") == Some(&to.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_private_locked_and_remembers_what_was_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/a.json");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut state = State::open(path.clone(), "a", "b").unwrap();
        assert!(!state.begun() && !was_begun(&path, "a", "b"));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(State::open(path.clone(), "a", "b").is_err());
        state.note().unwrap();
        state.leave();
        assert!(State::open(path.clone(), "a", "other").is_err());
        assert!(was_begun(&path, "a", "b") && !was_begun(&path, "b", "a"));
        let state = State::open(path.clone(), "a", "b").unwrap();
        assert!(state.begun());
        state.forget();
        assert!(!path.exists());
        State::open(path.clone(), "a", "b").unwrap().leave();
        assert!(!path.exists());
    }
}
