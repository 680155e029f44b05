//! The part of a `--store` URL after `mysql:`: `//user@host:port/db`, `//user@localhost/db?socket=/path`.

use super::settings::error;
use crate::percent;
use crate::registry::{Settings, SettingsError};
use serde_json::Value;
use url::Url;

const FORM: &str =
    "expected mysql://user@host:port/database, with ?socket=/path, tls=, tls_ca= or password_file= behind";

/// Reads it as settings. What is left out keeps its default.
pub(super) fn settings(rest: &str) -> Result<Settings, SettingsError> {
    let url =
        Url::parse(&format!("mysql:{rest}")).map_err(|why| error("", format!("not a usable URL ({why}); {FORM}")))?;
    if url.password().is_some() {
        let help = "a password in the URL is seen by every user of this machine; use ?password_file=PATH or the \
                    environment variable QMAIL_LOOKUP_STORE__PASSWORD";
        return Err(error("password", help));
    }
    if url.fragment().is_some() {
        return Err(error("", format!("holds a '#'; {FORM}")));
    }
    let mut settings = Settings::new();
    let mut put = |key: &str, value: Value| settings.insert(key.to_owned(), value);
    let user = unescape(url.username())?;
    if !user.is_empty() {
        put("user", user.into());
    }
    let database = unescape(url.path().trim_start_matches('/'))?;
    if database.contains('/') {
        return Err(error("database", FORM));
    }
    if !database.is_empty() {
        put("database", database.into());
    }
    let mut socket = None;
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "socket" => socket = Some(format!("unix:{value}")),
            "tls" | "tls_ca" | "password_file" => drop(put(&key, value.into_owned().into())),
            "password" => return Err(error("password", "not in a URL; use ?password_file=PATH")),
            _ => return Err(error(&key, format!("not known in a URL; {FORM}"))),
        }
    }
    let host = url.host_str().filter(|host| !host.is_empty());
    let server = match (socket, host, url.port()) {
        (Some(_), Some(host), port) if host != "localhost" || port.is_some() => {
            return Err(error("servers", "both a host and a socket; write localhost beside ?socket="));
        }
        (Some(socket), ..) => Some(socket),
        (None, Some(host), Some(port)) => Some(format!("{host}:{port}")),
        (None, Some(host), None) => Some(host.to_owned()),
        (None, None, _) => None,
    };
    if let Some(server) = server {
        put("servers", vec![server].into());
    }
    Ok(settings)
}

/// Undoes percent-encoding.
fn unescape(text: &str) -> Result<String, SettingsError> {
    percent::unescape(text).ok_or_else(|| error("", "a '%' without two hexadecimal digits, or not UTF-8"))
}
