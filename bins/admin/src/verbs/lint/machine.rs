//! What lint looks at on this machine besides the stores: system users and dot-qmail files.

use crate::alias_user;
use crate::home::SILENT_MAX;
use crate::output::Failure;
use nix::unistd::User;
use qmail_lookup_core::dotqmail;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most answers of the system that are kept.
const KEPT_MAX: usize = 10_000;

/// How long a file system may take for one look.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A system user, as far as mail goes.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: Vec<u8>,
    pub(super) home: Vec<u8>,
    pub(super) ext: Vec<u8>,
}

/// The system users, asked for once.
pub(super) struct Machine {
    break_chars: String,
    /// By local part.
    people: RefCell<HashMap<Vec<u8>, Option<Person>>>,
    /// By name: whether there is one.
    names: RefCell<HashMap<String, bool>>,
    /// Looks for files that were not answered.
    silent: Cell<u64>,
}

impl Machine {
    pub(super) fn new(break_chars: &str) -> Self {
        let (people, names) = (RefCell::default(), RefCell::default());
        Self { break_chars: break_chars.to_owned(), people, names, silent: Cell::new(0) }
    }

    /// The system user that the stock qmail-getpw finds for `local`.
    ///
    /// # Errors
    /// If the system does not say.
    pub(super) async fn person(&self, local: &[u8]) -> Result<Option<Person>, Failure> {
        if let Some(known) = self.people.borrow().get(local) {
            return Ok(known.clone());
        }
        let (asked, break_chars) = (local.to_vec(), self.break_chars.clone());
        let found = blocking(move || alias_user::stock_user(&asked, &break_chars)).await;
        let found = found.ok_or_else(|| Failure::temporary("the homes of system users do not answer"))??;
        let person = found.map(|(user, ext)| Person {
            name: user.name.into_bytes(),
            home: user.dir.as_os_str().as_bytes().to_vec(),
            ext,
        });
        keep(&self.people, local.to_vec(), person.clone());
        Ok(person)
    }

    /// Whether there is a system user of this name, root not counted.
    ///
    /// # Errors
    /// If the system does not say.
    pub(super) fn has_user(&self, name: &str) -> Result<bool, Failure> {
        if let Some(known) = self.names.borrow().get(name) {
            return Ok(*known);
        }
        let found = User::from_name(name)
            .map_err(|error| Failure::temporary(format!("cannot ask the system for user {name}: {error}")))?;
        let has = found.is_some_and(|user| !user.uid.is_root());
        keep(&self.names, name.to_owned(), has);
        Ok(has)
    }

    /// Whether `home` has a dot-qmail file for this dash and extension. `None` if that cannot be seen, or if too many
    /// homes did not answer.
    pub(super) async fn has_file(&self, home: PathBuf, dash: &[u8], ext: &[u8]) -> Option<bool> {
        if self.silent.get() >= SILENT_MAX {
            return None;
        }
        let names: Vec<Vec<u8>> = dotqmail::names(dash, ext).collect();
        let look = move || {
            for name in names {
                match std::fs::metadata(home.join(path(&name))) {
                    Ok(found) if found.is_file() => return Some(true),
                    Ok(_) => {}
                    Err(error) if is_absence(error.kind()) => {}
                    Err(_) => return None,
                }
            }
            Some(false)
        };
        let seen = blocking(look).await;
        self.silent.set(self.silent.get().saturating_add(u64::from(seen.is_none())));
        seen.flatten()
    }
}

fn keep<K: std::hash::Hash + Eq, V>(kept: &RefCell<HashMap<K, V>>, key: K, value: V) {
    let mut kept = kept.borrow_mut();
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key, value);
}

/// Runs `look` beside everything else; `None` if it takes longer than [`PATIENCE`].
pub(super) async fn blocking<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(look)).await.ok()?.ok()
}

/// A path as bytes of a row.
pub(super) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Whether an error says that there is no such file.
pub(super) fn is_absence(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename | ErrorKind::InvalidInput
    )
}
