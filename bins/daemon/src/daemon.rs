//! What every task of the daemon shares.

use crate::auth::Gate;
use crate::bounds::Bounds;
use crate::metrics::Metrics;
use crate::overdue::Overdue;
use crate::peer::Peer;
use crate::quiet::Quiet;
use crate::shadow::Line;
use crate::state::State;
use crate::system::System;
use arc_swap::ArcSwap;
use qmail_lookup_core::LookupError;
use qmail_lookup_core::error::printable;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What those who are not root are told about an error: the error itself names servers.
pub(crate) const GENERIC: &str = "try again later; see the log of qmail-lookupd";

/// What those are told who may not ask.
pub(crate) const NOT_ALLOWED: &str = "not allowed";

/// See the module.
pub(crate) struct Daemon {
    pub(crate) state: ArcSwap<State>,
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) system: System,
    pub(crate) metrics: Metrics,
    pub(crate) overdue: Overdue,
    pub(crate) quiet: Quiet,
    /// To the second store.
    pub(crate) shadow: Line,
    /// Cancelled once: no new questions.
    pub(crate) stop: CancellationToken,
    /// Connections.
    pub(crate) tasks: TaskTracker,
}

impl Daemon {
    /// Logs and counts an error, and raises the alarm if it has lasted. `question` is name and key.
    pub(crate) fn trouble(&self, state: &State, question: &[u8], error: &LookupError) {
        self.metrics.error(error.kind());
        let text = error.to_string();
        if let Some(suppressed) = self.quiet.may_say(&text) {
            let (kind, help) = (error.kind().as_str(), error.help());
            tracing::warn!(question = %shown(question), kind, help, suppressed, "no answer: {text}");
        }
        if Overdue::concerns(error.kind())
            && let Some(alarm) = self.overdue.failed(question, &text, state.queue_lifetime)
        {
            self.metrics.alarms.inc();
            tracing::error!(
                question = %shown(question),
                since_seconds = alarm.since.as_secs(),
                times = alarm.times,
                queue_lifetime_seconds = state.queue_lifetime.as_secs(),
                repair = error.help().unwrap_or("repair what the error names"),
                "mail waits, and will bounce when qmail gives up: {text}"
            );
        }
    }

    /// Logs and counts a question of somebody who may not ask it.
    pub(crate) fn refuse(&self, peer: Peer, question: &'static str) {
        self.metrics.refused.inc();
        if let Some(suppressed) = self.quiet.may_say(&format!("{} {question}", peer.uid)) {
            tracing::warn!(uid = peer.uid, pid = peer.pid, question, suppressed, "a question that is not allowed");
        }
    }
}

/// A question for the log: printable, blanks kept, not longer than a line.
pub(crate) fn shown(question: &[u8]) -> String {
    let words: Vec<_> = question.get(..200).unwrap_or(question).split(|&b| b == b' ').map(printable).collect();
    words.join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bounds::Limits;
    use qmail_lookup_backends::registry::Registry;
    use qmail_lookup_config::Sources;

    /// A daemon over an empty store in memory.
    pub(crate) fn daemon() -> Daemon {
        let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
        Daemon {
            state: ArcSwap::from_pointee(State::load(&sources, &Registry::builtin(), None).unwrap()),
            bounds: Arc::new(Bounds::new(Limits { connections: 64, per_uid: 64 })),
            gate: Arc::new(Gate::new(1)),
            system: System::default(),
            metrics: Metrics::default(),
            overdue: Overdue::default(),
            quiet: Quiet::default(),
            shadow: Line::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        assert_eq!(shown(b"getpw a\nb c\xff"), "getpw a\\x0ab c\\xff");
        assert!(shown(&[b'\n'; 5000]).len() <= 800);
    }
}
