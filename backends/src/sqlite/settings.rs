//! Settings of a SQLite store.

use crate::registry::{Settings, SettingsError, read};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The keys of this store.
pub(super) const KNOWN: &[&str] = &["path", "threads"];

/// Threads that ask, unless set. Unit: threads, each with its own connection.
const THREADS: u64 = 2;

/// Most threads that make sense. Source: each keeps a page cache of its own.
const THREADS_MAX: u64 = 16;

/// What `[store]` holds for kind `sqlite`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SqliteSettings {
    /// The database file, as the administrator wrote it.
    pub(super) path: PathBuf,
    /// Threads that ask; 1 to 16.
    pub(super) threads: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    path: String,
    #[serde(default = "threads_unless_set")]
    threads: u64,
}

fn threads_unless_set() -> u64 {
    THREADS
}

fn refuse(key: &str, problem: &str) -> SettingsError {
    SettingsError { key: key.to_owned(), problem: problem.to_owned(), known: KNOWN }
}

impl SqliteSettings {
    /// Reads and checks them. Touches no file.
    ///
    /// # Errors
    /// On an unknown key, a missing or unusable path, or a number of threads outside 1..=16.
    pub(super) fn read(settings: Settings) -> Result<Self, SettingsError> {
        let raw: Raw = read(settings, KNOWN)?;
        match raw.path.as_str() {
            "" => return Err(refuse("path", "empty; it names the database file")),
            ":memory:" => return Err(refuse("path", "a database in memory is always empty; name a file")),
            path if path.contains('\0') => return Err(refuse("path", "holds a NUL")),
            _ => {}
        }
        let threads = Some(raw.threads).filter(|n| (1..=THREADS_MAX).contains(n));
        let threads = threads.and_then(|n| usize::try_from(n).ok());
        let threads = threads.ok_or_else(|| refuse("threads", "not a number from 1 to 16"))?;
        Ok(Self { path: PathBuf::from(raw.path), threads })
    }
}

/// Reads what follows `sqlite:` in a URL: a path, absolute or relative, or `//` and an absolute path.
///
/// # Errors
/// On an empty path, a host, or options.
pub(super) fn from_url(rest: &str) -> Result<Settings, SettingsError> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(refuse("path", "a file has no host; write sqlite:PATH or sqlite:///PATH")),
        None => rest,
    };
    if path.contains('?') {
        return Err(refuse("path", "a sqlite URL takes no options after '?'"));
    }
    if path.is_empty() {
        return Err(refuse("path", "empty; write sqlite:PATH"));
    }
    Ok(Settings::from_iter([("path".to_owned(), Value::from(path))]))
}

/// The path from the root, so that a change of the working directory does not change the store, and so that no
/// spelling of it means anything special to SQLite (`:memory:`, `file:`).
pub(super) fn absolute(path: &Path) -> Result<PathBuf, SettingsError> {
    std::path::absolute(path).map_err(|error| refuse("path", &format!("cannot be made absolute: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(value: &Value) -> Settings {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_path_is_enough_and_bad_values_name_their_key() {
        let good = SqliteSettings::read(settings(&json!({"path": "a.db"}))).unwrap();
        assert_eq!(good, SqliteSettings { path: PathBuf::from("a.db"), threads: 2 });
        let bad = [
            ("path", json!({"path": ""})),
            ("path", json!({"path": ":memory:"})),
            ("path", json!({"path": "a\u{0}b"})),
            ("path", json!({"path": 7})),
            ("threads", json!({"path": "a", "threads": 0})),
            ("threads", json!({"path": "a", "threads": 17})),
            ("threads", json!({"path": "a", "threads": -1})),
            ("servers", json!({"path": "a", "servers": []})),
        ];
        for (key, value) in bad {
            let error = SqliteSettings::read(settings(&value)).unwrap_err();
            assert!(error.key == key || error.problem.contains(key), "{value} {error:?}");
            assert_eq!(error.known, KNOWN);
        }
        assert!(SqliteSettings::read(Settings::new()).is_err());
    }

    #[test]
    fn a_url_is_a_path() {
        let path = |url: &str| from_url(url).map(|s| s.get("path").cloned());
        assert_eq!(path("rel.db"), Ok(Some(json!("rel.db"))));
        assert_eq!(path("/abs.db"), Ok(Some(json!("/abs.db"))));
        assert_eq!(path("///abs.db"), Ok(Some(json!("/abs.db"))));
        for bad in ["", "//host/x", "//rel.db", "//", "a.db?mode=ro"] {
            assert!(from_url(bad).is_err(), "{bad}");
        }
    }
}
