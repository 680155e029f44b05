//! A second store is asked what the daemon was asked, once the answer is there, to see whether it would have said the
//! same. Disagreements are counted and logged. Whatever happens here, mail does not notice.
//!
//! | what | room |
//! |---|---|
//! | what is put to both stores, and how | `question` |
//! | answers as fields | `told` |
//! | the store's own thread | `remote` |
//! | one question, from the line to the verdict | `job` |

mod job;
mod question;
mod remote;
mod told;

#[cfg(test)]
mod tests;

pub(crate) use job::{Verdict, start};
pub(crate) use question::Question;
pub(crate) use told::Told;

use crate::daemon::Daemon;
use crate::quiet::Quiet;
use crate::system::System;
use job::Job;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, ShadowStores, Warning};
use qmail_lookup_core::Lookup;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// How long a key, or a trouble, stays quiet after it was logged.
const QUIET: Duration = Duration::from_secs(60);

/// How long a disagreement is left alone before both stores are asked again: an edit reaches them one after the other.
const PAUSE: Duration = Duration::from_secs(1);

/// The second store of one state, and how much it may be asked.
pub(crate) struct Shadow {
    lookup: Lookup,
    /// Its own, so that looking users up for it takes nobody's turn.
    system: System,
    /// Time for a question.
    deadline: Duration,
    /// Questions that are asked at once; closed when the state is another one.
    parallel: Semaphore,
    /// Questions that are under way or wait.
    places: Arc<Semaphore>,
    room: usize,
    quiet: Quiet,
    hasher: RandomState,
    pause: Duration,
}

/// What came of `[shadow]`.
#[derive(Default)]
pub(crate) struct Opened {
    /// None if none is asked for, or if it cannot be used.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// Why it cannot be used.
    pub(crate) unusable: Option<String>,
    pub(crate) warnings: Vec<Warning>,
}

impl Opened {
    /// A shadow that cannot be used is no reason to leave mail without answers.
    pub(crate) fn of(config: &Config, registry: &Registry) -> Self {
        let opened = match config.open_shadow(registry) {
            None => return Self::default(),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(ShadowStores { stores, deadline, warnings })) => {
                let parallel = usize::from(config.shadow.parallel);
                let stores = remote::stores(&stores, parallel);
                let stores = stores.map_err(|error| format!("its thread cannot be started: {error}"));
                stores.map(|stores| (stores.lookup(&config.rules), deadline, warnings))
            }
        };
        match opened {
            Err(why) => Self { unusable: Some(why), ..Self::default() },
            Ok((lookup, deadline, warnings)) => {
                let queue = usize::try_from(config.shadow.queue).unwrap_or(usize::MAX);
                let shadow = Shadow::new(lookup, deadline, config.shadow.parallel.into(), queue);
                Self { shadow: Some(Arc::new(shadow)), unusable: None, warnings }
            }
        }
    }

    /// Ends what still waits, because another state is in force.
    pub(crate) fn end(&self) {
        if let Some(shadow) = &self.shadow {
            shadow.parallel.close();
        }
    }

    /// Questions that are under way or wait.
    pub(crate) fn waiting(&self) -> usize {
        self.shadow.as_ref().map_or(0, |shadow| shadow.room.saturating_sub(shadow.places.available_permits()))
    }
}

impl Shadow {
    fn new(lookup: Lookup, deadline: Duration, parallel: usize, queue: usize) -> Self {
        let room = parallel.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            lookup,
            system: System::default(),
            deadline,
            parallel: Semaphore::new(parallel),
            places: Arc::new(Semaphore::new(room)),
            room,
            quiet: Quiet::every(QUIET),
            hasher: RandomState::new(),
            pause: PAUSE,
        }
    }
}

/// The way of jobs to the task that starts them; [`start`] takes the other end.
pub(crate) struct Line {
    jobs: mpsc::UnboundedSender<Job>,
    end: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

impl Default for Line {
    fn default() -> Self {
        let (jobs, end) = mpsc::unbounded_channel();
        Self { jobs, end: Mutex::new(Some(end)) }
    }
}

impl Line {
    fn end(&self) -> Option<mpsc::UnboundedReceiver<Job>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Puts the question to the second store too, if there is one and it has room. Never waits. `answer` is what was
/// answered; `key` holds no password.
pub(crate) fn offer(daemon: &Daemon, question: Question, key: &[u8], answer: impl FnOnce() -> Told) {
    let state = daemon.state.load();
    let Some(shadow) = &state.shadow.shadow else { return };
    let answer = answer().shortened(&shadow.hasher);
    if answer == Told::Unknown {
        return daemon.metrics.shadow(question.as_str(), Verdict::Skipped);
    }
    let Ok(place) = Arc::clone(&shadow.places).try_acquire_owned() else {
        return daemon.metrics.shadow(question.as_str(), Verdict::Dropped);
    };
    let job = Job::new(Arc::clone(shadow), question, key, answer, place);
    if daemon.shadow.jobs.send(job).is_err() {
        daemon.metrics.shadow(question.as_str(), Verdict::Dropped);
    }
}
