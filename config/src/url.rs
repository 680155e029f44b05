//! `--store URL`: a store without a file, `KIND:REST`. The kind reads the rest by itself.

use crate::error::{ConfigError, Place};
use crate::layers::{Layer, Origin};
use qmail_lookup_backends::registry::Registry;
use serde_json::{Map, Value};

/// Reads the URL as a layer that chooses the store. The URL is never quoted: it may hold a password.
pub(crate) fn read(url: &str, registry: &Registry) -> Result<Layer, ConfigError> {
    refuse_password(url)?;
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let Some(entry) = registry.find(scheme) else {
        let kinds: Vec<&str> = registry.kinds().collect();
        let nearest = crate::nearest::nearest(scheme, kinds.iter().copied()).map(|kind| format!("{kind}:"));
        let problem = format!("not the URL of a store; it begins with one of {}", kinds.join(":, ") + ":");
        return Err(error("", problem).with_nearest(nearest));
    };
    let settings = (entry.from_url)(rest).map_err(|refused| error(&refused.key, refused.problem))?;
    let mut store = Map::from_iter([("kind".to_owned(), Value::from(entry.kind))]);
    store.extend(settings);
    Ok(Layer { origin: Origin::StoreUrl, data: Map::from_iter([("store".to_owned(), Value::Object(store))]) })
}

fn error(key: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError::new(Place::StoreUrl, key, problem)
}

fn refuse_password(url: &str) -> Result<(), ConfigError> {
    let Ok(parsed) = url::Url::parse(url) else { return Ok(()) };
    let in_query = parsed.query_pairs().any(|(key, _)| key.contains("password") && !key.ends_with("_file"));
    if parsed.password().is_none() && !in_query {
        return Ok(());
    }
    let problem = "holds a password, which every user of this machine can see in the list of processes";
    let help = "put it into a file and name that with ?password_file=PATH, or, where it is the only store, into \
                QMAIL_LOOKUP_STORE__PASSWORD";
    Err(error("", problem).with_help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refuse(url: &str) -> String {
        read(url, &Registry::builtin()).err().unwrap().to_string()
    }

    #[test]
    fn a_url_becomes_a_store_table() {
        let layer = read("sqlite:/var/db/q.db", &Registry::builtin()).unwrap();
        assert_eq!(Value::Object(layer.data), json!({"store": {"kind": "sqlite", "path": "/var/db/q.db"}}));
        let layer = read("mysql://q@db1:3307/mail", &Registry::builtin()).unwrap();
        let expected = json!({"kind": "mysql", "servers": ["db1:3307"], "user": "q", "database": "mail"});
        assert_eq!(layer.data["store"], expected);
    }

    #[test]
    fn errors_never_repeat_the_url() {
        let password = "--store: holds a password, which every user of this machine can see in the list of processes; \
                        put it into a file and name that with ?password_file=PATH, or, where it is the only store, into \
                        QMAIL_LOOKUP_STORE__PASSWORD";
        assert_eq!(refuse("mysql://q:hunter2@db1/mail"), password);
        assert_eq!(refuse("mysql://q@db1/mail?password=hunter2"), password);
        assert_eq!(refuse("xyz://q:hunter2@db1/mail"), password);
        let kinds = "--store: not the URL of a store; it begins with one of mysql:, sqlite:, ldap:, memory:";
        assert_eq!(refuse("mysq://q@db1/mail"), format!("{kinds}; did you mean mysql:?"));
        assert_eq!(refuse("hunter2"), kinds);
        assert!(refuse("sqlite:").starts_with("--store: path: "));
    }
}
