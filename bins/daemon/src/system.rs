//! System users, asked off the event loop. "No such user" and "the system does not say" are different answers.

use nix::unistd::{Uid, User};
use qmail_lookup_core::getpw::SixFields;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long an answer of the system is believed.
const TTL: Duration = Duration::from_secs(60);

/// Names remembered at the same time.
const NAMES: usize = 4096;

/// Questions that the system is asked at the same time: a directory behind it may hang.
const PARALLEL: usize = 8;

/// Longest name that is asked for. Source: `LOGIN_NAME_MAX` of Linux.
const NAME_MAX: usize = 256;

/// A system user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemUser {
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: Vec<u8>,
}

impl SystemUser {
    fn of(user: User) -> Self {
        Self {
            name: user.name.into_bytes(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.as_os_str().as_bytes().to_vec(),
        }
    }

    /// As qmail-getpw's fields, dash and extension left empty.
    pub(crate) fn fields(&self) -> SixFields {
        let Self { name, uid, gid, home } = self;
        let (dash, ext) = (Vec::new(), Vec::new());
        SixFields { user: name.clone(), uid: *uid, gid: *gid, home: home.clone(), dash, ext }
    }
}

type Found = Option<Arc<SystemUser>>;

/// See the module.
pub(crate) struct System {
    known: Mutex<HashMap<Vec<u8>, (Instant, Found)>>,
    slots: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self { known: Mutex::default(), slots: Arc::new(Semaphore::new(PARALLEL)) }
    }
}

impl System {
    /// The user of exactly this name.
    ///
    /// # Errors
    /// If the system does not say, or not in time.
    pub(crate) async fn user(&self, name: &[u8], by: Deadline) -> Result<Found, LookupError> {
        if let Some(found) = self.remembered(name) {
            return Ok(found);
        }
        let Some(text) = askable(name) else { return Ok(None) };
        let late = || LookupError::new(ErrorKind::Timeout, "system", "no answer about a user in time");
        let asked = async {
            let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| late())?;
            let look = move || {
                let found = User::from_name(&text);
                drop(slot);
                found
            };
            let trouble = |what: String| LookupError::new(ErrorKind::Unreachable, "system", what);
            let found = tokio::task::spawn_blocking(look).await.map_err(|error| trouble(error.to_string()))?;
            found.map_err(|error| trouble(format!("cannot look up a user: {error}")))
        };
        let found = tokio::time::timeout_at(by.instant().into(), asked).await.map_err(|_| late())??;
        let found = found.map(|user| Arc::new(SystemUser::of(user)));
        self.remember(name, &found);
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Vec<u8>, (Instant, Found)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, name: &[u8]) -> Option<Found> {
        let known = self.known();
        let (since, found) = known.get(name)?;
        (since.elapsed() < TTL).then(|| found.clone())
    }

    fn remember(&self, name: &[u8], found: &Found) {
        let mut known = self.known();
        if known.len() >= NAMES {
            known.retain(|_, (since, _)| since.elapsed() < TTL);
        }
        if known.len() < NAMES {
            known.insert(name.to_vec(), (Instant::now(), found.clone()));
        }
    }

    /// After a HUP, users are looked up again.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }
}

/// The name as text, if the system can have a user of that name.
fn askable(name: &[u8]) -> Option<String> {
    if name.is_empty() || name.len() > NAME_MAX || name.iter().any(|b| matches!(b, 0 | b':' | b'\n' | b'/')) {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

/// Our own uid.
pub(crate) fn own_uid() -> u32 {
    Uid::effective().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn users_are_found_or_absent_and_remembered() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let system = System::default();
        let find = |name: &str| runtime.block_on(system.user(name.as_bytes(), by())).unwrap();
        assert_eq!(find("root").unwrap().uid, 0);
        assert_eq!(find("no-such-user-here"), None);
        assert_eq!(system.known().len(), 2);
        for odd in ["", "a:b", "a\nb", "a\0b", "../x"] {
            assert_eq!(find(odd), None);
        }
        assert_eq!(runtime.block_on(system.user(b"\xff", by())).unwrap(), None);
        assert_eq!(system.known().len(), 2, "what cannot be a name is not asked for");
        system.forget();
        assert_eq!(system.known().len(), 0);
    }

    #[test]
    fn no_answer_in_time_is_an_error_and_not_an_absence() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let system = System::default();
        let _all: Vec<_> = (0..PARALLEL).map(|_| Arc::clone(&system.slots).try_acquire_owned().unwrap()).collect();
        let late = runtime.block_on(system.user(b"root", Deadline::after(Duration::from_millis(50))));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
    }
}
