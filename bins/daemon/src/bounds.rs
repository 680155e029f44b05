//! How many connections there may be, and how many questions at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// The part of all connections that only privileged peers (root, qmail's own programs, we) may have: one in this many.
const RESERVED: u32 = 4;

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections to all sockets together.
    pub(crate) connections: u32,
    /// Connections of one uid that is not privileged, and its questions at the same time.
    pub(crate) per_uid: u32,
}

/// See the module.
pub(crate) struct Bounds(Mutex<Inner>);

struct Inner {
    limits: Limits,
    all: u32,
    ordinary: u32,
    uids: HashMap<u32, Share>,
}

/// What one uid that is not privileged has.
struct Share {
    connections: u32,
    questions: Arc<Semaphore>,
}

/// Why a connection is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many in all.
    All,
    /// This uid has too many.
    Uid,
}

/// A connection's place; dropping it makes room.
pub(crate) struct Admitted {
    bounds: Arc<Bounds>,
    uid: u32,
    /// Its uid's questions; `None` if they are not counted.
    pub(crate) questions: Option<Arc<Semaphore>>,
}

impl Bounds {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Mutex::new(Inner { limits, all: 0, ordinary: 0, uids: HashMap::new() }))
    }

    /// From the next connection on.
    pub(crate) fn set(&self, limits: Limits) {
        self.inner().limits = limits;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection of `uid`.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn admit(self: &Arc<Self>, uid: u32, privileged: bool) -> Result<Admitted, Full> {
        let mut inner = self.inner();
        let Limits { connections, per_uid } = inner.limits;
        if inner.all >= connections {
            return Err(Full::All);
        }
        let mut questions = None;
        if !privileged {
            // Who has its share is told so, also when others have theirs.
            if inner.uids.get(&uid).is_some_and(|share| share.connections >= per_uid) {
                return Err(Full::Uid);
            }
            if inner.ordinary >= connections - connections / RESERVED {
                return Err(Full::All);
            }
            let permits = usize::try_from(per_uid).unwrap_or(1);
            let new = || Share { connections: 0, questions: Arc::new(Semaphore::new(permits)) };
            let share = inner.uids.entry(uid).or_insert_with(new);
            share.connections += 1;
            questions = Some(Arc::clone(&share.questions));
            inner.ordinary += 1;
        }
        inner.all += 1;
        Ok(Admitted { bounds: Arc::clone(self), uid, questions })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut inner = self.bounds.inner();
        inner.all = inner.all.saturating_sub(1);
        if self.questions.is_none() {
            return;
        }
        inner.ordinary = inner.ordinary.saturating_sub(1);
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

    fn many(bounds: &Arc<Bounds>, uid: u32, privileged: bool) -> Vec<Admitted> {
        std::iter::from_fn(|| bounds.admit(uid, privileged).ok()).take(1000).collect()
    }

    #[test]
    fn one_uid_has_its_share_and_a_quarter_is_kept_for_qmail() {
        let bounds = Arc::new(Bounds::new(Limits { connections: 64, per_uid: 20 }));
        let mut held: Vec<_> = (1000..1003).map(|uid| many(&bounds, uid, false)).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 8]);
        assert_eq!(bounds.admit(1000, false).err(), Some(Full::Uid));
        assert_eq!(bounds.admit(1003, false).err(), Some(Full::All));
        let privileged = many(&bounds, 0, true);
        assert_eq!(privileged.len(), 16);
        assert!(privileged[0].questions.is_none());
        assert_eq!(bounds.admit(0, true).err(), Some(Full::All));
        held[0].pop();
        assert_eq!(many(&bounds, 1000, false).len(), 1, "and it is free again at once");
        drop((held, privileged));
        let inner = bounds.inner();
        assert_eq!((inner.all, inner.ordinary, inner.uids.len()), (0, 0, 0));
    }

    #[test]
    fn new_limits_count_for_the_next_connection() {
        let bounds = Arc::new(Bounds::new(Limits { connections: 64, per_uid: 1 }));
        let _first = bounds.admit(7, false).unwrap();
        assert!(bounds.admit(7, false).is_err());
        bounds.set(Limits { connections: 64, per_uid: 2 });
        assert!(bounds.admit(7, false).is_ok());
    }
}
