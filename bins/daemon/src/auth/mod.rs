//! Logins (rules P1 to P8). One attempt goes through these rooms:
//!
//! 1. a place in the line of its origin ([`places`], [`origin`]), kept until the reply;
//! 2. for an address with many refusals a delay ([`delay`]);
//! 3. the mailbox that the login means (rule P7);
//! 4. a slot ([`slots`], [`turns`]), and in it the store's authenticator;
//! 5. for a refusal the wait for its time; the line in the log ([`audit`]); the reply.
//!
//! **Equal time** (rule P4). A refusal is told at a multiple of [`FLOOR`] after the receipt, the first one at which it
//! is known and no delay is left. What took less than the floor cannot be told apart at all, and what took more only in
//! steps of it; for those the stores compare with a decoy where there is nothing to compare with. A login that can mean
//! no mailbox takes the same way with a name that no mailbox may have (rule K3), so that the store is asked and the
//! slot is taken as for any unknown one. An offered password that can be nobody's is refused without asking: that says
//! nothing about anybody. An attempt that is left to the stock program waits like a refusal.
//!
//! **No answer** (rule P5). Whatever else happens - an error, a panic, a full line, the deadline - is temporary.
//!
//! Attempts run in tasks of their own: a client that goes away neither frees a slot in which a hash is still computed
//! nor escapes the count and the log.

mod answered;
mod audit;
mod counts;
mod delay;
mod origin;
mod places;
mod rehash;
mod slots;
mod turns;
mod userdb;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::store as testing;

pub(crate) use answered::answered;
pub(crate) use counts::Counts;
pub(crate) use userdb::{mailbox_of, userdb};

use audit::Client;
use counts::Counters;
use delay::{Delays, Who};
use origin::Origin;
use places::Places;
use qmail_lookup_core::password::limits::OFFERED_MAX;
use qmail_lookup_core::rules::Login;
use qmail_lookup_core::settings::{AuthSettings, FallBack};
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::{AuthAnswer, Deadline, Lookup, LookupError, Mailbox, Refusal, Secret, Username};
use slots::{Slot, Slots};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Refusals are told at multiples of this after the receipt. Source: rule P4.
const FLOOR: Duration = Duration::from_millis(300);

/// A slot is not taken with less time left than the dearest hash needs, or its computing would outlast the slot.
/// Source: the caps in `password::limits`.
const HASH_MAX: Duration = Duration::from_secs(2);

/// A name that is a key but may be no mailbox's: rule K3 refuses names that begin with `=`.
const NOBODY: &[u8] = b"=nobody";

/// What all logins share.
pub(crate) struct Gate {
    places: Arc<Places>,
    slots: Arc<Slots>,
    processors: usize,
    delays: Delays,
    counters: Counters,
    rehash: rehash::Rehasher,
}

impl Gate {
    /// Verifies `parallel` passwords at a time; 0 is one for each processor. Each login brings the number of its
    /// settings along, so that one which has changed holds from then on.
    pub(crate) fn new(parallel: u16) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            places: Places::new(),
            slots: Slots::new(number(parallel, processors)),
            processors,
            delays: Delays::new(),
            counters: Counters::default(),
            rehash: rehash::Rehasher::default(),
        }
    }

    /// From the next login on, so many are decided at the same time.
    pub(crate) fn make_room(&self, room: usize) {
        self.places.set(room);
    }

    /// Ends the replacing of hashes: none is begun any more, and this waits for the one that is under way.
    pub(crate) async fn finish(&self) {
        self.rehash.finish().await;
    }

    /// What it has seen.
    pub(crate) fn counts(&self) -> Counts {
        self.counters.now(self.slots.load())
    }
}

fn number(parallel: u16, processors: usize) -> usize {
    if parallel == 0 { processors } else { parallel.into() }
}

/// One try to log in.
pub(crate) struct Attempt {
    /// As typed.
    pub(crate) login: Vec<u8>,
    /// As typed.
    pub(crate) password: Secret,
    /// What the user wants to use.
    pub(crate) service: Vec<u8>,
    /// The client's address; empty if it is not known.
    pub(crate) remote: Vec<u8>,
}

/// What came of it.
enum Outcome {
    Granted(Mailbox),
    Refused {
        why: Refusal,
        /// Only if it exists.
        mailbox: Option<Username>,
        /// Not told earlier than this long after the receipt.
        delay: Duration,
    },
    /// Rule P6.
    Stock,
    /// Why; neither a secret nor anything that was typed.
    Temporary(String),
}

/// Decides a login. The reply comes by the deadline.
pub(crate) async fn login(
    gate: &Arc<Gate>,
    lookup: &Lookup,
    settings: &AuthSettings,
    attempt: Attempt,
    by: Deadline,
) -> Reply {
    login_as_either(gate, lookup, settings, attempt, None, by).await
}

/// As [`login`], for who cannot know which of two logins was typed: `or` counts if the first means no mailbox.
pub(crate) async fn login_as_either(
    gate: &Arc<Gate>,
    lookup: &Lookup,
    settings: &AuthSettings,
    attempt: Attempt,
    or: Option<Vec<u8>>,
    by: Deadline,
) -> Reply {
    gate.slots.resize(number(settings.parallel, gate.processors));
    let course = Course {
        gate: Arc::clone(gate),
        lookup: lookup.clone(),
        settings: settings.clone(),
        by,
        begun: Instant::now(),
    };
    // A panic is no answer.
    match tokio::spawn(course.run(attempt, or)).await {
        Ok(reply) => reply,
        Err(_) => {
            Counters::add(&gate.counters.temporary);
            Reply::Temporary(b"the login ended early".to_vec())
        }
    }
}

/// What an attempt needs on its way.
struct Course {
    gate: Arc<Gate>,
    lookup: Lookup,
    settings: AuthSettings,
    by: Deadline,
    begun: Instant,
}

impl Course {
    async fn run(self, attempt: Attempt, or: Option<Vec<u8>>) -> Reply {
        let (client, begun, by) = (Client::of(&attempt), self.begun, self.by);
        let gate = Arc::clone(&self.gate);
        let origin = gate.delays.origin(&attempt);
        let outcome = match gate.places.enter(&origin) {
            Some(place) => {
                let told = async {
                    let outcome = self.decide(attempt, or, origin).await.unwrap_or_else(|outcome| outcome);
                    match &outcome {
                        Outcome::Refused { delay, .. } => tell_at(begun, *delay, by).await,
                        Outcome::Stock => tell_at(begun, Duration::ZERO, by).await,
                        Outcome::Granted(_) | Outcome::Temporary(_) => {}
                    }
                    outcome
                };
                place.hold(told).await.unwrap_or_else(|| Outcome::temporary("too many logins at the same time"))
            }
            None => {
                Outcome::temporary("too many logins at the same time from this address, or without one for this name")
            }
        };
        let counters = &gate.counters;
        match &outcome {
            Outcome::Granted(_) => Counters::add(&counters.granted),
            Outcome::Refused { why, .. } => counters.refused(*why),
            Outcome::Stock => Counters::add(&counters.stock),
            Outcome::Temporary(_) => Counters::add(&counters.temporary),
        }
        audit::log(&client, &outcome, begun.elapsed());
        match outcome {
            Outcome::Granted(mailbox) => Reply::Ok(account(mailbox)),
            Outcome::Refused { .. } => Reply::No,
            Outcome::Stock => Reply::Stock,
            Outcome::Temporary(why) => Reply::Temporary(why.into_bytes()),
        }
    }

    /// Both sides of the result are outcomes; `Err` only ends the way early.
    async fn decide(self, attempt: Attempt, or: Option<Vec<u8>>, origin: Origin) -> Result<Outcome, Outcome> {
        if unusable(&attempt.password) {
            let who = self.gate.delays.who(&attempt.login);
            return Err(self.refuse(Refusal::UnusablePassword, None, &origin, who));
        }
        let ticket = self.gate.slots.enter(&origin);
        let end = Instant::from_std(self.by.instant());
        let time = end.saturating_duration_since(self.begun);
        let delay = self.gate.delays.before(&origin, self.begun).min(time / 4);
        if !delay.is_zero() {
            Counters::add(&self.gate.counters.delayed);
            sleep_until(self.begun + delay).await;
        }
        let logins = std::iter::once(attempt.login).chain(or).collect();
        let late = |_| Outcome::temporary("no answer before the deadline");
        let (name, who) = timeout_at(end, self.resolve(logins)).await.map_err(late)??;
        let until = end.checked_sub(HASH_MAX.min(time / 2)).unwrap_or(end);
        let slot = ticket.wait(until).await;
        let slot = slot.ok_or_else(|| Outcome::temporary("too many logins at the same time"))?;
        // The slot is kept to the end of the verification, whoever still waits for it.
        let verified = tokio::spawn(self.verify(slot, name, who, origin, attempt.password));
        match timeout_at(end, verified).await.map_err(late)? {
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(Outcome::temporary("the verification ended early")),
        }
    }

    /// The mailbox name that the first of `logins` to mean one means, and whom a refusal counts against.
    async fn resolve(&self, logins: Vec<Vec<u8>>) -> Result<(Option<Username>, Who), Outcome> {
        let mut who = self.gate.delays.who(b"");
        for typed in logins {
            who = self.gate.delays.who(&typed);
            let question = Login { typed, by: self.settings.login };
            // The words of this error may quote what was typed.
            let quoting =
                |error: LookupError| Outcome::Temporary(format!("{}: {}", error.place(), error.kind().as_str()));
            if let Some(name) = self.lookup.decide(question, self.by).await.map_err(quoting)? {
                let who = self.gate.delays.who(name.as_bytes());
                return Ok((Some(name), who));
            }
        }
        Ok((None, who))
    }

    async fn verify(self, slot: Slot, name: Option<Username>, who: Who, origin: Origin, password: Secret) -> Outcome {
        let Some(asked) = name.clone().or_else(|| Username::new(NOBODY)) else {
            return Outcome::temporary("no name to ask for");
        };
        let Some(authenticator) = self.lookup.mailbox.authenticator() else {
            return Outcome::temporary("this store knows no logins");
        };
        // A store that does not keep the deadline gets its slot taken away, though later than nobody waits any more.
        let end = Instant::from_std(self.by.instant()) + HASH_MAX;
        let Ok(answer) = timeout_at(end, authenticator.authenticate(&asked, &password, self.by)).await else {
            return Outcome::temporary("the store does not answer");
        };
        drop(slot);
        match (answer, name) {
            (Err(error), _) => Outcome::Temporary(error.to_string()),
            (Ok(AuthAnswer::Granted(mailbox)), Some(name)) if mailbox.username == name => {
                self.gate.delays.granted(&origin, who, Instant::now());
                self.gate.rehash.after(&self.lookup, self.settings.rehash, name, password);
                Outcome::Granted(mailbox)
            }
            (Ok(AuthAnswer::Granted(_)), Some(_)) => {
                Outcome::temporary("the store let in another mailbox than was asked")
            }
            (Ok(AuthAnswer::Refused(Refusal::Unknown)), _) | (Ok(_), None) => match self.settings.fall_back {
                FallBack::Stock => Outcome::Stock,
                FallBack::None => self.refuse(Refusal::Unknown, None, &origin, who),
            },
            (Ok(AuthAnswer::Refused(why)), Some(name)) => self.refuse(why, Some(name), &origin, who),
        }
    }

    fn refuse(&self, why: Refusal, mailbox: Option<Username>, origin: &Origin, who: Who) -> Outcome {
        let delay = self.gate.delays.refused(origin, who, Instant::now());
        if delay > self.begun.elapsed().max(FLOOR) {
            Counters::add(&self.gate.counters.delayed);
        }
        Outcome::Refused { why, mailbox, delay }
    }
}

impl Outcome {
    fn temporary(why: &str) -> Self {
        Self::Temporary(why.to_owned())
    }
}

/// Waits for the first multiple of the floor after `begun` that is not before `delay` nor in the past.
async fn tell_at(begun: Instant, delay: Duration, by: Deadline) {
    let known = begun.elapsed().max(delay);
    let floors = u32::try_from(known.as_nanos().div_ceil(FLOOR.as_nanos())).unwrap_or(u32::MAX).max(1);
    let due = begun.checked_add(FLOOR.saturating_mul(floors)).unwrap_or(begun);
    sleep_until(due.min(Instant::from_std(by.instant()))).await;
}

/// True if nobody can have this password (rule P2).
fn unusable(password: &Secret) -> bool {
    let offered = password.expose();
    offered.is_empty() || offered.len() > OFFERED_MAX || offered.contains(&0)
}

fn account(mailbox: Mailbox) -> Account {
    let Mailbox { username, uid, gid, home, .. } = mailbox;
    Account { user: username.as_bytes().to_vec(), uid, gid, home }
}
