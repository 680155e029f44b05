//! Places: how many attempts there are at the same time, each from its receipt until its reply is told. A refusal that
//! waits for its time holds a place as well as an attempt that waits for a slot: it holds a connection.
//!
//! An origin has a line of at most [`LINE_MAX`] places, and a quarter of all if that is less. Who finds his line full
//! is told at once to try again later. If all places are taken, the newest attempt of the longest line is told so
//! instead, provided that this line is longer than his own. Those that come without an address have no more than half
//! of all places together: anybody can be as many accounts as he can think of names.

use super::origin::Origin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Attempts of one origin.
pub(super) const LINE_MAX: usize = 64;

/// Attempts altogether, unless something else is said. Source: the default of `daemon.connections`.
const ROOM: usize = 768;

/// See the module.
pub(super) struct Places(Mutex<State>);

struct State {
    room: usize,
    open: usize,
    last_id: u64,
    /// Oldest first. Dropping what stands behind the id sends the attempt away.
    lines: HashMap<Origin, Vec<(u64, oneshot::Sender<()>)>>,
}

/// A place; dropping it makes room.
pub(super) struct Place {
    places: Arc<Places>,
    origin: Origin,
    id: u64,
    out: oneshot::Receiver<()>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { room: ROOM, open: 0, last_id: 0, lines: HashMap::new() })))
    }

    /// From the next attempt on so many, at least one.
    pub(super) fn set(&self, room: usize) {
        self.state().room = room.max(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; `None` if there is none left.
    pub(super) fn enter(self: &Arc<Self>, origin: &Origin) -> Option<Place> {
        let mut state = self.state();
        let mine = state.lines.get(origin).map_or(0, Vec::len);
        if mine >= LINE_MAX.min(state.room.div_ceil(4)) {
            return None;
        }
        let crowded = !origin.is_address() && state.without_address() >= state.room.div_ceil(2);
        if (crowded || state.open >= state.room) && !state.send_away(mine, crowded) {
            return None;
        }
        let (stay, out) = oneshot::channel();
        state.last_id += 1;
        state.open += 1;
        let id = state.last_id;
        state.lines.entry(origin.clone()).or_default().push((id, stay));
        Some(Place { places: Arc::clone(self), origin: origin.clone(), id, out })
    }

    /// Places that are taken, and lines.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.open, state.lines.len())
    }
}

impl State {
    fn without_address(&self) -> usize {
        self.lines.iter().filter(|(origin, _)| !origin.is_address()).map(|(_, line)| line.len()).sum()
    }

    /// Makes room for an origin with `mine` places at the cost of the longest line, or of the longest `without` an
    /// address; false if that is not longer.
    fn send_away(&mut self, mine: usize, without: bool) -> bool {
        let candidates = self.lines.iter_mut().filter(|(origin, _)| !without || !origin.is_address());
        let Some((_, line)) = candidates.max_by_key(|(_, line)| line.len()) else { return false };
        if line.len() <= mine + 1 {
            return false;
        }
        line.pop();
        self.open = self.open.saturating_sub(1);
        true
    }
}

impl Place {
    /// What `work` comes to; `None` if the attempt is sent away before.
    pub(super) async fn hold<T>(mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = &mut self.out => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        let Some(line) = state.lines.get_mut(&self.origin) else { return };
        let before = line.len();
        line.retain(|(id, _)| *id != self.id);
        let (left, gone) = (line.len(), before - line.len());
        if left == 0 {
            state.lines.remove(&self.origin);
        }
        state.open = state.open.saturating_sub(gone);
    }
}
