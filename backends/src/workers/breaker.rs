//! Remembers that a server could not be reached, so that not every question has to find out by itself.

use super::lock;
use qmail_lookup_core::LookupError;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a failed connect answers for all.
const OPEN_FOR: Duration = Duration::from_millis(500);

/// After this long a pending attempt no longer keeps others from trying: the server may be back, and the attempt hang
/// on a packet that was lost while it was away.
const ATTEMPT_ALONE: Duration = Duration::from_secs(1);

/// The last failed connect, if none succeeded since.
#[derive(Default)]
pub(super) struct Breaker(Mutex<Option<Failed>>);

struct Failed {
    error: LookupError,
    at: Instant,
    attempt: Option<Instant>,
}

impl Breaker {
    /// Leave to connect; the last error if it is too early, or somebody else is trying.
    pub(super) fn enter(&self) -> Result<Pass<'_>, LookupError> {
        let mut state = lock(&self.0);
        if let Some(failed) = state.as_mut() {
            let tried_alone = failed.attempt.is_some_and(|since| since.elapsed() < ATTEMPT_ALONE);
            if failed.at.elapsed() < OPEN_FOR || tried_alone {
                return Err(failed.error.clone());
            }
            failed.attempt = Some(Instant::now());
        }
        Ok(Pass(self))
    }

    /// When the next attempt is welcome; `None` if it is now.
    pub(super) fn open_until(&self) -> Option<Instant> {
        let until = lock(&self.0).as_ref().map(|failed| failed.at + OPEN_FOR);
        until.filter(|&until| until > Instant::now())
    }
}

/// Leave to connect. Dropped without a verdict it leaves everything as it was.
pub(super) struct Pass<'a>(&'a Breaker);

impl Pass<'_> {
    /// Connected.
    pub(super) fn succeeded(self) {
        *lock(&self.0.0) = None;
    }

    /// Could not connect: nobody needs to try for a while.
    pub(super) fn failed(self, error: LookupError) {
        *lock(&self.0.0) = Some(Failed { error, at: Instant::now(), attempt: None });
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(failed) = lock(&self.0.0).as_mut() {
            failed.attempt = None;
        }
    }
}
