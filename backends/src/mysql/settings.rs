//! Settings of a MySQL or MariaDB store.

use crate::registry::{self, SettingsError};
use crate::secret_file;
use qmail_lookup_core::Secret;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Every key this store knows.
pub(super) const KNOWN: &[&str] =
    &["servers", "user", "password_file", "password", "database", "tls", "tls_ca", "connections"];

const DEFAULT_SERVER: &str = "unix:/run/mysqld/mysqld.sock";
const DEFAULT_PORT: u16 = 3306;
const DEFAULT_CONNECTIONS: u8 = 4;
const CONNECTIONS_MAX: u8 = 64;

/// Settings that were understood.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// In order of preference; at least one.
    pub(super) servers: Vec<Server>,
    pub(super) user: String,
    /// Always UTF-8. `Secret` hides it from Debug.
    pub(super) password: Option<Secret>,
    pub(super) database: String,
    pub(super) tls_ca: Option<PathBuf>,
    /// To each server.
    pub(super) connections: usize,
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
    /// Host name or IP address without brackets, and port.
    Tcp(String, u16),
}

/// Encryption of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// None.
    Off,
    /// Encrypted if the server can do it, and anybody may be the server; the default of UNIX sockets. MySQL's
    /// caching_sha2_password asks for the password as it is when it has not cached the account. It would take it over
    /// a socket too, but the driver gives it to encrypted connections only.
    #[serde(skip)]
    Offered,
    /// Encrypted, but anybody may be the server.
    Require,
    /// Encrypted, and the certificate names the server.
    Verify,
}

/// As it stands in the configuration. No Debug: it holds the password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    servers: Option<Vec<String>>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    password: Option<String>,
    database: Option<String>,
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
        let named = |key, value: Option<String>| {
            value.filter(|text| !text.is_empty()).ok_or_else(|| error(key, "missing; this store needs it"))
        };
        let user = named("user", raw.user)?;
        let database = named("database", raw.database)?;
        let addresses = raw.servers.unwrap_or_else(|| vec![DEFAULT_SERVER.to_owned()]);
        if addresses.is_empty() {
            return Err(error("servers", format!("an empty list; leave the key out for {DEFAULT_SERVER}")));
        }
        let server = |text: &String| {
            let at = Address::parse(text).map_err(|problem| error("servers", problem))?;
            let usual = match &at {
                Address::Socket(_) => Tls::Offered,
                Address::Tcp(..) if at.is_local() => Tls::Off,
                Address::Tcp(..) => Tls::Verify,
            };
            Ok(Server { at, tls: raw.tls.unwrap_or(usual) })
        };
        let servers = addresses.iter().map(server).collect::<Result<_, _>>()?;
        let connections = raw.connections.unwrap_or(DEFAULT_CONNECTIONS);
        if !(1..=CONNECTIONS_MAX).contains(&connections) {
            return Err(error("connections", format!("not from 1 to {CONNECTIONS_MAX}")));
        }
        if let Some(path) = &raw.tls_ca {
            let readable = std::fs::File::open(path);
            readable.map_err(|why| error("tls_ca", format!("{}: cannot be read: {why}", path.display())))?;
        }
        let password = match (raw.password_file, raw.password) {
            (Some(_), Some(_)) => return Err(error("password_file", "set together with password; keep one of them")),
            (Some(path), None) => Some(secret_file::read(&path).map_err(|problem| error("password_file", problem))?),
            (None, Some(text)) if text.is_empty() => {
                return Err(error("password", "empty; leave the key out if the user has none"));
            }
            (None, text) => text.map(|text| Secret::new(text.into_bytes())),
        };
        if password.as_ref().is_some_and(|secret| secret.expose().contains(&0)) {
            return Err(error("password", "holds a NUL byte"));
        }
        Ok(Self { servers, user, password, database, tls_ca: raw.tls_ca, connections: connections.into() })
    }
}

impl Address {
    /// Reads `unix:/path`, `/path`, `host`, `host:port`, `::1` or `[::1]:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("{text:?}: {problem}; expected \"unix:/path\", \"host\" or \"host:port\"");
        if text.contains('@') {
            return Err("a server with '@'; put user and password into their own keys".to_owned());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Socket(path.into()))
            } else {
                Err(wrong("not an absolute path"))
            };
        }
        if text.starts_with('/') {
            return Ok(Self::Socket(text.into()));
        }
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, rest))) => {
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong("not an IPv6 address between the brackets"))?;
                (
                    host,
                    if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(|| wrong("no port"))?) },
                )
            }
            Some(None) => return Err(wrong("no closing bracket")),
            None if text.parse::<IpAddr>().is_ok() => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => digits.parse().ok().filter(|&port| port > 0).ok_or_else(|| wrong("not a port"))?,
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        if host.is_empty() || !host.bytes().all(allowed) {
            return Err(wrong("not a host name"));
        }
        Ok(Self::Tcp(host.to_owned(), port))
    }

    /// True if what is sent there cannot leave this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp(host, _) => {
                let name = host.strip_suffix('.').unwrap_or(host);
                name.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "mysql {}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "mysql [{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "mysql {host}:{port}"),
        }
    }
}
