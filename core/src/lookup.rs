//! Walks the rules against the resolvers: the only async code in this crate.

use crate::Deadline;
use crate::backend::Backend;
use crate::error::{ErrorKind, LookupError, Misconfiguration};
use crate::rules::{Ask, Note, Question, Resolution, Step, Told};
use crate::settings::RuleSettings;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No question needs more than this many asks; a driver that exceeds it is broken, and answers "don't know".
const ASKS_MAX: usize = 12;

/// The stores of each role, and the rules' settings. The roles may be three stores or the same one three times.
#[derive(Clone)]
pub struct Lookup {
    /// Answers about table mailbox, and logins.
    pub mailbox: Arc<dyn Backend>,
    /// Answers about table alias.
    pub alias: Arc<dyn Backend>,
    /// Answers about tables virtual and rcpthosts.
    pub virtuals: Arc<dyn Backend>,
    /// The administrator's choices.
    pub settings: Arc<RuleSettings>,
}

/// One question put to a store.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which store.
    pub place: String,
    /// As the store would be asked: a statement, a filter.
    pub query: String,
    /// What was asked.
    pub ask: Ask,
    /// What it said.
    pub told: Result<Told, LookupError>,
    /// How long it took.
    pub took: Duration,
}

/// Everything that happened on the way to an answer.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Decisions and questions, in order.
    pub notes: Vec<Note>,
    /// The questions.
    pub asked: Vec<Asked>,
}

impl Lookup {
    /// Everything from one store.
    #[must_use]
    pub fn of(store: &Arc<dyn Backend>, settings: Arc<RuleSettings>) -> Self {
        let role = || Arc::clone(store);
        Self { mailbox: role(), alias: role(), virtuals: role(), settings }
    }

    /// Decides `question`.
    ///
    /// # Errors
    /// Whatever a store reports, or the rules find in the data. Nothing is retried, nothing becomes "none".
    pub async fn decide<Q: Question>(&self, question: Q, by: Deadline) -> Result<Q::Answer, LookupError> {
        Ok(self.judge(question, by).await??)
    }

    /// Decides `question`, and tells rows that contradict the rules from a store that does not answer. For who judges
    /// rows; to mail both are temporary.
    ///
    /// # Errors
    /// Whatever a store reports.
    pub async fn judge<Q: Question>(
        &self,
        question: Q,
        by: Deadline,
    ) -> Result<Result<Q::Answer, Misconfiguration>, LookupError> {
        self.walk(question, by, None).await
    }

    /// Decides `question` and keeps what happened on the way.
    pub async fn explain<Q: Question>(&self, question: Q, by: Deadline) -> (Result<Q::Answer, LookupError>, Trace) {
        let mut trace = Trace::default();
        let answer = self.walk(question, by, Some(&mut trace)).await;
        (answer.and_then(|judged| judged.map_err(LookupError::from)), trace)
    }

    async fn walk<Q: Question>(
        &self,
        question: Q,
        by: Deadline,
        mut trace: Option<&mut Trace>,
    ) -> Result<Result<Q::Answer, Misconfiguration>, LookupError> {
        let mut resolution = Resolution::new(question, Arc::clone(&self.settings));
        for asked in 0..ASKS_MAX {
            let step = match trace.as_deref_mut() {
                Some(trace) => resolution.step_noting(&mut trace.notes),
                None => resolution.step(),
            };
            let ask = match step {
                Err(bad) => return Ok(Err(bad)),
                Ok(Step::Done(answer)) if asked > 0 => return Ok(Ok(answer)),
                // Every key was unusable. Also such a "none" comes only from stores that were reached.
                Ok(Step::Done(answer)) => return self.reach(by).await.map(|()| Ok(answer)),
                Ok(Step::Ask(ask)) => ask,
            };
            let store = self.store(&ask);
            let begun = Instant::now();
            let told = fetch(store.as_ref(), &ask, by).await;
            if let Some(trace) = trace.as_deref_mut() {
                let (query, took) = (store.query_text(&ask), begun.elapsed());
                trace.asked.push(Asked { place: store.place(), query, ask: ask.clone(), told: told.clone(), took });
            }
            resolution.tell(ask, told?);
        }
        Err(LookupError::new(ErrorKind::Misconfigured, "rules", "the question did not end"))
    }

    async fn reach(&self, by: Deadline) -> Result<(), LookupError> {
        self.mailbox.any_mailbox(by).await?;
        for other in [&self.alias, &self.virtuals] {
            if !Arc::ptr_eq(other, &self.mailbox) {
                other.ping(by).await?;
            }
        }
        Ok(())
    }

    fn store(&self, ask: &Ask) -> &Arc<dyn Backend> {
        match ask {
            Ask::Mailboxes(_) => &self.mailbox,
            Ask::Aliases(_) => &self.alias,
            Ask::Virtuals(_) | Ask::Rcpthosts(_) => &self.virtuals,
        }
    }
}

async fn fetch(store: &dyn Backend, ask: &Ask, by: Deadline) -> Result<Told, LookupError> {
    Ok(match ask {
        Ask::Mailboxes(names) => Told::Mailboxes(store.mailboxes(names, by).await?),
        Ask::Aliases(keys) => Told::Aliases(store.aliases(keys, by).await?),
        Ask::Virtuals(keys) => Told::Virtuals(store.virtuals(keys, by).await?),
        Ask::Rcpthosts(hosts) => Told::Rcpthosts(store.rcpthosts(hosts, by).await?),
    })
}
