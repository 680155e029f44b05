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

/// How often those who wait look whether a pending attempt has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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
            if failed.at.elapsed() < OPEN_FOR || failed.is_tried_alone() {
                return Err(failed.error.clone());
            }
            failed.attempt = Some(Instant::now());
        }
        Ok(Pass(self))
    }

    /// When to look again whether an attempt is welcome; `None` if it is now.
    pub(super) fn open_until(&self) -> Option<Instant> {
        let state = lock(&self.0);
        let failed = state.as_ref()?;
        let (now, until) = (Instant::now(), failed.at + OPEN_FOR);
        if until > now {
            return Some(until);
        }
        failed.is_tried_alone().then(|| now + LOOK_AGAIN)
    }
}

impl Failed {
    /// True while somebody else's attempt is waited for.
    fn is_tried_alone(&self) -> bool {
        self.attempt.is_some_and(|since| since.elapsed() < ATTEMPT_ALONE)
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
