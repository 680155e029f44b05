//! `[shadow]`: a second store that the daemon asks after each answer, to see whether it would have said the same.

use crate::daemon::in_range;
use crate::error::{ConfigError, Warning};
use crate::open::Stores;
use crate::refusal::Refusal;
use crate::{Config, Sources, load};
use qmail_lookup_backends::registry::Registry;
use serde::Deserialize;
use std::path::PathBuf;
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
}

impl Config {
    /// Opens the stores of `shadow.config` under the rules of this configuration; `None` if there is none. The file is
    /// read without the environment, whose variables are about our own stores, and nothing of it counts but `[store]`.
    /// Connects to nothing.
    ///
    /// # Errors
    /// If the file cannot be used, with its name and line.
    pub fn open_shadow(&self, registry: &Registry) -> Option<Result<ShadowStores, ConfigError>> {
        let sources = Sources { config: Some(self.shadow.config.clone()?), ..Sources::default() };
        Some(load(&sources, registry).and_then(|second| {
            let second = Self { rules: self.rules.clone(), ..second };
            let stores = second.open(registry)?;
            let about_stores = |warning: &Warning| warning.key.is_empty() || warning.key.starts_with("store");
            let warnings = second.warnings.into_iter().filter(about_stores).collect();
            Ok(ShadowStores { stores, deadline: second.deadline, warnings })
        }))
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
