//! Rule K4, second half: rows that were there and are there no more. Where "none" suddenly becomes frequent, some keys
//! that were found before are asked again; if more than half of them are gone, no "none" of the store is believed
//! until they are back or somebody says that they were removed on purpose.
//!
//! The layer stands outside of the coalescer, so that it refuses the question of one caller and not of all that share
//! a statement, and inside the cache, which would answer a check from memory. For the daemon only: it learns from what
//! passes, and a tool that asks one question has learnt nothing.

mod key;
#[cfg(test)]
mod tests;
mod track;

use crate::layer::logins;
use async_trait::async_trait;
use key::Key;
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{
    AliasKey, AliasResolver, AliasRow, AuthAnswer, Authenticator, Backend, Deadline, ErrorKind, Host, HostRow,
    LookupError, MailboxResolver, MailboxRow, Refusal, Secret, StoreFacts, Username, VirtualKey, VirtualResolver,
    VirtualRow,
};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use track::{Due, Finding, Track, Turn};

/// Shortest time between two checks of a table. A run of unknown recipients costs one statement in that time.
const PAUSE: Duration = Duration::from_secs(1);

/// Remembers keys that were found, and refuses every "none" while most of them are gone. Keys stay in memory only.
pub struct Sampled {
    inner: Arc<dyn Backend>,
    mailbox: Track<Username>,
    alias: Track<AliasKey>,
    virtuals: Track<VirtualKey>,
    rcpthosts: Track<Host>,
    alarm: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What a "none" had to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// Nothing: it is as new as what it was judged by.
    No,
    /// A check: it is older than that, and what was missing then may be there now.
    Yes,
}

impl Sampled {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self::with_pause(inner, PAUSE)
    }

    /// Wraps `inner`, which takes the place of the stores that these serve, each for its own tables: what was found there
    /// has to be found here, and what is not believed stays so. It takes their place with the first question that is put
    /// to it; from then on theirs that are under way still have no answer that they should not have, and teach nothing.
    #[must_use]
    pub fn following(
        inner: Arc<dyn Backend>,
        mailbox: Option<&Self>,
        alias: Option<&Self>,
        virtuals: Option<&Self>,
    ) -> Self {
        let mut new = Self::new(inner);
        if let Some(before) = mailbox {
            new.mailbox = before.mailbox.following();
        }
        if let Some(before) = alias {
            new.alias = before.alias.following();
        }
        if let Some(before) = virtuals {
            new.virtuals = before.virtuals.following();
            new.rcpthosts = before.rcpthosts.following();
        }
        new
    }

    fn with_pause(inner: Arc<dyn Backend>, pause: Duration) -> Self {
        Self {
            inner,
            mailbox: Track::new(pause),
            alias: Track::new(pause),
            virtuals: Track::new(pause),
            rcpthosts: Track::new(pause),
            alarm: OnceLock::new(),
        }
    }

    /// True while no "none" is believed.
    #[must_use]
    pub fn distrusted(&self) -> bool {
        self.mailbox.is_lost() || self.alias.is_lost() || self.virtuals.is_lost() || self.rcpthosts.is_lost()
    }

    /// Ends the distrust by hand and forgets the samples: what is gone was removed on purpose. Returns whether there
    /// was any distrust.
    pub fn trust(&self) -> bool {
        let distrusted = self.distrusted();
        self.mailbox.forget();
        self.alias.forget();
        self.virtuals.forget();
        self.rcpthosts.forget();
        if distrusted {
            tracing::info!(place = self.inner.place(), "the store is believed again, as it was told");
        }
        distrusted
    }

    /// Has `act` called each time that distrust begins: a cache outside must then forget every "none" it keeps. Only
    /// the first one that is given counts.
    pub fn on_distrust(&self, act: impl Fn() + Send + Sync + 'static) {
        let _ = self.alarm.set(Box::new(act));
    }

    /// Called before each question.
    fn take_place(&self) {
        self.mailbox.take_place();
        self.alias.take_place();
        self.virtuals.take_place();
        self.rcpthosts.take_place();
    }

    /// Puts the question, and hands its answer out if each key has a row or a "none" is believed.
    async fn pass<K: Key>(&self, track: &Track<K>, keys: &[K], by: Deadline) -> Result<Vec<K::Row>, LookupError> {
        self.take_place();
        let rows = K::ask(&*self.inner, keys, by).await?;
        let (mut missing, mut suspicious) = (false, false);
        for chunk in keys.chunks(KEYS_PER_STATEMENT) {
            let mut found = 0_u64;
            for (n, key) in chunk.iter().enumerate() {
                if rows.iter().any(|row| key.is_of(row)) {
                    found |= 1 << n;
                } else {
                    missing |= !key.is_settled_by(keys, &rows);
                }
            }
            suspicious |= track.note(chunk, found);
        }
        if missing && self.believe(suspicious.then_some(track), by).await? == Waited::Yes {
            return K::ask(&*self.inner, keys, by).await;
        }
        Ok(rows)
    }

    /// Succeeds if a "none" may be used: no table is lost, and the one that is `suspected` is not either.
    async fn believe<K: Key>(&self, suspected: Option<&Track<K>>, by: Deadline) -> Result<Waited, LookupError> {
        let mut waited = Waited::No;
        if self.distrusted() {
            // Who was refused by a table that is whole again by now asked before it was.
            waited = Waited::Yes;
            self.check_lost(&self.mailbox, by).await?;
            self.check_lost(&self.alias, by).await?;
            self.check_lost(&self.virtuals, by).await?;
            self.check_lost(&self.rcpthosts, by).await?;
        }
        if let Some(track) = suspected
            && self.check(track, by).await? == Waited::Yes
        {
            waited = Waited::Yes;
        }
        Ok(waited)
    }

    async fn check_lost<K: Key>(&self, track: &Track<K>, by: Deadline) -> Result<(), LookupError> {
        if track.is_lost() {
            self.check(track, by).await?;
        }
        Ok(())
    }

    /// Asks for the sample again, unless that was done just now. An error decides nothing, and neither does a "none"
    /// as long as it is not decided.
    async fn check<K: Key>(&self, track: &Track<K>, by: Deadline) -> Result<Waited, LookupError> {
        if let Due::Known(allowed) = track.due(Instant::now()) {
            return allowed.map(|()| Waited::No);
        }
        let turn = timeout_at(by.instant().into(), track.turn.lock()).await;
        let Ok(_turn) = turn else {
            let what = format!("no time left to check whether table {} still holds its rows", K::TABLE);
            return Err(LookupError::new(ErrorKind::Timeout, self.inner.place(), what));
        };
        let keys = match track.due(Instant::now()) {
            Due::Known(allowed) => return allowed.map(|()| Waited::Yes),
            Due::Ask(keys) => keys,
        };
        let rows = match K::ask(&*self.inner, &keys, by).await {
            Ok(rows) => rows,
            Err(error) => {
                track.failed(error.clone(), Instant::now());
                return Err(error);
            }
        };
        let is_there = |key: &K| rows.iter().any(|row| key.is_of(row));
        let refusal = |finding| self.refusal::<K>(finding);
        let finding = track.learn(&keys, is_there, Instant::now(), refusal);
        self.report::<K>(finding);
        if finding.lost { Err(self.refusal::<K>(finding)) } else { Ok(Waited::Yes) }
    }

    fn refusal<K: Key>(&self, Finding { gone, of, .. }: Finding) -> LookupError {
        let what = format!(
            "{gone} of {of} keys that were found in table {} before are gone; the store is not believed",
            K::TABLE
        );
        LookupError::new(ErrorKind::Misconfigured, self.inner.place(), what)
            .with_help("restore the table; if these rows were removed on purpose: qmail-lookup trust")
    }

    fn report<K: Key>(&self, Finding { gone, of, turn, .. }: Finding) {
        let (place, table) = (self.inner.place(), K::TABLE.name());
        match turn {
            Turn::None => {}
            Turn::Lost => {
                tracing::error!(
                    place,
                    table,
                    gone,
                    of,
                    "most keys that were found before are gone; every \"none\" of this store is temporary until they \
                     are back, or until `qmail-lookup trust` if they were removed on purpose"
                );
                if let Some(alarm) = self.alarm.get() {
                    alarm();
                }
            }
            Turn::Back => tracing::info!(place, table, gone, of, "most keys are back; the table is believed again"),
        }
    }
}

#[async_trait]
impl MailboxResolver for Sampled {
    async fn mailboxes(&self, names: &[Username], by: Deadline) -> Result<Vec<MailboxRow>, LookupError> {
        self.pass(&self.mailbox, names, by).await
    }
}

#[async_trait]
impl AliasResolver for Sampled {
    async fn aliases(&self, keys: &[AliasKey], by: Deadline) -> Result<Vec<AliasRow>, LookupError> {
        self.pass(&self.alias, keys, by).await
    }
}

#[async_trait]
impl VirtualResolver for Sampled {
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError> {
        self.pass(&self.virtuals, keys, by).await
    }

    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError> {
        self.pass(&self.rcpthosts, hosts, by).await
    }
}

#[async_trait]
impl Authenticator for Sampled {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let inner = logins(&*self.inner)?;
        self.take_place();
        let answer = inner.authenticate(who, offered, by).await?;
        let unknown = answer == AuthAnswer::Refused(Refusal::Unknown);
        let suspicious = self.mailbox.note(std::slice::from_ref(who), u64::from(!unknown));
        if unknown {
            let distrusted = self.distrusted();
            self.believe(suspicious.then_some(&self.mailbox), by).await?;
            // A login is not asked twice.
            if distrusted {
                let what = "the store was not believed when this login was asked";
                return Err(LookupError::new(ErrorKind::Misconfigured, self.inner.place(), what));
            }
        }
        Ok(answer)
    }
}

crate::layer::layer! { Sampled {
    async fn ping(&self, by: Deadline) -> Result<(), LookupError> {
        self.inner.ping(by).await
    }

    /// Asked where a key is unusable, so that nothing else stands behind that "none".
    async fn any_mailbox(&self, by: Deadline) -> Result<bool, LookupError> {
        self.take_place();
        self.believe(self.mailbox.is_replaced().then_some(&self.mailbox), by).await?;
        self.inner.any_mailbox(by).await
    }

    async fn facts(&self, by: Deadline) -> Result<StoreFacts, LookupError> {
        self.inner.facts(by).await
    }

    fn authenticator(&self) -> Option<&dyn Authenticator> {
        self.inner.authenticator().map(|_| self as &dyn Authenticator)
    }
} }
