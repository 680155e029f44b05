//! Connection owners: N tasks with one connection each, a bounded queue in front of them, a breaker around connecting.
//!
//! - They start at the first question, on the runtime that asks. Opening a store starts nothing.
//! - A connection is out of its slot while it is used and goes back only after a clean answer. After a timeout it is
//!   never used again: an answer that was cut short would be taken for the next one's.
//! - A caller that goes away cancels nothing; a panic costs one answer and one connection.

mod breaker;
#[cfg(test)]
pub(crate) mod tests;
mod worker;

use async_channel::{Receiver, Sender, TrySendError};
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use worker::{Shared, work};

/// Questions that may wait for a worker. Beyond it a question fails at once.
const QUEUE_MAX: usize = 1024;

/// A question that was not answered, and what it means for asking again.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The question never left: it may be asked elsewhere, whatever it is.
    NotSent(LookupError),
    /// The question left and the connection broke or stayed silent. The connection is not used again.
    Lost(LookupError),
    /// The server answered with an error: final. The connection is good.
    Answered(LookupError),
}

impl Failure {
    /// The error as the caller sees it.
    #[must_use]
    pub fn into_error(self) -> LookupError {
        match self {
            Self::NotSent(error) | Self::Lost(error) | Self::Answered(error) => error,
        }
    }
}

/// Whether a question may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Lookups: once on a new connection.
    Allowed,
    /// Logins: never once it was sent.
    Never,
}

/// How to reach one server. All that a kind of store brings along.
#[async_trait::async_trait]
pub trait Connector: Send + Sync + 'static {
    /// One connection.
    type Conn: Send + 'static;
    /// What can be asked.
    type Request: Send + Sync + 'static;
    /// What comes back.
    type Reply: Send + 'static;

    /// The server as the administrator knows it.
    fn place(&self) -> &str;

    /// Makes a connection that is ready for questions. It is dropped when `by` has passed.
    ///
    /// # Errors
    /// If the server could not be reached or refused us.
    async fn connect(&self, by: Deadline) -> Result<Self::Conn, LookupError>;

    /// Asks. It is dropped, with the connection, when `by` has passed.
    ///
    /// # Errors
    /// [`Failure::Lost`] if the connection must not be used again, [`Failure::Answered`] if it may.
    async fn run(&self, conn: &mut Self::Conn, request: &Self::Request, by: Deadline) -> Result<Self::Reply, Failure>;

    /// True if the connection still works.
    async fn alive(&self, conn: &mut Self::Conn, by: Deadline) -> bool;

    /// Says good-bye.
    async fn close(&self, conn: Self::Conn);
}

/// The workers of one server.
pub struct Workers<C: Connector> {
    shared: Arc<Shared<C>>,
    connections: usize,
    teams: Mutex<Vec<Team<C>>>,
}

/// The workers of one runtime. A connection belongs to the runtime that made it, so two runtimes never share one.
struct Team<C: Connector> {
    runtime: Id,
    queue: Sender<Job<C>>,
    jobs: Receiver<Job<C>>,
    /// Dead once the worker is gone, whatever ended it.
    members: Vec<Weak<()>>,
}

enum Task<R> {
    Ask(Arc<R>),
    Probe,
}

/// A question on its way. The reply to a probe is `None`.
struct Job<C: Connector> {
    task: Task<C::Request>,
    again: Again,
    by: Deadline,
    progress: Arc<Progress>,
    reply: oneshot::Sender<Result<Option<C::Reply>, Failure>>,
}

/// How far a question got; decides whether it may still be asked elsewhere.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    /// Beyond 0, which is waiting.
    const CONNECTING: u8 = 1;
    const SENT: u8 = 2;
    const ABANDONED: u8 = 3;

    /// Moves on, unless the caller has given up.
    fn reach(&self, step: u8) -> bool {
        let forward = |now| (now != Self::ABANDONED).then_some(step);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, forward).is_ok()
    }

    /// Gives up; returns how far it had got. From here on it will not be sent.
    fn abandon(&self) -> u8 {
        self.0.swap(Self::ABANDONED, Ordering::AcqRel)
    }
}

impl<C: Connector> Workers<C> {
    /// Workers for one server. Starts and connects nothing.
    #[must_use]
    pub fn new(connector: C, connections: usize) -> Self {
        Self { shared: Arc::new(Shared::new(connector)), connections: connections.max(1), teams: Mutex::default() }
    }

    /// The server they are connected to.
    #[must_use]
    pub fn connector(&self) -> &C {
        &self.shared.connector
    }

    /// Asks the server, before `by`.
    ///
    /// # Errors
    /// Says whether the question may be asked elsewhere.
    pub async fn ask(&self, request: Arc<C::Request>, by: Deadline, again: Again) -> Result<C::Reply, Failure> {
        match self.submit(Task::Ask(request), by, again).await? {
            Some(reply) => Ok(reply),
            None => Err(Failure::Lost(self.error(ErrorKind::Unreachable, "no answer"))),
        }
    }

    /// Succeeds if the server answers on a connection that questions use.
    ///
    /// # Errors
    /// Why it did not.
    pub async fn probe(&self, by: Deadline) -> Result<(), Failure> {
        self.submit(Task::Probe, by, Again::Allowed).await.map(drop)
    }

    async fn submit(&self, task: Task<C::Request>, by: Deadline, again: Again) -> Result<Option<C::Reply>, Failure> {
        let queue = self.queue().map_err(Failure::NotSent)?;
        let (reply, answer) = oneshot::channel();
        let progress = Arc::new(Progress::default());
        let job = Job { task, again, by, progress: Arc::clone(&progress), reply };
        queue.try_send(job).map_err(|refused| {
            let what = match refused {
                TrySendError::Full(_) => format!("{QUEUE_MAX} questions are waiting already"),
                TrySendError::Closed(_) => "closing".to_owned(),
            };
            Failure::NotSent(self.error(ErrorKind::Overloaded, what))
        })?;
        let received = timeout_at(by.instant().into(), answer).await;
        if let Ok(Ok(result)) = received {
            return result;
        }
        let late = received.is_err();
        Err(match (progress.abandon(), late) {
            (Progress::SENT, true) => Failure::Lost(self.error(ErrorKind::Timeout, "no answer before the deadline")),
            (Progress::SENT, false) => {
                Failure::Lost(self.error(ErrorKind::Unreachable, "the question was given up; see the log"))
            }
            (Progress::CONNECTING, true) => {
                Failure::NotSent(self.error(ErrorKind::Timeout, "no connection before the deadline"))
            }
            _ => Failure::NotSent(self.error(ErrorKind::Overloaded, "no free connection before the deadline")),
        })
    }

    /// The queue of this runtime's workers; starts those that are missing.
    fn queue(&self) -> Result<Sender<Job<C>>, LookupError> {
        let handle = Handle::try_current().map_err(|_| self.error(ErrorKind::Overloaded, "asked outside a runtime"))?;
        let id = handle.id();
        let mut teams = lock(&self.teams);
        teams.retain(|team| team.runtime == id || team.members.iter().any(|member| member.strong_count() > 0));
        let found = teams.iter().position(|team| team.runtime == id);
        let at = found.unwrap_or_else(|| {
            let (queue, jobs) = async_channel::bounded(QUEUE_MAX);
            let members = (0..self.connections).map(|_| Weak::new()).collect();
            teams.push(Team { runtime: id, queue, jobs, members });
            teams.len() - 1
        });
        let Some(team) = teams.get_mut(at) else { return Err(self.error(ErrorKind::Overloaded, "no workers")) };
        for member in team.members.iter_mut().filter(|member| member.strong_count() == 0) {
            let alive = Arc::new(());
            *member = Arc::downgrade(&alive);
            let back = team.queue.downgrade();
            handle.spawn(work(Arc::clone(&self.shared), team.jobs.clone(), back, alive));
        }
        Ok(team.queue.clone())
    }

    fn error(&self, kind: ErrorKind, what: impl Into<String>) -> LookupError {
        LookupError::new(kind, self.shared.connector.place(), what)
    }
}

/// Locks; what is guarded in these modules is never left half changed, so a poisoned lock is still good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a connection may lie idle before a question trusts it unpinged. A lookup finds a broken one out by itself
/// and asks again; a login may not, and a half-open one would cost either its whole deadline.
fn trusted_for(again: Again) -> Duration {
    match again {
        Again::Allowed => Duration::from_secs(30),
        Again::Never => Duration::from_secs(1),
    }
}
