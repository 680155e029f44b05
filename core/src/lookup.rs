//! Walks the rules against the resolvers: the only async code in this crate.

use crate::Deadline;
use crate::backend::Backend;
use crate::error::{ErrorKind, LookupError};
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
        let mut resolution = Resolution::new(question, Arc::clone(&self.settings));
        for _ in 0..ASKS_MAX {
            match resolution.step()? {
                Step::Done(answer) => return Ok(answer),
                Step::Ask(ask) => {
                    let told = self.fetch(&ask, by).await?;
                    resolution.tell(ask, told);
                }
            }
        }
        Err(endless())
    }

    /// Decides `question` and keeps what happened on the way.
    pub async fn explain<Q: Question>(&self, question: Q, by: Deadline) -> (Result<Q::Answer, LookupError>, Trace) {
        let mut resolution = Resolution::new(question, Arc::clone(&self.settings));
        let mut trace = Trace::default();
        for _ in 0..ASKS_MAX {
            let ask = match resolution.step_noting(&mut trace.notes) {
                Ok(Step::Done(answer)) => return (Ok(answer), trace),
                Err(bad) => return (Err(bad.into()), trace),
                Ok(Step::Ask(ask)) => ask,
            };
            let store = self.store(&ask);
            let begun = Instant::now();
            let told = self.fetch(&ask, by).await;
            let took = begun.elapsed();
            let query = store.query_text(&ask);
            trace.asked.push(Asked { place: store.place(), query, ask: ask.clone(), told: told.clone(), took });
            match told {
                Ok(told) => resolution.tell(ask, told),
                Err(error) => return (Err(error), trace),
            }
        }
        (Err(endless()), trace)
    }

    fn store(&self, ask: &Ask) -> &Arc<dyn Backend> {
        match ask {
            Ask::Mailboxes(_) => &self.mailbox,
            Ask::Aliases(_) => &self.alias,
            Ask::Virtuals(_) | Ask::Rcpthosts(_) => &self.virtuals,
        }
    }

    async fn fetch(&self, ask: &Ask, by: Deadline) -> Result<Told, LookupError> {
        let store = self.store(ask);
        Ok(match ask {
            Ask::Mailboxes(names) => Told::Mailboxes(store.mailboxes(names, by).await?),
            Ask::Aliases(keys) => Told::Aliases(store.aliases(keys, by).await?),
            Ask::Virtuals(keys) => Told::Virtuals(store.virtuals(keys, by).await?),
            Ask::Rcpthosts(hosts) => Told::Rcpthosts(store.rcpthosts(hosts, by).await?),
        })
    }
}

fn endless() -> LookupError {
    LookupError::new(ErrorKind::Misconfigured, "rules", "the question did not end")
}
