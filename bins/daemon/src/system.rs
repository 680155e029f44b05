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

/// Names of users remembered at the same time, and as many of nobody.
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
    known: Mutex<Known>,
    slots: Arc<Semaphore>,
    /// For the alias user alone, so that it waits behind no names that strangers made up.
    alias_slot: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            slots: Arc::new(Semaphore::new(PARALLEL)),
            alias_slot: Arc::new(Semaphore::new(1)),
        }
    }
}

/// What the system has said. Anybody may make it fill with names, but for the alias user's place.
#[derive(Default)]
struct Known {
    alias_user: Vec<u8>,
    alias: Option<(Instant, Found)>,
    users: HashMap<Vec<u8>, (Instant, Found)>,
    absent: HashMap<Vec<u8>, (Instant, Found)>,
}

impl Known {
    fn get(&self, name: &[u8]) -> Option<Found> {
        let known = if name == self.alias_user {
            self.alias.as_ref()
        } else {
            self.users.get(name).or_else(|| self.absent.get(name))
        };
        known.filter(|(since, _)| since.elapsed() < TTL).map(|(_, found)| found.clone())
    }

    fn put(&mut self, name: &[u8], found: &Found) {
        let known = (Instant::now(), found.clone());
        if name == self.alias_user {
            self.alias = Some(known);
            return;
        }
        let (names, others) = match found {
            Some(_) => (&mut self.users, &mut self.absent),
            None => (&mut self.absent, &mut self.users),
        };
        others.remove(name);
        if names.len() >= NAMES {
            names.retain(|_, (since, _)| since.elapsed() < TTL);
        }
        if names.len() < NAMES {
            names.insert(name.to_vec(), known);
        }
    }
}

impl System {
    /// With a place of its own for the alias user (`rules.alias_user`).
    pub(crate) fn keeping(alias_user: &[u8]) -> Self {
        let system = Self::default();
        system.forget(alias_user);
        system
    }

    /// The user of exactly this name.
    ///
    /// # Errors
    /// If the system does not say, or not in time.
    pub(crate) async fn user(&self, name: &[u8], by: Deadline) -> Result<Found, LookupError> {
        if let Some(found) = self.known().get(name) {
            return Ok(found);
        }
        let Some(text) = askable(name) else { return Ok(None) };
        let late = || LookupError::new(ErrorKind::Timeout, "system", "no answer about a user in time");
        let slots = if self.known().alias_user == name { &self.alias_slot } else { &self.slots };
        let asked = async {
            let slot = Arc::clone(slots).acquire_owned().await.map_err(|_| late())?;
            // Whoever had the slot before may have asked the same.
            if let Some(found) = self.known().get(name) {
                return Ok(found);
            }
            let look = move || {
                let found = User::from_name(&text);
                drop(slot);
                found
            };
            let trouble = |what: String| LookupError::new(ErrorKind::Unreachable, "system", what);
            let found = tokio::task::spawn_blocking(look).await.map_err(|error| trouble(error.to_string()))?;
            let found = found.map_err(|error| trouble(format!("cannot look up a user: {error}")))?;
            let found = found.map(|user| Arc::new(SystemUser::of(user)));
            self.known().put(name, &found);
            Ok(found)
        };
        tokio::time::timeout_at(by.instant().into(), asked).await.map_err(|_| late())?
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a HUP, users are looked up again, and the alias user may be another one.
    pub(crate) fn forget(&self, alias_user: &[u8]) {
        *self.known() = Known { alias_user: alias_user.to_vec(), ..Known::default() };
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
        let count = || {
            let known = system.known();
            (known.users.len(), known.absent.len())
        };
        assert_eq!(count(), (1, 1));
        for odd in ["", "a:b", "a\nb", "a\0b", "../x"] {
            assert_eq!(find(odd), None);
        }
        assert_eq!(runtime.block_on(system.user(b"\xff", by())).unwrap(), None);
        assert_eq!(count(), (1, 1), "what cannot be a name is not asked for");
        system.forget(b"");
        assert_eq!(count(), (0, 0));
    }

    #[test]
    fn names_that_strangers_make_up_leave_the_places_of_users_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let system = System::keeping(b"root");
        for n in 0..2 * NAMES {
            system.known().put(format!("made-up-{n}").as_bytes(), &None);
        }
        assert_eq!(system.known().absent.len(), NAMES);
        let find = |name: &str| runtime.block_on(system.user(name.as_bytes(), by())).unwrap();
        assert_eq!((find("root").unwrap().uid, find("daemon").unwrap().uid), (0, 1));
        let daemon = find("daemon");
        for n in 0..2 * NAMES {
            system.known().put(format!("user-{n}").as_bytes(), &daemon);
        }
        assert_eq!(system.known().users.len(), NAMES);
        // Known without a question: no slot is free.
        let _all: Vec<_> = [&system.slots, &system.alias_slot]
            .iter()
            .flat_map(|slots| std::iter::from_fn(|| Arc::clone(slots).try_acquire_owned().ok()))
            .collect();
        assert_eq!(find("root").unwrap().uid, 0);
    }

    #[test]
    fn the_alias_user_is_asked_for_while_the_system_hangs_over_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let system = System::keeping(b"root");
        let _all: Vec<_> = (0..PARALLEL).map(|_| Arc::clone(&system.slots).try_acquire_owned().unwrap()).collect();
        assert_eq!(runtime.block_on(system.user(b"root", by())).unwrap().unwrap().uid, 0);
        let late = runtime.block_on(system.user(b"daemon", Deadline::after(Duration::from_millis(50))));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
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
