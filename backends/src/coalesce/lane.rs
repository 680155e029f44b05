//! The questions of one table: a queue, and the statements under way.

use super::Counts;
use super::batch::{Batch, Waiting};
use crate::deadline::GRACE;
use crate::table_key::TableKey;
use futures_util::FutureExt;
use qmail_lookup_core::{Backend, Deadline, ErrorKind, LookupError};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Questions that may wait for a statement. Beyond it a question fails at once.
pub(super) const QUEUE_MAX: usize = 4096;

/// An answer that a statement will bring.
type Promise<R> = oneshot::Receiver<Result<Vec<R>, LookupError>>;

/// One table.
pub(super) struct Lane<K: TableKey> {
    inner: Arc<dyn Backend>,
    /// Statements that may be under way at once.
    most: usize,
    teams: Mutex<Vec<Team<K>>>,
    /// Callers that left without an answer since the queue was last cleared of their questions.
    gone: AtomicUsize,
    statements: AtomicU64,
    questions: AtomicU64,
}

/// The questions asked on one runtime, so that no runtime waits for what another one is not driven to do.
struct Team<K: TableKey> {
    runtime: Id,
    queue: VecDeque<Waiting<K>>,
    /// Tasks that have a statement under way or are about to.
    running: usize,
}

impl<K: TableKey> Lane<K> {
    pub(super) fn new(inner: &Arc<dyn Backend>, most: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            most: most.max(1),
            teams: Mutex::default(),
            gone: AtomicUsize::new(0),
            statements: AtomicU64::new(0),
            questions: AtomicU64::new(0),
        })
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { statements: read(&self.statements), questions: read(&self.questions) }
    }

    /// Asks for the rows of `keys`, with whoever else asks now.
    pub(super) async fn ask(self: &Arc<Self>, keys: &[K], by: Deadline) -> Result<Vec<K::Row>, LookupError> {
        let answer = self.join(keys, by)?;
        let mut leaving = Leaving { gone: &self.gone, answered: false };
        let outcome = timeout_at(by.instant().into(), answer).await;
        leaving.answered = outcome.is_ok();
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(self.given_up()),
            Err(_) => Err(self.late()),
        }
    }

    fn join(self: &Arc<Self>, keys: &[K], by: Deadline) -> Result<Promise<K::Row>, LookupError> {
        let handle = Handle::try_current().map_err(|_| self.overloaded("asked outside a runtime"))?;
        let runtime = handle.id();
        let (reply, answer) = oneshot::channel();
        let question = Waiting { keys: keys.to_vec(), by, reply };
        let start = {
            let mut teams = self.teams();
            let at = teams.iter().position(|team| team.runtime == runtime).unwrap_or_else(|| {
                teams.retain(|team| team.running > 0);
                teams.push(Team { runtime, queue: VecDeque::new(), running: 0 });
                teams.len() - 1
            });
            let Some(team) = teams.get_mut(at) else { return Err(self.given_up()) };
            if team.queue.len() >= QUEUE_MAX && self.gone.swap(0, Ordering::AcqRel) > 0 {
                team.queue.retain(|waiting| !waiting.reply.is_closed());
            }
            if team.queue.len() >= QUEUE_MAX {
                return Err(self.overloaded(format!("{QUEUE_MAX} questions are waiting already")));
            }
            team.queue.push_back(question);
            let start = team.running < self.most;
            team.running += usize::from(start);
            start
        };
        if start {
            handle.spawn(Slot::new(self, runtime).run());
        }
        Ok(answer)
    }

    /// Nothing that may panic runs under the lock, so a poisoned one is still good.
    fn teams(&self) -> MutexGuard<'_, Vec<Team<K>>> {
        self.teams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one statement and hands out what it brings.
    async fn send(&self, batch: Batch<K>) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.questions.fetch_add(batch.callers.len() as u64, Ordering::Relaxed);
        let asking = AssertUnwindSafe(async { K::ask(&*self.inner, &batch.keys, batch.by).await }).catch_unwind();
        let outcome = match timeout_at((batch.by.instant() + GRACE).into(), asking).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                tracing::error!(place = self.inner.place(), "a statement panicked; its questions were given up");
                Err(self.given_up())
            }
            Err(_) => Err(self.late()),
        };
        batch.answer(outcome);
    }

    fn late(&self) -> LookupError {
        LookupError::new(ErrorKind::Timeout, self.inner.place(), "no answer before the deadline")
    }

    fn given_up(&self) -> LookupError {
        LookupError::new(ErrorKind::Unreachable, self.inner.place(), "the question was given up; see the log")
    }

    fn overloaded(&self, what: impl Into<String>) -> LookupError {
        LookupError::new(ErrorKind::Overloaded, self.inner.place(), what)
    }
}

/// Counts a caller that leaves before its answer is there.
struct Leaving<'a> {
    gone: &'a AtomicUsize,
    answered: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.gone.fetch_add(1, Ordering::Release);
        }
    }
}

/// The place of one statement among those that may be under way. It is given back whatever ends the task.
struct Slot<K: TableKey> {
    lane: Arc<Lane<K>>,
    runtime: Id,
    freed: bool,
}

impl<K: TableKey> Slot<K> {
    fn new(lane: &Arc<Lane<K>>, runtime: Id) -> Self {
        Self { lane: Arc::clone(lane), runtime, freed: false }
    }

    async fn run(mut self) {
        loop {
            // Who can ask by now without anybody waiting for it comes along: the runtime looks at its sockets once.
            tokio::task::yield_now().await;
            let Some(batch) = self.next() else { return };
            self.lane.send(batch).await;
        }
    }

    /// What waits, for this task to send. If there is nothing the task is at its end.
    fn next(&mut self) -> Option<Batch<K>> {
        let mut batch = {
            let mut teams = self.lane.teams();
            let team = teams.iter_mut().find(|team| team.runtime == self.runtime)?;
            let batch = Batch::take(&mut team.queue);
            if batch.callers.is_empty() {
                team.running -= 1;
                self.freed = true;
            }
            batch
        };
        for waiting in batch.late.drain(..) {
            let _ = waiting.reply.send(Err(self.lane.late()));
        }
        (!self.freed).then_some(batch)
    }
}

impl<K: TableKey> Drop for Slot<K> {
    fn drop(&mut self) {
        if self.freed {
            return;
        }
        // The runtime has ended, and with it whoever asked on it.
        let mut teams = self.lane.teams();
        let Some(at) = teams.iter().position(|team| team.runtime == self.runtime) else { return };
        let Some(team) = teams.get_mut(at) else { return };
        team.running -= 1;
        let ended = (team.running == 0).then(|| teams.swap_remove(at));
        drop(teams);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Does, Scripted, soon, user};

    #[test]
    fn a_runtime_that_ends_gives_its_places_back() {
        let inner = Scripted::new(Vec::new());
        inner.will(&[Does::Hang, Does::Hang]);
        let store: Arc<dyn Backend> = Arc::<Scripted>::clone(&inner);
        let lane = Lane::new(&store, 2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut answer = None;
        runtime.block_on(async {
            for n in 1..=2 {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move { lane.ask(&[user("a")], soon()).await });
                inner.came(n).await;
            }
            // One that stands in the queue, and whose caller is not on this runtime.
            answer = lane.join(&[user("b")], soon()).ok();
            assert_eq!(lane.teams().iter().map(|team| (team.running, team.queue.len())).collect::<Vec<_>>(), [(2, 1)]);
        });
        drop(runtime);
        assert!(lane.teams().is_empty());
        assert!(matches!(answer.unwrap().try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }
}
