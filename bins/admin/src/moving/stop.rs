//! SIGTERM and SIGINT: what reads ends at once, what writes ends after the batch that is under way.

use crate::output::Failure;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use tokio::signal::unix::{SignalKind, signal};

/// See the module.
#[derive(Default)]
pub(crate) struct Stop {
    asked: Cell<bool>,
    writing: Cell<bool>,
}

impl Stop {
    /// Runs `work`, and gives it up at a signal unless it is writing.
    ///
    /// # Errors
    /// Those of `work`, or that it was stopped.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let cannot = |error| Failure::temporary(format!("cannot catch signals: {error}"));
        let mut term = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut int = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut work = pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if !self.writing.get() {
                return Err(Failure::temporary("stopped by a signal; nothing was under way in the target"));
            }
            self.asked.set(true);
        }
    }

    /// From here on a signal only [asks](Self::was_asked), or no longer.
    pub(crate) fn writes(&self, writing: bool) {
        self.writing.set(writing);
    }

    /// True if there was a signal while writing.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.get()
    }
}
