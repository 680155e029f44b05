//! Everything but the store, typed. The defaults are here and in `qmail_lookup_core::settings`.

use crate::daemon::{DaemonSettings, in_range};
use crate::refusal::Refusal;
use crate::shadow::ShadowSettings;
use crate::sync::SyncSettings;
use qmail_lookup_core::Username;
use qmail_lookup_core::settings::{AuthSettings, RuleSettings};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// qmail's home, unless `qmail` says otherwise. Source: qmail's own conf-qmail.
pub const DEFAULT_QMAIL: &str = "/var/qmail";

/// Most keys that a cache may be told to keep.
const ENTRIES_MAX: u64 = 10_000_000;

/// Most password hashes that may be computed at the same time.
const PARALLEL_MAX: u16 = 64;

/// `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// How long an answer is kept; zero is off.
    #[serde(deserialize_with = "duration")]
    pub ttl: Duration,
    /// Most keys that are kept: 1 to 10,000,000.
    pub entries: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { ttl: Duration::ZERO, entries: 100_000 }
    }
}

/// All tables, the store still opaque.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tables {
    pub(crate) qmail: PathBuf,
    pub(crate) strict_permissions: bool,
    pub(crate) store: Map<String, Value>,
    pub(crate) rules: RuleSettings,
    pub(crate) auth: AuthSettings,
    pub(crate) daemon: DaemonSettings,
    pub(crate) cache: CacheSettings,
    pub(crate) shadow: ShadowSettings,
    pub(crate) sync: SyncSettings,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            qmail: DEFAULT_QMAIL.into(),
            strict_permissions: false,
            store: Map::new(),
            rules: RuleSettings::default(),
            auth: AuthSettings::default(),
            daemon: DaemonSettings::default(),
            cache: CacheSettings::default(),
            shadow: ShadowSettings::default(),
            sync: SyncSettings::default(),
        }
    }
}

impl Tables {
    /// Reads them, and refuses what no part of the program could use.
    pub(crate) fn read(data: Map<String, Value>) -> Result<Self, Refusal> {
        // A derived reader takes a list for a struct.
        for table in ["store", "rules", "auth", "daemon", "cache", "shadow", "sync"] {
            if data.get(table).is_some_and(|value| !value.is_object()) {
                return Err(Refusal::new(table, format!("expected a table [{table}]")));
            }
        }
        if data.get("daemon").and_then(|daemon| daemon.get("allow")).is_some_and(|value| !value.is_object()) {
            return Err(Refusal::new("daemon.allow", "expected a table [daemon.allow]"));
        }
        let tables: Self = crate::refusal::read(data)?;
        tables.judge()?;
        Ok(tables)
    }

    fn judge(&self) -> Result<(), Refusal> {
        if !self.qmail.is_absolute() {
            return Err(Refusal::new("qmail", "not an absolute path, for example \"/var/qmail\""));
        }
        let Self { rules, auth, daemon, cache, shadow, sync, .. } = self;
        if Username::new(rules.alias_user.as_bytes()).is_none() {
            return Err(Refusal::new("rules.alias_user", "not a user name: 1 to 128 printable ASCII bytes, no blanks"));
        }
        if !rules.break_chars.bytes().all(|byte| (0x21..=0x7E).contains(&byte)) {
            return Err(Refusal::new("rules.break", "holds something else than printable ASCII characters"));
        }
        for (key, smallest) in [("rules.min_uid", rules.min_uid), ("rules.min_gid", rules.min_gid)] {
            if smallest == 0 {
                return Err(Refusal::new(key, "0 would let a row of the database be root; expected 1 or more"));
            }
        }
        daemon.judge()?;
        shadow.judge()?;
        sync.judge()?;
        in_range("auth.parallel", auth.parallel, 0..=PARALLEL_MAX)?;
        in_range("cache.entries", cache.entries, 1..=ENTRIES_MAX)
    }
}

/// Reads a length of time, such as `5s` or `1m 30s`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a length of time in quotes, such as \"5s\" or \"500ms\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            humantime::parse_duration(text).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::settings::{FallBack, LoginBy, Rehash};
    use serde_json::json;
    use std::path::Path;

    fn refuse(value: &Value) -> (String, String) {
        let refusal = Tables::read(value.as_object().unwrap().clone()).err().unwrap();
        (refusal.key, refusal.problem)
    }

    #[test]
    fn nothing_said_is_the_documented_default() {
        let tables = Tables::read(Map::new()).unwrap();
        assert_eq!(tables.qmail, Path::new("/var/qmail"));
        assert!(!tables.strict_permissions);
        assert_eq!((tables.rules, tables.daemon), (RuleSettings::default(), DaemonSettings::default()));
        let AuthSettings { login, fall_back, rehash, parallel } = tables.auth;
        assert_eq!((login, fall_back, rehash, parallel), (LoginBy::Username, FallBack::None, Rehash::Off, 0));
        assert_eq!((tables.cache.ttl, tables.cache.entries), (Duration::ZERO, 100_000));
    }

    #[test]
    fn what_could_not_work_is_refused() {
        let time = "expected a length of time in quotes, such as \"5s\" or \"500ms\"";
        for (value, key, problem) in [
            (json!({"qmail": "var"}), "qmail", "not an absolute path, for example \"/var/qmail\"".to_owned()),
            (
                json!({"rules": {"alias_user": "a b"}}),
                "rules.alias_user",
                "not a user name: 1 to 128 printable ASCII bytes, no blanks".to_owned(),
            ),
            (
                json!({"rules": {"break": "- "}}),
                "rules.break",
                "holds something else than printable ASCII characters".to_owned(),
            ),
            (
                json!({"rules": {"min_uid": 0}}),
                "rules.min_uid",
                "0 would let a row of the database be root; expected 1 or more".to_owned(),
            ),
            (
                json!({"rules": {"suspended_mail": "eat"}}),
                "rules.suspended_mail",
                "`eat` is none of deliver, defer, bounce".to_owned(),
            ),
            (json!({"auth": {"parallel": 65}}), "auth.parallel", "65 is out of range; expected 0 to 64".to_owned()),
            (
                json!({"auth": {"rehash": "sha521"}}),
                "auth.rehash",
                "`sha521` is none of off, sha512, yescrypt".to_owned(),
            ),
            (
                json!({"auth": {"fall_back": true}}),
                "auth.fall_back",
                "invalid type: boolean `true`, expected a word in quotes".to_owned(),
            ),
            (json!({"cache": {"entries": 0}}), "cache.entries", "0 is out of range; expected 1 to 10000000".to_owned()),
            (
                json!({"cache": {"entries": 10_000_001}}),
                "cache.entries",
                "10000001 is out of range; expected 1 to 10000000".to_owned(),
            ),
            (json!({"rules": ["+"]}), "rules", "expected a table [rules]".to_owned()),
            (json!({"cache": {"ttl": "5"}}), "cache.ttl", format!("invalid value: string \"5\", {time}")),
            (json!({"cache": {"ttl": 5}}), "cache.ttl", format!("invalid type: integer `5`, {time}")),
        ] {
            assert_eq!(refuse(&value), (key.to_owned(), problem));
        }
    }
}
