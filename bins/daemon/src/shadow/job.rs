//! One question, from the line to the verdict.

use super::question::Question;
use super::{Shadow, Told};
use crate::answer::Ground;
use crate::daemon::Daemon;
use futures_util::FutureExt;
use qmail_lookup_core::compare::differing;
use qmail_lookup_core::{Deadline, LookupError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// How a question to the second store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// Both have something about it, and not the same.
    Differs,
    /// Only the daemon's own store has something about it.
    OnlyPrimary,
    OnlyShadow,
    /// The second store gave no answer.
    NotAsked,
    /// There was no room, or the configuration was read again meanwhile.
    Dropped,
    /// The daemon's own store gave no answer that could be compared.
    Skipped,
    /// They differed, and were the same a moment later.
    Settled,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::OnlyPrimary => "only_primary",
            Self::OnlyShadow => "only_shadow",
            Self::NotAsked => "not_asked",
            Self::Dropped => "dropped",
            Self::Skipped => "skipped",
            Self::Settled => "settled",
        }
    }

    /// The verdict on two answers, and the fields that differ.
    pub(super) fn of(primary: &Told, shadow: &Told) -> (Self, Vec<&'static str>) {
        match (primary, shadow) {
            (Told::Unknown, _) => (Self::Skipped, Vec::new()),
            (_, Told::Unknown) => (Self::NotAsked, Vec::new()),
            (Told::Absent, Told::Absent) => (Self::Same, Vec::new()),
            (Told::Found(_), Told::Absent) => (Self::OnlyPrimary, Vec::new()),
            (Told::Absent, Told::Found(_)) => (Self::OnlyShadow, Vec::new()),
            (Told::Found(ours), Told::Found(theirs)) => {
                let fields = differing(ours, theirs);
                (if fields.is_empty() { Self::Same } else { Self::Differs }, fields)
            }
        }
    }

    fn is_disagreement(self) -> bool {
        matches!(self, Self::Differs | Self::OnlyPrimary | Self::OnlyShadow)
    }
}

/// Starts what is offered, until the daemon is gone.
pub(crate) fn start(daemon: &Arc<Daemon>) {
    let Some(mut jobs) = daemon.shadow.end() else { return };
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        while let Some(job) = jobs.recv().await {
            tokio::spawn(job.run(Arc::clone(&daemon)));
        }
    });
}

/// See the module.
pub(super) struct Job {
    shadow: Arc<Shadow>,
    question: Question,
    key: Box<[u8]>,
    /// What went out.
    answer: Told,
    /// In the line, until the verdict.
    _place: OwnedSemaphorePermit,
}

impl Job {
    pub(super) fn new(
        shadow: Arc<Shadow>,
        question: Question,
        key: &[u8],
        answer: Told,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { shadow, question, key: key.into(), answer, _place: place }
    }

    async fn run(self, daemon: Arc<Daemon>) {
        let verdict = match AssertUnwindSafe(self.judge(&daemon)).catch_unwind().await {
            Ok(verdict) => verdict,
            Err(_) => {
                daemon.metrics.panics.inc();
                tracing::error!(question = self.question.as_str(), "a bug: the second store's answer has no verdict");
                Verdict::NotAsked
            }
        };
        daemon.metrics.shadow(self.question.as_str(), verdict);
    }

    async fn judge(&self, daemon: &Daemon) -> Verdict {
        let Some(theirs) = self.ask_shadow(daemon).await else { return Verdict::Dropped };
        let (verdict, _) = Verdict::of(&self.answer, &theirs);
        if !verdict.is_disagreement() {
            return verdict;
        }
        // An edit may have come between the two.
        tokio::time::sleep(self.shadow.pause).await;
        let Some(ours) = self.ask_primary(daemon).await else { return Verdict::Dropped };
        if ours == Told::Unknown {
            return Verdict::Skipped;
        }
        let Some(theirs) = self.ask_shadow(daemon).await else { return Verdict::Dropped };
        let (verdict, fields) = Verdict::of(&ours, &theirs);
        if verdict == Verdict::Same {
            return Verdict::Settled;
        }
        if verdict.is_disagreement() {
            self.tell(verdict, &fields);
        }
        verdict
    }

    /// Names the question, the key and the fields; never what is in them.
    fn tell(&self, verdict: Verdict, fields: &[&str]) {
        let (question, key) = (self.question.as_str(), self.question.shown(&self.key));
        if let Some(suppressed) = self.shadow.quiet.may_say(&format!("{question} {key}")) {
            let (verdict, fields) = (verdict.as_str(), fields.join(" "));
            tracing::warn!(question, %key, verdict, %fields, suppressed, "the second store says something else");
        }
    }

    /// What the second store says now. None if it is the second store no more.
    async fn ask_shadow(&self, daemon: &Daemon) -> Option<Told> {
        let _turn = self.shadow.parallel.acquire().await.ok()?;
        let by = Deadline::after(self.shadow.deadline);
        let state = daemon.state.load_full();
        let ground = Ground { system: &self.shadow.system, state: &state, lookup: &self.shadow.lookup };
        let told = self.ask(&ground, by).await.unwrap_or_else(|error| {
            let text = error.to_string();
            if let Some(suppressed) = self.shadow.quiet.may_say(&text) {
                tracing::warn!(question = self.question.as_str(), suppressed, "no answer of the second store: {text}");
            }
            Told::Unknown
        });
        Some(told)
    }

    /// What our own store says now; as above.
    async fn ask_primary(&self, daemon: &Daemon) -> Option<Told> {
        let _turn = self.shadow.parallel.acquire().await.ok()?;
        let state = daemon.state.load_full();
        let by = Deadline::after(state.config.deadline);
        let ground = Ground { system: &self.shadow.system, state: &state, lookup: &state.lookup };
        Some(self.ask(&ground, by).await.unwrap_or(Told::Unknown))
    }

    /// Boxed, so that what waits for its turn is small.
    async fn ask(&self, ground: &Ground<'_>, by: Deadline) -> Result<Told, LookupError> {
        let told = Box::pin(self.question.ask(ground, &self.key, by)).await?;
        Ok(told.shortened(&self.shadow.hasher))
    }
}
