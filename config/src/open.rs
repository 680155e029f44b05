//! From settings to stores: equal settings share one backend, and each is wrapped with its layers.

use crate::Config;
use crate::error::{ConfigError, Place};
use crate::refusal::Refusal;
use crate::store::{Role, RoleStore};
use crate::variables::{Names, settle};
use qmail_lookup_backends::cache::{self, Cache};
use qmail_lookup_backends::coalesce::{self, Coalesce};
use qmail_lookup_backends::deadline::DeadlineLayer;
use qmail_lookup_backends::registry::{OpenContext, Registry};
use qmail_lookup_backends::sample::Sampled;
use qmail_lookup_backends::trust::Trust;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Backend, Lookup};
use serde_json::Value;
use std::sync::Arc;

/// Statements of one table that a store is sent at once: while one runs, the next gathers. More of them would be
/// smaller ones.
const STATEMENTS: usize = 2;

/// The store of each role, with its layers. Roles with equal settings hold the same `Arc`.
#[derive(Clone)]
pub struct Stores {
    /// Mailboxes and logins.
    pub mailbox: Arc<dyn Backend>,
    /// Delivery instructions.
    pub alias: Arc<dyn Backend>,
    /// Virtual hosts and rcpthosts.
    pub virtuals: Arc<dyn Backend>,
}

impl Stores {
    /// What walks the rules over them.
    #[must_use]
    pub fn lookup(&self, rules: &RuleSettings) -> Lookup {
        let Self { mailbox, alias, virtuals } = self.clone();
        Lookup { mailbox, alias, virtuals, settings: Arc::new(rules.clone()) }
    }

    /// Each store once, with the roles that it has.
    #[must_use]
    pub fn each(&self) -> Vec<(&Arc<dyn Backend>, Vec<Role>)> {
        let mut stores: Vec<(&Arc<dyn Backend>, Vec<Role>)> = Vec::new();
        for (store, role) in [&self.mailbox, &self.alias, &self.virtuals].into_iter().zip(Role::ALL) {
            match stores.iter_mut().find(|(known, _)| Arc::ptr_eq(known, store)) {
                Some((_, roles)) => roles.push(role),
                None => stores.push((store, vec![role])),
            }
        }
        stores
    }
}

/// The stores as the daemon holds them for its whole life: concurrent questions are joined, answers are kept if the
/// configuration says so, and a store that loses its rows is found out (rule K4).
pub struct Serving {
    /// The store of each role.
    pub stores: Stores,
    caches: Vec<Arc<Cache>>,
    joined: Vec<Arc<Coalesce>>,
    /// Of the stores of mailboxes, aliases and virtual hosts.
    samples: [Arc<Sampled>; 3],
}

impl Serving {
    /// Forgets kept answers. False if none are kept.
    pub fn flush(&self) -> bool {
        self.caches.iter().for_each(|cache| cache.flush());
        !self.caches.is_empty()
    }

    /// Believes every store again. True if one was not believed.
    pub fn trust(&self) -> bool {
        self.samples.iter().fold(false, |was, sample| sample.trust() | was)
    }

    /// True if a store has lost so many rows that its "none" is not believed.
    #[must_use]
    pub fn distrusted(&self) -> bool {
        self.samples.iter().any(|sample| sample.distrusted())
    }

    /// Questions answered from kept answers, and those that were not.
    #[must_use]
    pub fn cache_counts(&self) -> cache::Counts {
        let counts = self.caches.iter().map(|cache| cache.counts());
        counts.fold(cache::Counts::default(), |sum, one| cache::Counts {
            hits: sum.hits + one.hits,
            misses: sum.misses + one.misses,
        })
    }

    /// Questions that reached the stores, and the statements that they became.
    #[must_use]
    pub fn statement_counts(&self) -> coalesce::Counts {
        let counts = self.joined.iter().map(|joined| joined.counts());
        counts.fold(coalesce::Counts::default(), |sum, one| coalesce::Counts {
            statements: sum.statements + one.statements,
            questions: sum.questions + one.questions,
        })
    }
}

impl Config {
    /// Opens the stores for a few questions. Connects to nothing: a store that is down is found out by the first one.
    ///
    /// # Errors
    /// On settings that a store cannot use, with file and line, or the name of the variable.
    pub fn open(&self, registry: &Registry) -> Result<Stores, ConfigError> {
        self.roles(registry, |_, trusted| (trusted, ())).map(|(stores, _)| stores)
    }

    /// Opens the stores for a daemon's life. Connects to nothing, too. `before` are those whose place they take: a store
    /// that is not believed is not believed again only because the configuration was read again (rule K4).
    ///
    /// # Errors
    /// As [`Config::open`].
    pub fn serve(&self, registry: &Registry, before: Option<&Serving>) -> Result<Serving, ConfigError> {
        let (mut caches, mut joined) = (Vec::new(), Vec::new());
        let (stores, samples) = self.roles(registry, |serves, trusted| {
            let coalesce = Arc::new(Coalesce::new(trusted, STATEMENTS));
            joined.push(Arc::clone(&coalesce));
            let of = |role: Role| {
                let serves = serves.contains(&role);
                before.filter(|_| serves).and_then(|before| before.samples.get(role as usize)).map(Arc::as_ref)
            };
            let (mailbox, alias, virtuals) = (of(Role::Mailbox), of(Role::Alias), of(Role::Virtual));
            let sampled = Arc::new(Sampled::following(coalesce, mailbox, alias, virtuals));
            let inner: Arc<dyn Backend> = Arc::clone(&sampled) as _;
            if self.cache.ttl.is_zero() {
                return (inner, sampled);
            }
            let cache = Arc::new(Cache::new(inner, self.cache.ttl, self.cache.entries));
            // A "none" that was kept before the rows were missed is not to be believed either.
            let kept = Arc::downgrade(&cache);
            sampled.on_distrust(move || {
                if let Some(cache) = kept.upgrade() {
                    cache.flush();
                }
            });
            caches.push(Arc::clone(&cache));
            (cache, sampled)
        })?;
        Ok(Serving { stores, caches, joined, samples })
    }

    /// The store of each role, with what `wrap` puts between the outermost layer and those that prove a store, and what
    /// it gives besides. It is told which roles the store serves.
    fn roles<T: Clone>(
        &self,
        registry: &Registry,
        mut wrap: impl FnMut(&[Role], Arc<dyn Backend>) -> (Arc<dyn Backend>, T),
    ) -> Result<(Stores, [T; 3]), ConfigError> {
        let context = OpenContext { rules: Arc::new(self.rules.clone()), deadline: self.deadline };
        let mut opened: Vec<(&RoleStore, Arc<dyn Backend>)> = Vec::new();
        let mut wrapped: Vec<(&RoleStore, Arc<dyn Backend>, T)> = Vec::new();
        let same = |one: &RoleStore, other: &RoleStore| one.same_backend(other) && one.proof == other.proof;
        let mut role = |role: Role| {
            let store = self.store.role(role);
            if let Some((_, ready, besides)) = wrapped.iter().find(|(known, ..)| same(known, store)) {
                return Ok((Arc::clone(ready), besides.clone()));
            }
            let plain = match opened.iter().find(|(known, _)| known.same_backend(store)) {
                Some((_, plain)) => Arc::clone(plain),
                None => self.backend(store, registry, &context)?,
            };
            opened.push((store, Arc::clone(&plain)));
            let serves: Vec<_> = Role::ALL.into_iter().filter(|&other| same(self.store.role(other), store)).collect();
            let (inner, besides) = wrap(&serves, Arc::new(Trust::new(plain, store.proof.clone())));
            let ready: Arc<dyn Backend> = Arc::new(DeadlineLayer::new(inner));
            wrapped.push((store, Arc::clone(&ready), besides.clone()));
            Ok((ready, besides))
        };
        let (mailbox, one) = role(Role::Mailbox)?;
        let (alias, two) = role(Role::Alias)?;
        let (virtuals, three) = role(Role::Virtual)?;
        Ok((Stores { mailbox, alias, virtuals }, [one, two, three]))
    }

    fn backend(
        &self,
        store: &RoleStore,
        registry: &Registry,
        context: &OpenContext,
    ) -> Result<Arc<dyn Backend>, ConfigError> {
        let Some(entry) = registry.find(&store.kind) else {
            let problem = format!("{} is not a kind of store in this program", store.kind);
            return Err(ConfigError::new(Place::Nowhere, "store.kind", problem));
        };
        let names = relative(&self.layers.variables(), store);
        settle(store.settings.clone(), &names, |settings| (entry.open)(settings, context).map_err(Refusal::from))
            .map_err(|mut refusal| {
                refusal.problem = without_secrets(refusal.problem, store);
                refusal.key = store.path_of(&refusal.key);
                self.layers.error(refusal)
            })
    }
}

/// The variables that set keys of `store`, by the path inside its settings.
fn relative(names: &Names, store: &RoleStore) -> Names {
    let mut found = Names::new();
    for (path, name) in names {
        for (key, written) in &store.paths {
            if let Some(rest) =
                path.strip_prefix(written.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('.'))
            {
                found.insert(format!("{key}{rest}"), name.clone());
            }
        }
    }
    found
}

/// A reader should not quote a secret; if one does, its words are not passed on.
fn without_secrets(problem: String, store: &RoleStore) -> String {
    let quoted = |(key, value): (&String, &Value)| {
        let secret = key.contains("password") && !key.ends_with("_file");
        secret && value.as_str().is_some_and(|text| !text.is_empty() && problem.contains(text))
    };
    if store.settings.iter().any(quoted) { "not a usable value".to_owned() } else { problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sources, load};
    use qmail_lookup_backends::registry::{Entry, SettingsError};
    use serde_json::Map;

    /// A kind whose reader has no manners.
    const LEAKY: Entry = Entry {
        kind: "leaky",
        open: |settings, _| {
            let known = &["password", "size"];
            if settings.contains_key("password") {
                let text = format!("cannot use {settings:?}");
                return Err(SettingsError { key: "size".into(), problem: text, known });
            }
            Err(SettingsError { key: String::new(), problem: "empty".into(), known })
        },
        from_url: |_| Ok(Map::new()),
        schema: |_| String::new(),
    };

    #[test]
    fn a_secret_that_a_store_quotes_goes_no_further() {
        let variables = [("QMAIL_LOOKUP_STORE__PASSWORD", "hunter2"), ("QMAIL_LOOKUP_STORE__SIZE", "1")];
        let env = variables.map(|(name, value)| (name.into(), value.into())).to_vec();
        let sources = Sources { store_url: Some("leaky:".into()), env, ..Sources::default() };
        let registry = Registry::builtin().with(LEAKY);
        let error = load(&sources, &registry).unwrap().open(&registry).err().unwrap().to_string();
        assert_eq!(error, "environment variable QMAIL_LOOKUP_STORE__SIZE: store.size: not a usable value");
    }
}
