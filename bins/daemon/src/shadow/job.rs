//! One question, from the line to the verdict. All of it is on the second store's thread.

use super::question::Question;
use super::{Shadow, Told, remote};
use crate::answer::Ground;
use crate::daemon::Daemon;
use futures_util::FutureExt;
use qmail_lookup_core::compare::differing;
use qmail_lookup_core::{Deadline, ErrorKind, Lookup, LookupError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// The stores give up by themselves at the deadline; this is for one that does not. Unit: time after the deadline.
const GRACE: Duration = Duration::from_millis(200);

/// How a question to the second store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// Both have something about it, or neither, and what they say is not the same.
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
    /// It differed from what went out, and the daemon's own store was not asked again: too many did at that time.
    Unsettled,
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
            Self::Unsettled => "unsettled",
        }
    }

    /// The verdict on two answers, and the fields that differ.
    pub(super) fn of(primary: &Told, shadow: &Told) -> (Self, Vec<&'static str>) {
        let ((Told::Found(ours), Told::Found(theirs)) | (Told::Absent(ours), Told::Absent(theirs))) = (primary, shadow)
        else {
            let verdict = match (primary, shadow) {
                (Told::Unknown, _) => Self::Skipped,
                (_, Told::Unknown) => Self::NotAsked,
                (Told::Found(_), _) => Self::OnlyPrimary,
                (Told::Absent(_), _) => Self::OnlyShadow,
            };
            return (verdict, Vec::new());
        };
        let fields = differing(ours, theirs);
        (if fields.is_empty() { Self::Same } else { Self::Differs }, fields)
    }

    fn is_disagreement(self) -> bool {
        matches!(self, Self::Differs | Self::OnlyPrimary | Self::OnlyShadow)
    }
}

/// See the module.
pub(super) struct Job {
    pub(super) shadow: Arc<Shadow>,
    pub(super) question: Question,
    pub(super) key: Box<[u8]>,
    /// What went out.
    pub(super) answer: Told,
    /// In the line, until the verdict.
    pub(super) _place: [OwnedSemaphorePermit; 2],
}

impl Job {
    /// `home` is where the daemon's own store is asked.
    pub(super) async fn run(self, daemon: Arc<Daemon>, home: Handle) {
        let verdict = match AssertUnwindSafe(self.judge(&daemon, &home)).catch_unwind().await {
            Ok(verdict) => verdict,
            Err(_) => {
                daemon.metrics.panics.inc();
                tracing::error!(question = self.question.as_str(), "a bug: the second store's answer has no verdict");
                Verdict::NotAsked
            }
        };
        daemon.metrics.shadow(self.question.as_str(), verdict);
        self.shadow.say_left_out();
    }

    async fn judge(&self, daemon: &Daemon, home: &Handle) -> Verdict {
        let Some(theirs) = self.ask_shadow(daemon).await else { return Verdict::Dropped };
        let (verdict, _) = Verdict::of(&self.answer, &theirs);
        if !verdict.is_disagreement() {
            return verdict;
        }
        // An edit may have come between the two. The second store is asked first: where it lacks much, our own must not
        // get every question twice.
        tokio::time::sleep(self.shadow.pause).await;
        let Some(theirs) = self.ask_shadow(daemon).await else { return Verdict::Dropped };
        match Verdict::of(&self.answer, &theirs).0 {
            Verdict::Same => return Verdict::Settled,
            verdict if !verdict.is_disagreement() => return verdict,
            _ if !self.shadow.again.take() => return Verdict::Unsettled,
            _ => {}
        }
        let Some(ours) = self.ask_primary(daemon, home).await else { return Verdict::Dropped };
        let (verdict, fields) = Verdict::of(&ours, &theirs);
        if verdict.is_disagreement() {
            self.tell(verdict, &fields);
        }
        if verdict == Verdict::Same { Verdict::Settled } else { verdict }
    }

    /// Names the question, the key and the fields; never what is in them.
    fn tell(&self, verdict: Verdict, fields: &[&str]) {
        let (question, name, fields) = (self.question.as_str(), verdict.as_str(), fields.join(" "));
        // What our own store does not know was typed by somebody, and may be a password in the wrong place.
        let key =
            (!(self.question.is_typed() && verdict == Verdict::OnlyShadow)).then(|| self.question.shown(&self.key));
        let said = self.shadow.quiet.may_say(&format!("{question} {}", key.as_deref().unwrap_or_default()));
        match (said, key) {
            (Some(suppressed), Some(key)) => {
                tracing::warn!(question, %key, verdict = name, %fields, suppressed, "the second store says something else");
            }
            (Some(suppressed), None) => {
                tracing::warn!(question, verdict = name, suppressed, "the second store says something else");
            }
            (None, _) => {}
        }
    }

    /// What the second store says now. None if it is the second store no more.
    async fn ask_shadow(&self, daemon: &Daemon) -> Option<Told> {
        let by = || Deadline::after(self.shadow.deadline);
        let told = self.ask(daemon, &self.shadow.lookup, by).await?;
        Some(told.unwrap_or_else(|error| {
            let text = if self.question.is_typed() {
                // The words of this error may quote what was typed.
                format!("{}: {}", error.place(), error.kind().as_str())
            } else {
                error.to_string()
            };
            if let Some(suppressed) = self.shadow.troubles.may_say(&text) {
                tracing::warn!(question = self.question.as_str(), suppressed, "no answer of the second store: {text}");
            }
            Told::Unknown
        }))
    }

    /// What our own store says now; as above.
    async fn ask_primary(&self, daemon: &Daemon, home: &Handle) -> Option<Told> {
        let state = daemon.state.load_full();
        let by = || Deadline::after(state.config.deadline);
        Some(self.ask(daemon, &remote::lookup(&state.lookup, home), by).await?.unwrap_or(Told::Unknown))
    }

    async fn ask(
        &self,
        daemon: &Daemon,
        lookup: &Lookup,
        by: impl FnOnce() -> Deadline,
    ) -> Option<Result<Told, LookupError>> {
        let _turn = self.shadow.parallel.acquire().await.ok()?;
        let (state, by) = (daemon.state.load_full(), by());
        let ground = Ground { system: &self.shadow.system, state: &state, lookup };
        // Boxed, so that what waits for its turn is small.
        let asked = Box::pin(self.question.ask(&ground, &self.key, by));
        let told = match tokio::time::timeout_at((by.instant() + GRACE).into(), asked).await {
            Ok(told) => told,
            Err(_) => {
                Err(LookupError::new(ErrorKind::Timeout, lookup.mailbox.place(), "no answer before the deadline"))
            }
        };
        Some(told.map(|told| told.shortened(&self.shadow.hasher)))
    }
}
