//! Settings of an LDAP store.

use super::mapping::Mapping;
use super::tls;
use crate::registry::{self, SettingsError};
use crate::secret_file;
use qmail_lookup_core::{Secret, Table};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// Every key this store knows.
pub(super) const KNOWN: &[&str] =
    &["servers", "bind_dn", "password_file", "password", "base", "mapping", "auth", "tls", "tls_ca", "connections"];

/// Where Debian's slapd listens.
pub(super) const DEFAULT_SOCKET: &str = "/run/slapd/ldapi";
const DEFAULT_CONNECTIONS: u8 = 2;
const CONNECTIONS_MAX: u8 = 4;

/// Settings that were understood.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// In order of preference; at least one.
    pub(super) servers: Vec<Server>,
    /// Who asks; `None` asks anonymously.
    pub(super) bind: Option<Bind>,
    pub(super) base: String,
    pub(super) mapping: Arc<Mapping>,
    pub(super) auth: Auth,
    /// Roots that were read from `tls_ca`.
    pub(super) roots: Option<Arc<tls::Roots>>,
    /// To each server.
    pub(super) connections: usize,
}

/// The account that questions are asked as.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub(super) dn: String,
    /// Always UTF-8, never empty.
    pub(super) password: Secret,
}

/// One server, and how its connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) at: Address,
    pub(super) tls: Tls,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Path of a UNIX socket.
    Socket(PathBuf),
    /// Host name or IP address without brackets.
    Tcp {
        host: String,
        port: u16,
        /// Encrypted from the first byte.
        ldaps: bool,
    },
}

/// Encryption of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// None.
    Off,
    /// Encrypted, but anybody may be the server.
    Require,
    /// Encrypted, and the certificate names the server.
    Verify,
}

/// Who decides about a password. Neither ever falls back to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Auth {
    /// The server, by a bind as the user.
    #[default]
    Bind,
    /// We, from userPassword.
    Compare,
}

/// As it stands in the configuration. No Debug: it holds the password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    servers: Option<Vec<String>>,
    bind_dn: Option<String>,
    password_file: Option<PathBuf>,
    password: Option<String>,
    base: Option<String>,
    mapping: Option<Value>,
    #[serde(default)]
    auth: Auth,
    tls: Option<Tls>,
    tls_ca: Option<PathBuf>,
    connections: Option<u8>,
}

pub(super) fn error(key: &str, problem: impl Into<String>) -> SettingsError {
    SettingsError { key: key.to_owned(), problem: problem.into(), known: KNOWN }
}

impl Settings {
    pub(super) fn read(settings: registry::Settings) -> Result<Self, SettingsError> {
        let raw: Raw = registry::read(settings, KNOWN)?;
        let base = raw.base.filter(|text| !text.is_empty());
        let base =
            base.ok_or_else(|| error("base", "missing; this store needs it, for example \"dc=example,dc=org\""))?;
        let mapping = Arc::new(Mapping::read(raw.mapping, &base)?);
        let addresses = raw.servers.unwrap_or_else(|| vec!["ldapi:///".to_owned()]);
        if addresses.is_empty() {
            return Err(error("servers", format!("an empty list; leave the key out for {DEFAULT_SOCKET}")));
        }
        let servers = addresses.iter().map(|text| Server::read(text, raw.tls)).collect::<Result<Vec<_>, _>>()?;
        // Whoever may be the server could take every password, and let everybody in.
        if raw.auth == Auth::Bind && servers.iter().any(|server| server.tls != Tls::Verify && !server.at.is_local()) {
            let problem = "not \"verify\", but auth = \"bind\" would trust whoever answers with the users' passwords; use \
                           tls = \"verify\", or auth = \"compare\"";
            return Err(error("tls", problem));
        }
        let connections = raw.connections.unwrap_or(DEFAULT_CONNECTIONS);
        if !(1..=CONNECTIONS_MAX).contains(&connections) {
            return Err(error("connections", format!("not from 1 to {CONNECTIONS_MAX}")));
        }
        let roots = raw.tls_ca.as_deref().map(tls::Roots::read).transpose()?.map(Arc::new);
        let password = match (raw.password_file, raw.password) {
            (Some(_), Some(_)) => return Err(error("password_file", "set together with password; keep one of them")),
            (Some(path), None) => Some(secret_file::read(&path).map_err(|problem| error("password_file", problem))?),
            (None, Some(text)) if text.is_empty() => {
                return Err(error("password", "empty; an empty password makes a server take anybody for nobody"));
            }
            (None, text) => text.map(|text| Secret::new(text.into_bytes())),
        };
        if password.as_ref().is_some_and(|secret| secret.expose().contains(&0)) {
            return Err(error("password", "holds a NUL byte"));
        }
        let bind = match (raw.bind_dn.filter(|dn| !dn.is_empty()), password) {
            (Some(dn), Some(password)) => Some(Bind { dn, password }),
            (Some(_), None) => return Err(error("password_file", "missing; bind_dn needs a password")),
            (None, Some(_)) => return Err(error("bind_dn", "missing; a password needs it")),
            (None, None) => None,
        };
        Ok(Self { servers, bind, base, mapping, auth: raw.auth, roots, connections: connections.into() })
    }
}

impl Settings {
    /// True if the entries are those of the native schema, wherever they are. Only these are scanned and edited.
    pub(super) fn is_native(&self) -> bool {
        let native = Mapping::native(&self.base);
        *self.mapping
            == Table::ALL.into_iter().fold(native, |native, table| match self.mapping.place(table) {
                Some(place) => native.with_base(table, place.base),
                None => native,
            })
    }
}

impl Server {
    fn read(text: &str, tls: Option<Tls>) -> Result<Self, SettingsError> {
        let at = Address::parse(text).map_err(|problem| error("servers", problem))?;
        let tls = match (&at, tls) {
            // What goes through a socket does not leave the machine, and the driver encrypts none.
            (Address::Socket(_), _) => Tls::Off,
            (Address::Tcp { ldaps: true, .. }, Some(Tls::Off)) => {
                return Err(error("tls", "off, but ldaps:// is always encrypted; write ldap://, or leave tls out"));
            }
            (_, Some(tls)) => tls,
            (Address::Tcp { ldaps: false, .. }, None) if at.is_local() => Tls::Off,
            (Address::Tcp { .. }, None) => Tls::Verify,
        };
        if let Address::Tcp { host, .. } = &at
            && tls != Tls::Off
            && host.parse::<Ipv6Addr>().is_ok()
        {
            return Err(error(
                "servers",
                format!("{text:?}: an IPv6 address cannot be encrypted; write the host name"),
            ));
        }
        Ok(Self { at, tls })
    }
}

impl Address {
    /// Reads `ldapi:///path`, `ldapi://%2Fpath`, `ldap://host:port` or `ldaps://host:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected \"ldapi:///path\", \"ldap://host\" or \"ldaps://host\", with \":port\" behind";
        if text.contains('@') {
            return Err("a server with '@'; put user and password into bind_dn and password_file".to_owned());
        }
        let wrong = |problem: &str| format!("{text:?}: {problem}; {expected}");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("not a URL"))?;
        let ldaps = match scheme.to_ascii_lowercase().as_str() {
            "ldapi" => {
                let path =
                    crate::percent::unescape(rest).ok_or_else(|| wrong("a '%' without two hexadecimal digits"))?;
                return match path.as_str() {
                    "" | "/" => Ok(Self::Socket(DEFAULT_SOCKET.into())),
                    path if path.starts_with('/') && !path.contains('\0') => {
                        Ok(Self::Socket(path.trim_end_matches('/').into()))
                    }
                    _ => Err(wrong("not an absolute path")),
                };
            }
            "ldap" => false,
            "ldaps" => true,
            _ => return Err(wrong("not a known scheme")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => {
                host.parse::<Ipv6Addr>().map_err(|_| wrong("not an IPv6 address between the brackets"))?;
                (host, (!port.is_empty()).then_some(port))
            }
            Some(None) => return Err(wrong("no closing bracket")),
            None => match rest.find(':').map(|at| rest.split_at(at)) {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let digits = |port: &str| port.strip_prefix(':').and_then(|digits| digits.parse().ok());
        let port = match port {
            None => {
                if ldaps {
                    636
                } else {
                    389
                }
            }
            Some(port) => digits(port).filter(|&port| port > 0).ok_or_else(|| wrong("not a port"))?,
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if host.is_empty() || !host.bytes().all(allowed) {
            return Err(wrong("not a host name"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port, ldaps })
    }

    /// True if what is sent there cannot leave this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp { host, .. } => {
                let name = host.strip_suffix('.').unwrap_or(host);
                name.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "ldap {}", path.display()),
            Self::Tcp { host, port, ldaps } => {
                let scheme = if *ldaps { "ldaps" } else { "ldap" };
                if host.contains(':') {
                    write!(f, "{scheme} [{host}]:{port}")
                } else {
                    write!(f, "{scheme} {host}:{port}")
                }
            }
        }
    }
}
