//! A second store is asked what the daemon was asked, once the answer is there, to see whether it would have said the
//! same. Disagreements are counted and logged. Whatever happens here, mail does not notice.
//!
//! | what | room |
//! |---|---|
//! | what is put to both stores, and how | `question` |
//! | answers as fields | `told` |
//! | one question, from the line to the verdict | `job` |
//! | the second store's own thread, where all of that is | `thread` |
//! | the daemon's own store, asked from there | `remote` |
//! | how often it is asked again | `rate` |

mod job;
mod question;
mod rate;
mod remote;
mod thread;
mod told;

#[cfg(test)]
mod tests;

pub(crate) use job::Verdict;
pub(crate) use question::Question;
pub(crate) use told::Told;

use crate::daemon::Daemon;
use crate::quiet::Quiet;
use crate::system::System;
use job::Job;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, ShadowStores, Warning};
use qmail_lookup_core::Lookup;
use rate::Rate;
use std::hash::RandomState;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use thread::Thread;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How long a key, or a trouble, stays quiet after it was logged.
const QUIET: Duration = Duration::from_secs(60);

/// How long a disagreement is left alone before the second store is asked again: an edit reaches both one after the
/// other.
const PAUSE: Duration = Duration::from_secs(1);

/// How often our own store is asked again where they still disagree. Unit: questions a second.
const AGAIN: u32 = 5;

/// Most that is kept of questions that are under way or wait. Unit: bytes.
const BYTES: usize = 8 << 20;

/// The second store of one state, and how much it may be asked.
pub(crate) struct Shadow {
    lookup: Lookup,
    thread: Thread,
    /// Its own, so that looking users up for it takes nobody's turn.
    system: System,
    /// Time for a question.
    deadline: Duration,
    /// Questions that are asked at once; closed when the state is another one.
    parallel: Semaphore,
    /// Questions that are under way or wait.
    places: Arc<Semaphore>,
    room: usize,
    /// What they may take.
    bytes: Arc<Semaphore>,
    again: Rate,
    /// For keys that differ.
    quiet: Quiet,
    /// For errors of the second store.
    troubles: Quiet,
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
    /// Its stores, one line each, for people.
    pub(crate) lines: Vec<String>,
}

impl Opened {
    /// A shadow that cannot be used is no reason to leave mail without answers.
    pub(crate) fn of(config: &Config, registry: &Registry) -> Self {
        let opened = match config.open_shadow(registry) {
            None => return Self::default(),
            Some(opened) => opened.map_err(|error| error.to_string()),
        };
        let queue = usize::try_from(config.shadow.queue).unwrap_or(usize::MAX);
        let started = opened.and_then(|ShadowStores { stores, deadline, warnings, lines }| {
            let lookup = stores.lookup(&config.rules);
            let shadow = Shadow::start(lookup, deadline, config.shadow.parallel.into(), queue);
            let shadow = shadow.map_err(|error| format!("its thread cannot be started: {error}"))?;
            Ok(Self { shadow: Some(Arc::new(shadow)), unusable: None, warnings, lines })
        });
        started.unwrap_or_else(|why| Self { unusable: Some(why), ..Self::default() })
    }

    /// Ends what still waits, because another state is in force.
    pub(crate) fn end(&self) {
        if let Some(shadow) = &self.shadow {
            shadow.parallel.close();
            shadow.tell_left_out(shadow.quiet.rest());
        }
    }

    /// Questions that are under way or wait.
    pub(crate) fn waiting(&self) -> usize {
        self.shadow.as_ref().map_or(0, |shadow| shadow.room.saturating_sub(shadow.places.available_permits()))
    }
}

impl Shadow {
    fn start(lookup: Lookup, deadline: Duration, parallel: usize, queue: usize) -> std::io::Result<Self> {
        let room = parallel.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            lookup,
            thread: Thread::start()?,
            system: System::default(),
            deadline,
            parallel: Semaphore::new(parallel),
            places: Arc::new(Semaphore::new(room)),
            room,
            bytes: Arc::new(Semaphore::new(BYTES)),
            again: Rate::a_second(AGAIN),
            quiet: Quiet::every(QUIET),
            troubles: Quiet::every(QUIET),
            hasher: RandomState::new(),
            pause: PAUSE,
        })
    }

    fn say_left_out(&self) {
        self.tell_left_out(self.quiet.left_out());
    }

    fn tell_left_out(&self, suppressed: Option<u64>) {
        if let Some(suppressed) = suppressed {
            tracing::warn!(suppressed, "the second store says something else about more keys than are logged");
        }
    }
}

/// The way of questions from the event loop to the second store's thread.
#[derive(Default)]
pub(crate) struct Line(OnceLock<(Weak<Daemon>, Handle)>);

/// From now on the second store is asked; our own one where this is called.
pub(crate) fn start(daemon: &Arc<Daemon>) {
    // A second start would be the same.
    let _ = daemon.shadow.0.set((Arc::downgrade(daemon), Handle::current()));
}

/// Puts the question to the second store too, if there is one and it has room. Never waits. `answer` is what was
/// answered; `key` holds no password.
pub(crate) fn offer(daemon: &Daemon, question: Question, key: &[u8], answer: impl FnOnce() -> Told) {
    let state = daemon.state.load();
    let Some(shadow) = &state.shadow.shadow else { return };
    let offered = place(daemon, shadow, question, key, answer);
    if let Err(verdict) = offered {
        daemon.metrics.shadow(question.as_str(), verdict);
    }
}

fn place(
    daemon: &Daemon,
    shadow: &Arc<Shadow>,
    question: Question,
    key: &[u8],
    answer: impl FnOnce() -> Told,
) -> Result<(), Verdict> {
    let full = |_| Verdict::Dropped;
    let place = Arc::clone(&shadow.places).try_acquire_owned().map_err(full)?;
    let answer = answer().shortened(&shadow.hasher);
    if answer == Told::Unknown {
        return Err(Verdict::Skipped);
    }
    let size = u32::try_from(size_of::<Job>() + key.len() + answer.size()).unwrap_or(u32::MAX);
    let bytes = Arc::clone(&shadow.bytes).try_acquire_many_owned(size).map_err(full)?;
    let (daemon, home) = daemon.shadow.0.get().ok_or(Verdict::Dropped)?;
    let daemon = daemon.upgrade().ok_or(Verdict::Dropped)?;
    let job = Job { shadow: Arc::clone(shadow), question, key: key.into(), answer, _place: [place, bytes] };
    shadow.thread.run(job.run(daemon, home.clone()));
    Ok(())
}
