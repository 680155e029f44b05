//! The kinds of store there are. Adding one is one folder and one line in each place; a test finds a forgotten place.

use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Backend, TableOptions};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Settings of one store as a plain value; `kind` and the layers' keys are already taken out.
pub type Settings = Map<String, Value>;

/// What every store is told besides its own settings.
#[derive(Clone, Debug)]
pub struct OpenContext {
    /// For judging a row that a login uses.
    pub rules: Arc<RuleSettings>,
    /// Longest a question may take; a store tells its server, so that abandoned statements end there too.
    pub deadline: Duration,
}

impl Default for OpenContext {
    fn default() -> Self {
        Self { rules: Arc::default(), deadline: Duration::from_secs(5) }
    }
}

/// Settings that a store cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Key path inside the store's table; empty if it is the table as a whole.
    pub key: String,
    /// What is wrong and what is expected; never a secret.
    pub problem: String,
    /// The keys this store knows.
    pub known: &'static [&'static str],
}

/// Opens a store from its settings. Connects to nothing.
pub type Open = fn(Settings, &OpenContext) -> Result<Arc<dyn Backend>, SettingsError>;

/// One kind of store.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Name in `store.kind`, and scheme of its URLs.
    pub kind: &'static str,
    /// See [`Open`].
    pub open: Open,
    /// Reads the part of a `--store` URL after `KIND:` as settings. A password in it is refused.
    pub from_url: fn(&str) -> Result<Settings, SettingsError>,
    /// The statements that make the tables, for people to read.
    pub schema: fn(TableOptions) -> String,
}

/// The kinds that a program knows.
#[derive(Clone)]
pub struct Registry(Vec<Entry>);

impl Registry {
    /// The kinds that were compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        Self(vec![
            #[cfg(feature = "mysql")]
            crate::mysql::ENTRY,
            #[cfg(feature = "sqlite")]
            crate::sqlite::ENTRY,
            #[cfg(feature = "ldap")]
            crate::ldap::ENTRY,
            crate::memory::ENTRY,
        ])
    }

    /// Adds a kind; it takes the place of one with the same name.
    #[must_use]
    pub fn with(mut self, entry: Entry) -> Self {
        self.0.retain(|known| known.kind != entry.kind);
        self.0.push(entry);
        self
    }

    /// Finds a kind.
    #[must_use]
    pub fn find(&self, kind: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.kind == kind)
    }

    /// Names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|entry| entry.kind)
    }
}

/// Reads a store's own settings struct; the error names the key.
///
/// # Errors
/// On an unknown key or a value of the wrong type. The text never quotes a value of a key that holds a secret.
pub fn read<T: DeserializeOwned>(settings: Settings, known: &'static [&'static str]) -> Result<T, SettingsError> {
    serde_path_to_error::deserialize(Value::Object(settings)).map_err(|error| {
        let path = error.path().to_string();
        let key = if path == "." { String::new() } else { path };
        // What was found is not repeated: a secret may stand in the wrong place.
        let text = error.into_inner().to_string();
        let problem = match text.split_once(", expected ") {
            Some((wrong, expected)) if wrong.starts_with("invalid ") => format!("not usable, expected {expected}"),
            _ => text,
        };
        SettingsError { key, problem, known }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(feature = "mysql", feature = "sqlite"))]
    fn kinds_are_unique_and_every_feature_has_one() {
        let registry = Registry::builtin();
        let mut kinds: Vec<_> = registry.kinds().collect();
        kinds.sort_unstable();
        let mut unique = kinds.clone();
        unique.dedup();
        assert_eq!(kinds, unique);
        let manifest = include_str!("../Cargo.toml");
        let default = manifest.lines().find(|line| line.starts_with("default = ")).unwrap();
        for feature in default.split('"').skip(1).step_by(2) {
            assert!(registry.find(feature).is_some(), "feature {feature} has no registry entry");
        }
    }
}
