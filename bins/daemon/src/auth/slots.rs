//! Slots: how many passwords are verified at the same time, and who is next.
//!
//! Every [`Origin`] has a line of its own, first come, first served. A free slot goes to the lines in turn, one attempt
//! each, so five hundred attempts of one address cost another address at most one turn. A line holds at most
//! [`LINE_MAX`] attempts and all lines together [`WAITING_MAX`]; who finds them full is told to try again later. Only
//! if his line is shorter than the longest one, the newest attempt of the longest has to go instead.

use super::origin::Origin;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Attempts of one origin that may wait.
pub(super) const LINE_MAX: usize = 64;

/// Attempts that may wait altogether.
pub(super) const WAITING_MAX: usize = 1024;

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
    lines: HashMap<Origin, Line>,
    /// The origins with somebody in `queue`, in the order of their turns; each once.
    turns: VecDeque<Origin>,
}

#[derive(Default)]
struct Line {
    /// Tickets without a slot, whether they stand in the queue yet or not.
    tickets: usize,
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place among those who want a slot. Dropping it gives the place up.
pub(super) struct Ticket {
    slots: Arc<Slots>,
    origin: Origin,
    stage: Stage,
}

enum Stage {
    /// Not in the queue yet.
    Entered,
    /// In the queue, or just out of it.
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

    /// Takes a place; `None` if there is none left.
    pub(super) fn enter(self: &Arc<Self>, origin: &Origin) -> Option<Ticket> {
        let mut state = self.state();
        let mine = state.lines.get(origin).map_or(0, |line| line.tickets);
        if mine >= LINE_MAX || (state.waiting >= WAITING_MAX && !state.push_out(mine)) {
            return None;
        }
        state.lines.entry(origin.clone()).or_default().tickets += 1;
        state.waiting += 1;
        Some(Ticket { slots: Arc::clone(self), origin: origin.clone(), stage: Stage::Entered })
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
            // A free slot means that nobody stands in a queue.
            if state.used < state.total {
                state.used += 1;
                state.forget(&self.origin);
                self.stage = Stage::Over;
                return Some(Slot(Arc::clone(&slots)));
            }
            let (id, turn) = state.queue(&self.origin);
            self.stage = Stage::Queued(id, turn);
        }
        let Stage::Queued(_, turn) = &mut self.stage else { return None };
        // Whoever is pushed out hears that nobody will call. If the call comes in the moment in which the time is
        // over, dropping the ticket passes the slot on.
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
            Stage::Entered => state.forget(&self.origin),
            Stage::Queued(id, turn) => {
                if state.leave(&self.origin, *id) {
                    state.forget(&self.origin);
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
        if line.queue.is_empty() {
            self.turns.push_back(origin.clone());
        }
        line.queue.push_back((self.last_id, call));
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
        while let Some(origin) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&origin) else { continue };
            let Some((_, call)) = line.queue.pop_front() else { continue };
            if !line.queue.is_empty() {
                self.turns.push_back(origin.clone());
            }
            self.forget(&origin);
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
        let Some(at) = line.queue.iter().position(|(known, _)| *known == id) else { return false };
        line.queue.remove(at);
        if line.queue.is_empty() {
            self.turns.retain(|other| other != origin);
        }
        true
    }

    /// Makes room for an origin with `mine` attempts at the cost of the longest line; false if that is not longer.
    fn push_out(&mut self, mine: usize) -> bool {
        let longest = self.lines.iter().max_by_key(|(_, line)| line.queue.len());
        let Some((origin, line)) = longest else { return false };
        let Some(&(newest, _)) = line.queue.back().filter(|_| line.queue.len() > mine + 1) else { return false };
        let origin = origin.clone();
        let left = self.leave(&origin, newest);
        self.forget(&origin);
        left
    }

    /// One ticket less.
    fn forget(&mut self, origin: &Origin) {
        self.waiting = self.waiting.saturating_sub(1);
        let Some(line) = self.lines.get_mut(origin) else { return };
        line.tickets = line.tickets.saturating_sub(1);
        if line.tickets == 0 {
            self.lines.remove(origin);
        }
    }
}
