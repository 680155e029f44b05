//! What a HUP exchanges as a whole: the configuration and everything made from it.

use crate::control_files::ControlFiles;
use crate::exit::Failure;
use crate::peer::Policy;
use crate::shadow::Opened;
use crate::system::own_uid;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, ConfigError, Serving, Sources, load};
use qmail_lookup_core::Lookup;
use qmail_lookup_core::settings::RuleSettings;
use std::fmt;
use std::time::Duration;

/// See the module.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) lookup: Lookup,
    pub(crate) serving: Serving,
    pub(crate) policy: Policy,
    pub(crate) control: ControlFiles,
    pub(crate) shadow: Opened,
    /// How long qmail-send keeps trying.
    pub(crate) queue_lifetime: Duration,
}

/// Why there is no state.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The configuration has to be changed.
    Config(ConfigError),
    /// The system does not say who somebody is, in words. That may pass.
    System(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(why) => f.write_str(why),
        }
    }
}

impl From<ConfigError> for Unusable {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Unusable> for Failure {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Config(error) => Self::usage(error.to_string()),
            Unusable::System(why) => Self::temporary(why),
        }
    }
}

/// Fails if the rules could believe no row because of what the system does not say (rule K3).
fn denied_ids_are_known(rules: &RuleSettings) -> Result<(), Unusable> {
    match &rules.deny_unknown {
        Some(why) => Err(Unusable::System(why.clone())),
        None => Ok(()),
    }
}

impl State {
    /// Reads and judges the configuration, and opens the stores in the place of those of `before`; connects to none of
    /// them. Asks the system for users, so not on the event loop.
    ///
    /// # Errors
    /// If the configuration cannot be used, or the system does not say whose the names in it are.
    pub(crate) fn load(sources: &Sources, registry: &Registry, before: Option<&Self>) -> Result<Self, Unusable> {
        let mut config = load(sources, registry)?;
        denied_ids_are_known(&config.rules)?;
        // A mailbox that is us could read the stores' credentials (rule K3).
        let own = own_uid();
        if !config.rules.deny_uids.contains(&own) {
            config.rules.deny_uids.push(own);
        }
        let serving = config.serve(registry, before.map(|before| &before.serving))?;
        let lookup = serving.stores.lookup(&config.rules);
        let policy = Policy::of(&config.daemon).map_err(Unusable::System)?;
        let control = ControlFiles::new(config.qmail.clone(), before.map(|before| &before.control));
        let shadow = Opened::of(&config, registry);
        let queue_lifetime = qmail_lookup_config::control::queue_lifetime(&config.qmail);
        Ok(Self { config, lookup, serving, policy, control, shadow, queue_lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn who_the_system_does_not_tell_about_may_be_told_later() {
        let rules = RuleSettings { deny_unknown: Some("user qmailq: no answer".to_owned()), ..RuleSettings::default() };
        let failure = Failure::from(denied_ids_are_known(&rules).unwrap_err());
        assert_eq!((failure.exit, failure.text.as_str()), (Exit::Temporary, "user qmailq: no answer"));
        let sources = Sources { config: Some("/nowhere/at-all.toml".into()), ..Sources::default() };
        let wrong = State::load(&sources, &Registry::builtin(), None).map(|_| ()).unwrap_err();
        assert_eq!(Failure::from(wrong).exit, Exit::Usage);
    }
}
