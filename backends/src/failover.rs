//! Several servers in order of preference, and the only retry there is.
//!
//! A question goes to the most preferred server that is not known to be down, and to the next one if that one cannot
//! be reached, breaks or stays silent; a server's own error is final. What has failed is skipped while another one
//! works and tried again in the background, so that no caller pays for finding out that it is back.

#[cfg(test)]
mod tests;

use crate::workers::{Again, Connector, Failure, Workers, lock};
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// First and longest pause before a failed server is tried again.
const RETEST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Longest a background test may take.
const RETEST_MAX: Duration = Duration::from_secs(5);

/// A server that had less time than this is not down because it did not answer.
const FAIR_SHARE: Duration = Duration::from_millis(250);

/// A server that fails again this soon after it came back is trusted more slowly.
const FLAPPING: Duration = Duration::from_secs(60);

/// The servers of one store.
pub struct Failover<C: Connector> {
    servers: Vec<Arc<Server<C>>>,
    place: String,
}

struct Server<C: Connector> {
    workers: Workers<C>,
    health: Mutex<Health>,
    testing: AtomicBool,
}

#[derive(Default)]
struct Health {
    down: bool,
    /// Pause before the next test.
    pause: Duration,
    restored: Option<Instant>,
}

impl<C: Connector> Failover<C> {
    /// `servers` in order of preference, `connections` to each. Connects to nothing.
    #[must_use]
    pub fn new(servers: Vec<C>, connections: usize) -> Self {
        let place = servers.iter().map(Connector::place).collect::<Vec<_>>().join(", ");
        let server = |connector| {
            Arc::new(Server {
                workers: Workers::new(connector, connections),
                health: Mutex::default(),
                testing: AtomicBool::new(false),
            })
        };
        Self { servers: servers.into_iter().map(server).collect(), place }
    }

    /// All servers, as the administrator knows them.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The servers in the order in which a question would try them now.
    pub fn connectors(&self) -> impl Iterator<Item = &C> {
        self.in_order().0.into_iter().map(|server| server.workers.connector())
    }

    /// Asks, before `by`.
    ///
    /// # Errors
    /// The server's own error, or why each server could not be asked.
    pub async fn ask(&self, request: C::Request, by: Deadline, again: Again) -> Result<C::Reply, LookupError> {
        let reply = self.each(Some(&Arc::new(request)), by, again).await?;
        reply.ok_or_else(|| LookupError::new(ErrorKind::Unreachable, self.place.clone(), "no answer"))
    }

    /// Succeeds if a server answers on a connection that questions use.
    ///
    /// # Errors
    /// Why each server did not.
    pub async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.each(None, by, Again::Allowed).await.map(drop)
    }

    /// Servers that work, then those known to be down; and how many work.
    fn in_order(&self) -> (Vec<&Arc<Server<C>>>, usize) {
        let (up, down): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| !lock(&server.health).down);
        let working = up.len();
        (up.into_iter().chain(down).collect(), working)
    }

    /// Asks `request` of one server after the other, or only whether it is there.
    async fn each(
        &self,
        request: Option<&Arc<C::Request>>,
        by: Deadline,
        again: Again,
    ) -> Result<Option<C::Reply>, LookupError> {
        let (order, working) = self.in_order();
        for server in order.iter().skip(working) {
            server.test();
        }
        let mut errors = Vec::new();
        for (n, server) in order.iter().enumerate() {
            if n > 0 && by.passed() {
                errors.push(LookupError::new(ErrorKind::Timeout, server.place(), "not tried, no time left"));
                continue;
            }
            let share = share(by, n, working, order.len());
            let fair = share.left() >= FAIR_SHARE;
            let result = match request {
                Some(request) => server.workers.ask(Arc::clone(request), share, again).await.map(Some),
                None => server.workers.probe(share).await.map(|()| None),
            };
            match result {
                Ok(reply) => {
                    server.works();
                    return Ok(reply);
                }
                Err(Failure::Answered(error)) => {
                    server.works();
                    return Err(error);
                }
                Err(Failure::Lost(error)) => {
                    if fair || error.kind() != ErrorKind::Timeout {
                        self.fails(server, &error);
                    }
                    if again == Again::Never {
                        return Err(error);
                    }
                    errors.push(error);
                }
                Err(Failure::NotSent(error)) => {
                    if error.kind() != ErrorKind::Overloaded && (fair || error.kind() != ErrorKind::Timeout) {
                        self.fails(server, &error);
                    }
                    errors.push(error);
                }
            }
        }
        Err(self.none_reached(errors))
    }

    fn fails(&self, server: &Arc<Server<C>>, error: &LookupError) {
        if self.servers.len() > 1 {
            server.fails(error);
        }
    }

    /// One error for all servers, from those of each.
    #[must_use]
    pub fn none_reached(&self, mut errors: Vec<LookupError>) -> LookupError {
        if errors.len() == 1
            && let Some(only) = errors.pop()
        {
            return only;
        }
        let first = errors.first().map_or(ErrorKind::Unreachable, LookupError::kind);
        let same = errors.iter().all(|error| error.kind() == first);
        let reasons = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let kind = if same { first } else { ErrorKind::Unreachable };
        let error = LookupError::new(kind, self.place.clone(), format!("no server could be asked: {reasons}"));
        match errors.iter().find_map(LookupError::help) {
            Some(help) => error.with_help(help),
            None => error,
        }
    }
}

/// How long the `n`th server of `all` may take, of which the first `working` are not known to be down: an equal part
/// of what is left. The last one that works gets most of it, for those behind it are not expected to answer.
fn share(by: Deadline, n: usize, working: usize, all: usize) -> Deadline {
    let left = by.left();
    let part = match (working.saturating_sub(n), all.saturating_sub(n)) {
        (_, 0 | 1) => return by,
        (1, _) => left / 4 * 3,
        (0, behind) | (behind, _) => left / u32::try_from(behind).unwrap_or(u32::MAX),
    };
    by.or_after(part)
}

impl<C: Connector> Server<C> {
    fn place(&self) -> &str {
        self.workers.connector().place()
    }

    fn works(&self) {
        let mut health = lock(&self.health);
        if health.down {
            health.down = false;
            health.restored = Some(Instant::now());
            tracing::info!(place = self.place(), "the server is back");
        }
    }

    fn fails(self: &Arc<Self>, error: &LookupError) {
        {
            let mut health = lock(&self.health);
            if !health.down {
                let flapping = health.restored.is_some_and(|since| since.elapsed() < FLAPPING);
                health.pause = if flapping { (health.pause * 2).clamp(RETEST.0, RETEST.1) } else { RETEST.0 };
                health.down = true;
                tracing::warn!(
                    place = self.place(),
                    what = error.what(),
                    "skipping the server while another one works"
                );
            }
        }
        self.test();
    }

    /// Tests it in the background until it works.
    fn test(self: &Arc<Self>) {
        if !self.testing.swap(true, Ordering::AcqRel) {
            let testing = Testing(Arc::downgrade(self));
            tokio::spawn(testing.until_it_works());
        }
    }
}

/// The background test of one server. If its runtime ends, the next failure starts a new one.
struct Testing<C: Connector>(Weak<Server<C>>);

impl<C: Connector> Testing<C> {
    async fn until_it_works(self) {
        loop {
            let Some(pause) = self.0.upgrade().map(|server| lock(&server.health).pause) else { return };
            tokio::time::sleep(pause).await;
            let Some(server) = self.0.upgrade() else { return };
            if !lock(&server.health).down {
                return;
            }
            if server.workers.probe(Deadline::after(RETEST_MAX)).await.is_ok() {
                server.works();
                return;
            }
            let mut health = lock(&server.health);
            health.pause = (health.pause * 2).clamp(RETEST.0, RETEST.1);
        }
    }
}

impl<C: Connector> Drop for Testing<C> {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.testing.store(false, Ordering::Release);
        }
    }
}
