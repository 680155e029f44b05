//! Slots: how many passwords are verified at the same time, and who is next.
//!
//! Every [`Origin`] has a line of its own, first come, first served. A free slot goes to the lines in turn ([`Turns`]),
//! one attempt each, so five hundred attempts of one address cost another address at most one turn. How long lines
//! become is decided before (`places`).

use super::origin::Origin;
use super::turns::Turns;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// The slots.
pub(super) struct Slots {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: usize,
    used: usize,
    /// Tickets without a slot.
    waiting: usize,
    last_id: u64,
    /// None of them is empty.
    lines: HashMap<Origin, Line>,
    /// The origins of the lines.
    turns: Turns,
}

type Line = VecDeque<(u64, oneshot::Sender<()>)>;

/// A wish for a slot. Dropping it gives it up.
pub(super) struct Ticket {
    slots: Arc<Slots>,
    origin: Origin,
    stage: Stage,
}

enum Stage {
    /// Not in a line yet.
    Entered,
    /// In a line, or just out of it.
    Queued(u64, oneshot::Receiver<()>),
    /// Used up.
    Over,
}

/// The right to verify one password. Dropping it passes it on.
pub(super) struct Slot(Arc<Slots>);

impl Slots {
    /// `total` slots, at least one.
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { total: total.max(1), ..State::default() }) })
    }

    /// From now on `total` slots, at least one; those that are used too many are not given again.
    pub(super) fn resize(&self, total: usize) {
        let mut state = self.state();
        state.total = total.max(1);
        while state.used < state.total && state.call_next() {}
    }

    /// Attempts that wait, and those that have a slot.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.waiting, state.used)
    }

    /// Counts an attempt as waiting, whether it stands in a line yet or not.
    pub(super) fn enter(self: &Arc<Self>, origin: &Origin) -> Ticket {
        self.state().waiting += 1;
        Ticket { slots: Arc::clone(self), origin: origin.clone(), stage: Stage::Entered }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits for a slot; `None` if there was none before `until`.
    pub(super) async fn wait(mut self, until: Instant) -> Option<Slot> {
        let slots = Arc::clone(&self.slots);
        {
            let mut state = slots.state();
            // A free slot means that nobody stands in a line.
            if state.used < state.total {
                state.used += 1;
                state.forget();
                self.stage = Stage::Over;
                return Some(Slot(Arc::clone(&slots)));
            }
            let (id, turn) = state.queue(&self.origin);
            self.stage = Stage::Queued(id, turn);
        }
        let Stage::Queued(_, turn) = &mut self.stage else { return None };
        // If the call comes in the moment in which the time is over, dropping the ticket passes the slot on.
        let Ok(Ok(())) = timeout_at(until, turn).await else { return None };
        self.stage = Stage::Over;
        Some(Slot(slots))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        match &mut self.stage {
            Stage::Over => {}
            Stage::Entered => state.forget(),
            Stage::Queued(id, turn) => {
                if state.leave(&self.origin, *id) {
                    state.forget();
                } else if turn.try_recv().is_ok() {
                    state.give();
                }
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.state().give();
    }
}

impl State {
    /// Puts an attempt at the end of its line.
    fn queue(&mut self, origin: &Origin) -> (u64, oneshot::Receiver<()>) {
        let (call, turn) = oneshot::channel();
        self.last_id += 1;
        let line = self.lines.entry(origin.clone()).or_default();
        if line.is_empty() {
            self.turns.join(origin);
        }
        line.push_back((self.last_id, call));
        (self.last_id, turn)
    }

    /// Takes a slot back and passes it on.
    fn give(&mut self) {
        self.used = self.used.saturating_sub(1);
        if self.used < self.total {
            self.call_next();
        }
    }

    /// Gives a slot to whoever is next; false if nobody is.
    fn call_next(&mut self) -> bool {
        while let Some(origin) = self.turns.next() {
            let Some(line) = self.lines.get_mut(&origin) else { continue };
            let first = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&origin);
            } else {
                self.turns.join(&origin);
            }
            let Some((_, call)) = first else { continue };
            self.forget();
            if call.send(()).is_ok() {
                self.used += 1;
                return true;
            }
        }
        false
    }

    /// Takes an attempt out of its line; false if it is not there any more.
    fn leave(&mut self, origin: &Origin, id: u64) -> bool {
        let Some(line) = self.lines.get_mut(origin) else { return false };
        let Some(at) = line.iter().position(|(known, _)| *known == id) else { return false };
        line.remove(at);
        if line.is_empty() {
            self.lines.remove(origin);
            self.turns.leave(origin);
        }
        true
    }

    /// One ticket less.
    fn forget(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }
}
