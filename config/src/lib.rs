//! Configuration of qmail-lookup: one TOML file, or `control/sqlserver` alone, and the environment.
//!
//! | what | room |
//! |---|---|
//! | the order of the sources | `layers` |
//! | the TOML file; line and column of a key | `toml`, `locate` |
//! | `control/sqlserver`: its lines, and what they mean as a store | [`sqlserver`], `sqlserver_store` |
//! | `QMAIL_LOOKUP_...` | `variables` |
//! | `--store URL` | `url` |
//! | `[rules]`, `[auth]`, `[cache]`, typed | [`settings`] |
//! | `[daemon]`, typed; who may ask; where metrics are served | [`daemon`], [`allow`], [`metrics`] |
//! | `[store]` and its overrides | [`store`] |
//! | `[shadow]`, typed | [`shadow`] |
//! | `[sync]`, typed | [`sync`] |
//! | stores with their layers | [`open`] |
//! | qmail's own control files | [`control`] |
//! | uids and gids that no row may have | [`deny`] |
//! | what parses but is unwise; users and groups that are not here | `check`, `names` |
//! | errors and warnings | [`error`] |
//!
//! [`load`] reads and judges; [`Config::open`] opens the stores. Neither connects to anything.

pub mod allow;
mod check;
pub mod control;
pub mod daemon;
pub mod deny;
pub mod error;
mod file;
mod layers;
mod load;
mod locate;
pub mod metrics;
mod names;
mod nearest;
pub mod open;
mod refusal;
pub mod settings;
pub mod shadow;
pub mod sqlserver;
mod sqlserver_store;
pub mod store;
pub mod sync;
mod toml;
mod url;
mod variables;

pub use allow::Right;
pub use daemon::{DaemonSettings, LogFormat, LogLevel};
pub use error::{ConfigError, Level, Place, Warning};
pub use file::quoted;
pub use load::{DEFAULT_CONFIG, Sources, load};
pub use metrics::MetricsAddress;
pub use open::{Serving, Stores};
pub use settings::CacheSettings;
pub use shadow::{ShadowSettings, ShadowStores};
pub use store::{Plan, Role, RoleStore};
pub use sync::{QmailSend, SyncSettings};
pub use variables::PREFIX;

use qmail_lookup_core::settings::{AuthSettings, RuleSettings};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration that was read and judged.
#[derive(Clone)]
pub struct Config {
    /// qmail's home.
    pub qmail: PathBuf,
    /// True if a world-readable file that holds a password is refused.
    pub strict_permissions: bool,
    /// `[rules]`, with the ids of [`deny`] added.
    pub rules: RuleSettings,
    /// `[auth]`.
    pub auth: AuthSettings,
    /// `[daemon]`.
    pub daemon: DaemonSettings,
    /// `[cache]`.
    pub cache: CacheSettings,
    /// `[shadow]`.
    pub shadow: ShadowSettings,
    /// `[sync]`.
    pub sync: SyncSettings,
    /// The store of each role.
    pub store: Plan,
    /// Time for a whole question: more than zero, at most 60 s.
    pub deadline: Duration,
    /// What works but should be known.
    pub warnings: Vec<Warning>,
    pub(crate) layers: layers::Layers,
}

impl Config {
    /// Where a setting was written; for one that was not, the table around it.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        self.layers.place(key)
    }

    /// The sources that were read, lowest first: file names, `--store`, the names of variables. Never a value.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        self.layers.describe()
    }

    /// Sources and stores, one line each, for people. Never a secret.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![format!("configuration: {}", self.sources().join(" < "))];
        for role in Role::ALL {
            let store = self.store.role(role);
            lines.push(format!("{}: {} of [{}]", role.as_str(), store.kind, store.table));
        }
        lines
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("qmail", &self.qmail)
            .field("strict_permissions", &self.strict_permissions)
            .field("rules", &self.rules)
            .field("auth", &self.auth)
            .field("daemon", &self.daemon)
            .field("cache", &self.cache)
            .field("shadow", &self.shadow)
            .field("sync", &self.sync)
            .field("store", &self.store)
            .field("deadline", &self.deadline)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
