//! One worker: takes questions from the queue and asks them over the connection it owns.

use super::breaker::Breaker;
use super::{Again, Connector, Failure, Job, Progress, Task, trusted_for};
use async_channel::{Receiver, WeakSender};
use futures_util::FutureExt;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, timeout_at};

/// A connection older than this is replaced between two questions, so that changed names and grants are seen.
const RENEW_AFTER: Duration = Duration::from_secs(15 * 60);

/// A connect that had less time than this says nothing about the server when it runs out of it.
const FAIR_CONNECT: Duration = Duration::from_millis(250);

/// How much earlier than its caller a connect gives up.
const HEAD_START: Duration = Duration::from_millis(50);

/// Longest a ping may take; a caller waits for it.
const PING_MAX: Duration = Duration::from_secs(1);

/// What the workers of one server have in common.
pub(super) struct Shared<C> {
    pub(super) connector: C,
    breaker: Breaker,
    /// Connections there are, and attempts to make one.
    hopeful: Arc<AtomicUsize>,
}

/// An open connection.
struct Live<T> {
    conn: T,
    renew_at: Instant,
    last_used: Instant,
    _counted: Counted,
}

/// Counts a connection, from the attempt to its end.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The life of one worker. It ends when all senders are gone.
pub(super) async fn work<C: Connector>(
    shared: Arc<Shared<C>>,
    jobs: Receiver<Job<C>>,
    back: WeakSender<Job<C>>,
    _alive: Arc<()>,
) {
    let mut slot = None;
    loop {
        if slot.is_none() {
            shared.hold_back().await;
        }
        let Ok(job) = jobs.recv().await else { break };
        if AssertUnwindSafe(shared.serve(&mut slot, job, &back)).catch_unwind().await.is_err() {
            slot = None;
            tracing::error!(place = shared.connector.place(), "a worker panicked; its question was given up");
        }
    }
    if let Some(live) = slot {
        shared.connector.close(live.conn).await;
    }
}

impl<C: Connector> Shared<C> {
    pub(super) fn new(connector: C) -> Self {
        Self { connector, breaker: Breaker::default(), hopeful: Arc::default() }
    }

    /// A worker that cannot get a connection leaves the questions to those that have one or are about to.
    async fn hold_back(&self) {
        while let Some(until) = self.breaker.open_until() {
            if !self.others_may() {
                return;
            }
            sleep_until(until.into()).await;
        }
    }

    /// True if another worker has a connection or may get one. Asked only by workers that have none.
    fn others_may(&self) -> bool {
        self.hopeful.load(Ordering::Acquire) > 0
    }

    async fn connect(&self, by: Deadline) -> Result<Live<C::Conn>, LookupError> {
        let pass = self.breaker.enter()?;
        let counted = Counted::new(&self.hopeful);
        let fair = by.left() >= FAIR_CONNECT;
        // A little before the caller gives up, so that whoever asks next finds the breaker open.
        let left = by.left();
        let by = by.or_after(left.saturating_sub((left / 8).min(HEAD_START)));
        let result = timeout_at(by.instant().into(), self.connector.connect(by)).await;
        let error = match result {
            Ok(Ok(conn)) => {
                pass.succeeded();
                let now = Instant::now();
                return Ok(Live { conn, renew_at: now + RENEW_AFTER, last_used: now, _counted: counted });
            }
            Ok(Err(error)) => error,
            Err(_) => self.timeout("no connection before the deadline"),
        };
        if fair || error.kind() != ErrorKind::Timeout {
            pass.failed(error.clone());
        }
        Err(error)
    }

    async fn is_alive(&self, conn: &mut C::Conn, by: Deadline) -> bool {
        let by = by.or_after(PING_MAX.min(by.left() / 2));
        matches!(timeout_at(by.instant().into(), self.connector.alive(conn, by)).await, Ok(true))
    }

    async fn serve(&self, slot: &mut Option<Live<C::Conn>>, mut job: Job<C>, back: &WeakSender<Job<C>>) {
        if job.by.passed() || job.reply.is_closed() || !job.progress.reach(Progress::CONNECTING) {
            return;
        }
        let mut kept = slot.take();
        let doubtful = |live: &Live<C::Conn>| live.last_used.elapsed() > trusted_for(job.again);
        if let Some(live) = kept.as_mut().filter(|live| doubtful(live))
            && !self.is_alive(&mut live.conn, job.by).await
        {
            kept = None;
        }
        let mut used = kept.is_some();
        let mut live = match kept {
            Some(live) => live,
            None => match self.connect(job.by).await {
                Ok(live) => live,
                Err(error) => {
                    // Too many connections is a reason not to get one, and then others can answer.
                    if self.others_may() {
                        match back.upgrade().map(|queue| queue.try_send(job)) {
                            Some(Err(full)) => job = full.into_inner(),
                            Some(Ok(())) | None => return,
                        }
                    }
                    let _ = job.reply.send(Err(Failure::NotSent(error)));
                    return;
                }
            },
        };
        if !job.progress.reach(Progress::SENT) {
            *slot = Some(live);
            return;
        }
        loop {
            match self.run(&mut live.conn, &job).await {
                Err(Failure::Lost(_)) if used && job.again == Again::Allowed && !job.by.passed() => {
                    drop(live);
                    used = false;
                    live = match self.connect(job.by).await {
                        Ok(live) => live,
                        Err(error) => {
                            let _ = job.reply.send(Err(Failure::Lost(error)));
                            return;
                        }
                    };
                }
                Err(Failure::Lost(error)) => {
                    drop(live);
                    let _ = job.reply.send(Err(Failure::Lost(error)));
                    return;
                }
                clean => {
                    live.last_used = Instant::now();
                    let _ = job.reply.send(clean);
                    break;
                }
            }
        }
        *slot = Some(self.renewed(live).await);
    }

    async fn run(&self, conn: &mut C::Conn, job: &Job<C>) -> Result<Option<C::Reply>, Failure> {
        let Task::Ask(request) = &job.task else {
            let alive = self.is_alive(conn, job.by).await;
            return if alive { Ok(None) } else { Err(Failure::Lost(self.timeout("does not answer"))) };
        };
        match timeout_at(job.by.instant().into(), self.connector.run(conn, request, job.by)).await {
            Ok(result) => result.map(Some),
            Err(_) => Err(Failure::Lost(self.timeout("no answer before the deadline"))),
        }
    }

    /// Replaces an old connection while nobody waits for it. If that fails the old one stays.
    async fn renewed(&self, mut live: Live<C::Conn>) -> Live<C::Conn> {
        if live.renew_at > Instant::now() {
            return live;
        }
        match self.connect(Deadline::after(PING_MAX)).await {
            Ok(new) => {
                self.connector.close(live.conn).await;
                new
            }
            Err(_) => {
                live.renew_at = Instant::now() + RENEW_AFTER / 15;
                live
            }
        }
    }

    fn timeout(&self, what: &str) -> LookupError {
        LookupError::new(ErrorKind::Timeout, self.connector.place(), what)
    }
}
