//! How many connections there may be, and how many questions at the same time.
//!
//! Everybody who connects is of one class. Of all connections one in [`KEPT`] is kept for each class, so that none can
//! shut out another; what is left over goes to whoever comes first. Within that, one uid has a bound of its own: what
//! the configuration says for ordinary ones, and one in [`LARGEST`] of all for the others. Logins come from
//! one uid for everybody, so they have only the bound of their class; who takes too many of them is decided by the
//! address that they are for (`auth::places`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// One in this many connections is kept for each class.
const KEPT: u32 = 8;

/// One in this many connections is the most that all logins together, or one uid that is not ordinary, may have.
const LARGEST: u32 = 2;

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections to all sockets together.
    pub(crate) connections: u32,
    /// Connections of one ordinary uid, and its questions at the same time.
    pub(crate) per_uid: u32,
}

impl Limits {
    fn kept(self) -> u32 {
        self.connections / KEPT
    }

    fn largest(self) -> u32 {
        self.connections / LARGEST
    }
}

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// At a socket for logins: who may log users in.
    Login,
    /// Who may ask `getpw`, which is what every delivery waits for; not root.
    Getpw,
    /// Root, we, and who may ask `rcpthosts`, as qmaild may.
    Privileged,
    /// Everybody else: users who ask how their mail is delivered, and most of `daemon.allow`.
    Ordinary,
}

impl Class {
    const ALL: usize = 4;
}

/// See the module.
pub(crate) struct Bounds(Mutex<Inner>);

struct Inner {
    limits: Limits,
    /// Connections by class.
    open: [u32; Class::ALL],
    uids: HashMap<u32, Share>,
}

/// What one uid has, logins apart.
struct Share {
    connections: u32,
    permits: usize,
    questions: Arc<Semaphore>,
}

/// Why a connection is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many in all.
    All,
    /// This uid has too many.
    Uid,
    /// There are too many logins.
    Logins,
}

/// Connections for logins that only root may have.
const FOR_ROOT: u32 = 4;

/// A connection's place; dropping it makes room.
pub(crate) struct Admitted {
    bounds: Arc<Bounds>,
    uid: u32,
    class: Class,
    /// Its uid's questions; `None` if they are not counted.
    pub(crate) questions: Option<Arc<Semaphore>>,
}

impl Bounds {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Mutex::new(Inner { limits, open: [0; Class::ALL], uids: HashMap::new() }))
    }

    /// From the next connection on.
    pub(crate) fn set(&self, limits: Limits) {
        self.inner().limits = limits;
    }

    /// Logins that may be decided at the same time: three quarters of their connections. The rest is for those that
    /// come, are heard, and are told at once that there are too many.
    pub(crate) fn logins(&self) -> usize {
        let largest = self.inner().limits.largest();
        usize::try_from(largest - largest / 4).unwrap_or(usize::MAX)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection of `uid`.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn admit(self: &Arc<Self>, uid: u32, class: Class) -> Result<Admitted, Full> {
        let mut inner = self.inner();
        let limits = inner.limits;
        let bound = match class {
            Class::Login | Class::Getpw | Class::Privileged => limits.largest(),
            Class::Ordinary => limits.per_uid,
        };
        // Who has its share is told so, also when others have theirs.
        if class == Class::Login {
            // Root's flush and trust are wanted most when there are too many.
            let kept = if uid == 0 { 0 } else { FOR_ROOT };
            if inner.open(class) >= bound.saturating_sub(kept) {
                return Err(Full::Logins);
            }
        } else if inner.uids.get(&uid).is_some_and(|share| share.connections >= bound) {
            return Err(Full::Uid);
        }
        if inner.taken_for(class) >= limits.connections {
            return Err(Full::All);
        }
        let questions = (class != Class::Login).then(|| {
            let permits = usize::try_from(bound).unwrap_or(1);
            let new = || Share { connections: 0, permits, questions: Arc::new(Semaphore::new(permits)) };
            let share = inner.uids.entry(uid).or_insert_with(new);
            if share.permits != permits {
                // A HUP came. Connections that are open keep what they have.
                *share = Share { connections: share.connections, ..new() };
            }
            share.connections += 1;
            Arc::clone(&share.questions)
        });
        if let Some(open) = inner.open.get_mut(class as usize) {
            *open += 1;
        }
        Ok(Admitted { bounds: Arc::clone(self), uid, class, questions })
    }
}

impl Inner {
    fn open(&self, class: Class) -> u32 {
        self.open.get(class as usize).copied().unwrap_or_default()
    }

    /// What one of `class` cannot have: the open connections, and what is kept for the other classes.
    fn taken_for(&self, class: Class) -> u32 {
        let kept = self.limits.kept();
        let taken = |(other, &open): (usize, &u32)| if other == class as usize { open } else { open.max(kept) };
        self.open.iter().enumerate().map(taken).sum()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut inner = self.bounds.inner();
        if let Some(open) = inner.open.get_mut(self.class as usize) {
            *open = open.saturating_sub(1);
        }
        if self.questions.is_none() {
            return;
        }
        if let Some(share) = inner.uids.get_mut(&self.uid) {
            share.connections = share.connections.saturating_sub(1);
            if share.connections == 0 {
                inner.uids.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(connections: u32, per_uid: u32) -> Arc<Bounds> {
        Arc::new(Bounds::new(Limits { connections, per_uid }))
    }

    fn many(bounds: &Arc<Bounds>, uid: u32, class: Class) -> Vec<Admitted> {
        std::iter::from_fn(|| bounds.admit(uid, class).ok()).take(1000).collect()
    }

    #[test]
    fn one_uid_has_its_share_and_a_place_is_free_again_at_once() {
        let bounds = bounds(64, 16);
        let mut held: Vec<_> = (1000..1003).map(|uid| many(&bounds, uid, Class::Ordinary)).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 8], "8 are kept for each other class");
        assert_eq!(bounds.admit(1000, Class::Ordinary).err(), Some(Full::Uid));
        assert_eq!(bounds.admit(1003, Class::Ordinary).err(), Some(Full::All));
        assert_eq!(held[0][0].questions.as_ref().unwrap().available_permits(), 16);
        held[0].pop();
        assert_eq!(many(&bounds, 1000, Class::Ordinary).len(), 1);
        drop(held);
        let inner = bounds.inner();
        assert_eq!((inner.open, inner.uids.len()), ([0; 4], 0));
    }

    #[test]
    fn whoever_takes_all_it_can_leaves_every_other_class_its_share() {
        let classes = [(Class::Login, 0), (Class::Getpw, 71), (Class::Privileged, 72), (Class::Ordinary, 1000)];
        for (greedy, uid) in classes {
            let bounds = bounds(64, 64);
            let held = many(&bounds, uid, greedy);
            assert_eq!(held.len(), if greedy == Class::Ordinary { 40 } else { 32 }, "{greedy:?}");
            let more = many(&bounds, uid + 1, greedy);
            for (class, other) in classes.into_iter().filter(|(class, _)| *class != greedy) {
                assert!(many(&bounds, other, class).len() >= 8, "{greedy:?} and {class:?}");
            }
            drop((held, more));
        }
    }

    #[test]
    fn one_privileged_uid_leaves_room_for_another() {
        let bounds = bounds(64, 4);
        let qmaild = many(&bounds, 72, Class::Privileged);
        assert_eq!(qmaild.len(), 32);
        assert_eq!(bounds.admit(72, Class::Privileged).err(), Some(Full::Uid));
        assert_eq!(many(&bounds, 0, Class::Privileged).len(), 8);
    }

    #[test]
    fn logins_are_those_of_everybody_and_have_the_bound_of_all_logins_only() {
        let bounds = bounds(64, 4);
        let held = many(&bounds, 1000, Class::Login);
        assert_eq!(held.len(), 28);
        assert!(held[0].questions.is_none());
        assert_eq!(bounds.admit(1001, Class::Login).err(), Some(Full::Logins));
        let roots = many(&bounds, 0, Class::Login);
        assert_eq!(roots.len(), 4, "a few are kept for root's flush and trust");
        assert_eq!(bounds.logins(), 24);
        assert_eq!(many(&bounds, 1000, Class::Ordinary).len(), 4, "the uid has its own beside them");
    }

    #[test]
    fn new_limits_count_for_the_next_connection() {
        let bounds = bounds(64, 1);
        let _first = bounds.admit(7, Class::Ordinary).unwrap();
        assert!(bounds.admit(7, Class::Ordinary).is_err());
        bounds.set(Limits { connections: 64, per_uid: 2 });
        assert!(bounds.admit(7, Class::Ordinary).is_ok());
    }

    #[test]
    fn a_hup_changes_the_questions_of_who_is_never_gone() {
        let bounds = bounds(64, 1);
        let old = bounds.admit(7, Class::Ordinary).unwrap();
        bounds.set(Limits { connections: 64, per_uid: 9 });
        let new = bounds.admit(7, Class::Ordinary).unwrap();
        let permits = |admitted: &Admitted| admitted.questions.as_ref().unwrap().available_permits();
        assert_eq!((permits(&old), permits(&new)), (1, 9));
    }
}
