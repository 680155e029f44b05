//! The part of a `--store` URL after `ldap:`.
//!
//! `ldap:ldapi://%2Frun%2Fslapd%2Fldapi/dc=example,dc=org?bind_dn=cn=qmail,dc=example,dc=org&password_file=/path`
//!
//! A whole LDAP URL whose path is the base; `ldap://host/base` alone will do, the second `ldap:` being understood. The
//! socket of an ldapi URL is written in the place of the host, with `%2F` for `/`; left out it is the usual one. Behind
//! the `?` stand settings; `%` escapes count in every part, `+` is a plus.

use super::settings::error;
use crate::percent;
use crate::registry::{Settings, SettingsError};

const FORM: &str = "expected ldap:ldapi://%2Fpath%2Fof%2Fsocket/BASE or ldap://host:port/BASE, with ?bind_dn=, \
                    password_file=, mapping=, auth=, tls= or tls_ca= behind";

/// Reads it as settings. What is left out keeps its default.
pub(super) fn settings(rest: &str) -> Result<Settings, SettingsError> {
    let whole = if rest.starts_with("//") { format!("ldap:{rest}") } else { rest.to_owned() };
    let wrong = |problem: &str| error("", format!("{problem}; {FORM}"));
    let (scheme, rest) = whole.split_once("://").ok_or_else(|| wrong("not a URL"))?;
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
    if rest.contains('#') || query.contains('?') {
        return Err(wrong("holds a '#' or a second '?'"));
    }
    let (host, base) = place.split_once('/').unwrap_or((place, ""));
    if host.contains('@') {
        let help = "a user in the URL; use ?bind_dn=DN&password_file=PATH. A password in the URL is seen by every user \
                    of this machine";
        return Err(error("password", help));
    }
    let unescape =
        |text: &str| percent::unescape(text).ok_or_else(|| wrong("a '%' without two hexadecimal digits, or not UTF-8"));
    let mut settings = Settings::new();
    settings.insert("servers".to_owned(), vec![format!("{scheme}://{host}")].into());
    let base = unescape(base)?;
    if !base.is_empty() {
        settings.insert("base".to_owned(), base.into());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong("a setting without '='"))?;
        match key {
            "bind_dn" | "password_file" | "mapping" | "auth" | "tls" | "tls_ca" => {
                settings.insert(key.to_owned(), unescape(value)?.into());
            }
            "password" => return Err(error("password", "not in a URL; use ?password_file=PATH")),
            _ => return Err(error(key, format!("not known in a URL; {FORM}"))),
        }
    }
    Ok(settings)
}
