//! What a HUP exchanges as a whole: the configuration and everything made from it.

use crate::locals::Locals;
use crate::peer::Policy;
use crate::system::own_uid;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, ConfigError, Serving, Sources, Stores, load};
use qmail_lookup_core::{Backend, Lookup};
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) lookup: Lookup,
    pub(crate) serving: Serving,
    pub(crate) policy: Policy,
    pub(crate) locals: Locals,
    /// How long qmail-send keeps trying.
    pub(crate) queue_lifetime: Duration,
}

impl State {
    /// Reads and judges the configuration, and opens the stores in the place of those of `before`; connects to none of
    /// them. Asks the system for users, so not on the event loop.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub(crate) fn load(sources: &Sources, registry: &Registry, before: Option<&Self>) -> Result<Self, ConfigError> {
        let mut config = load(sources, registry)?;
        // A mailbox that is us could read the stores' credentials (rule K3).
        let own = own_uid();
        if !config.rules.deny_uids.contains(&own) {
            config.rules.deny_uids.push(own);
        }
        let serving = config.serve(registry, before.map(|before| &before.serving))?;
        let stores = &serving.stores;
        let lookup = Lookup {
            mailbox: Arc::clone(&stores.mailbox),
            alias: Arc::clone(&stores.alias),
            virtuals: Arc::clone(&stores.virtuals),
            settings: Arc::new(config.rules.clone()),
        };
        let policy = Policy::of(&config.daemon);
        let locals = Locals::new(config.qmail.clone());
        let queue_lifetime = qmail_lookup_config::control::queue_lifetime(&config.qmail);
        Ok(Self { config, lookup, serving, policy, locals, queue_lifetime })
    }

    /// Each store once, with the roles that it has.
    pub(crate) fn each_store(&self) -> Vec<(Arc<dyn Backend>, String)> {
        let Stores { mailbox, alias, virtuals } = &self.serving.stores;
        let mut stores: Vec<(Arc<dyn Backend>, String)> = Vec::new();
        for (store, role) in [(mailbox, "mailbox"), (alias, "alias"), (virtuals, "virtual")] {
            match stores.iter_mut().find(|(known, _)| Arc::ptr_eq(known, store)) {
                Some((_, roles)) => *roles = format!("{roles}, {role}"),
                None => stores.push((Arc::clone(store), role.to_owned())),
            }
        }
        stores
    }
}
