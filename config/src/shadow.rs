//! `[shadow]`: a second store that the daemon asks after each answer, to see whether it would have said the same.

use crate::daemon::in_range;
use crate::error::{ConfigError, Place, Warning};
use crate::open::Stores;
use crate::refusal::Refusal;
use crate::store::Role;
use crate::{Config, Sources, load};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_core::Backend;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// `[shadow]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowSettings {
    /// The configuration file whose `[store]` is asked; none: no shadow.
    pub config: Option<PathBuf>,
    /// Questions that are put to it at once; what comes while so many are under way and `queue` is full is not asked.
    pub parallel: u16,
    /// Questions that wait.
    pub queue: u32,
}

impl Default for ShadowSettings {
    fn default() -> Self {
        Self { config: None, parallel: 8, queue: 1000 }
    }
}

impl ShadowSettings {
    pub(crate) fn judge(&self) -> Result<(), Refusal> {
        if self.config.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(Refusal::new(
                "shadow.config",
                "not an absolute path, for example \"/etc/qmail-lookup/new.toml\"",
            ));
        }
        in_range("shadow.parallel", self.parallel, 1..=64)?;
        in_range("shadow.queue", self.queue, 1..=100_000)
    }
}

/// The stores that are asked besides.
pub struct ShadowStores {
    /// The store of each role, for a few questions at a time.
    pub stores: Stores,
    /// Time for a whole question: that of the second file.
    pub deadline: Duration,
    /// What should be known about its stores and its file.
    pub warnings: Vec<Warning>,
    /// Where its stores are, one line each, for people. Never a secret.
    pub lines: Vec<String>,
}

impl Config {
    /// Opens the stores of `shadow.config` under the rules of this configuration; `None` if there is none. The file is
    /// read without the environment, whose variables are about our own stores, and nothing of it counts but `[store]`,
    /// which it must have. Connects to nothing.
    ///
    /// # Errors
    /// If the file cannot be used, with its name and line.
    pub fn open_shadow(&self, registry: &Registry) -> Option<Result<ShadowStores, ConfigError>> {
        self.shadow.config.as_deref().map(|path| self.shadow_of(path, registry))
    }

    fn shadow_of(&self, path: &Path, registry: &Registry) -> Result<ShadowStores, ConfigError> {
        let second = load(&Sources { config: Some(path.to_owned()), ..Sources::default() }, registry)?;
        if let Some(legacy) = second.layers.sqlserver() {
            let problem = format!("no table [store]; that of {} is not asked in its place", legacy.display());
            return Err(ConfigError::new(Place::file(path), "", problem).with_help("add [store] of the second store"));
        }
        let second = Self { rules: self.rules.clone(), ..second };
        let (own, stores) = (self.open(registry)?, second.open(registry)?);
        let about_stores = |warning: &Warning| warning.key.is_empty() || warning.key.starts_with("store");
        let mut warnings: Vec<_> = second.warnings.iter().filter(|warning| about_stores(warning)).cloned().collect();
        let same: Vec<_> = Role::ALL.into_iter().filter(|&role| same(role, (self, &own), (&second, &stores))).collect();
        if !same.is_empty() {
            let text =
                format!("the daemon's own store, too, of {}: compared with itself, nothing differs", names(&same));
            let warning = Warning::unwise(second.place("store"), "store", text);
            warnings.push(warning.with_help("name the store that is to take its place"));
        }
        let line = |(store, roles): (&Arc<dyn Backend>, Vec<Role>)| {
            let part = roles.first().map(|&role| second.store.role(role).part()).unwrap_or_default();
            let part = if part.is_empty() { part } else { format!(", {part}") };
            format!("second store, {}: {}{part}", names(&roles), store.place())
        };
        let lines = stores.each().into_iter().map(line).collect();
        Ok(ShadowStores { deadline: second.deadline, warnings, lines, stores })
    }
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// True if both read the same rows, whoever they log in as.
fn same(role: Role, own: (&Config, &Stores), second: (&Config, &Stores)) -> bool {
    let [one, other] = [own, second].map(|(config, stores)| {
        let store = match role {
            Role::Mailbox => &stores.mailbox,
            Role::Alias => &stores.alias,
            Role::Virtual => &stores.virtuals,
        };
        let settings = config.store.role(role);
        (settings.kind.clone(), store.place(), settings.part())
    });
    one == other
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
