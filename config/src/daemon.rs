//! `[daemon]`: the sockets, who may ask, how much at a time, and what is told about it.

use crate::allow::{self, Right};
use crate::metrics::MetricsAddress;
use crate::refusal::Refusal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Longest path of a UNIX socket, in bytes. Source: `sun_path` of Linux holds 108, one of them a NUL.
const SOCKET_PATH_MAX: usize = 107;

/// Fewer would leave no share for each kind of client; more descriptors than this no process gets by default.
const CONNECTIONS: RangeInclusive<u32> = 64..=65_536;

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonSettings {
    /// Where routing questions are answered; world-connectable.
    pub lookup_socket: PathBuf,
    /// Where logins are answered; for root and one group.
    pub auth_socket: PathBuf,
    /// The group whose members may log users in; without it only root may. A name, resolved by the daemon.
    pub auth_group: Option<String>,
    /// Where CVM v2 clients ask if a mailbox exists, if anywhere.
    pub cvm_lookup_socket: Option<PathBuf>,
    /// Where CVM v2 clients log users in, if anywhere.
    pub cvm_auth_socket: Option<PathBuf>,
    /// What further users may ask, by user name; names are resolved by the daemon.
    #[serde(deserialize_with = "allow::read")]
    pub allow: BTreeMap<String, Vec<Right>>,
    /// Connections to all sockets together: 64 to 65,536.
    pub connections: u32,
    /// Connections, and questions at the same time, of one uid other than root and who may ask getpw or rcpthosts: 1 to
    /// 65,536. The default is as many as qmail delivers at the same time at most, since all mailboxes may have one uid.
    pub connections_per_uid: u32,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<MetricsAddress>,
    /// See [`LogFormat`].
    pub log_format: LogFormat,
    /// See [`LogLevel`].
    pub log_level: LogLevel,
    /// The file that is locked while the daemon runs; see [`DaemonSettings::lock_path`].
    pub lock_file: Option<PathBuf>,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged: what is named, and everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What will need somebody.
    Warn,
    /// Logins, and what changes.
    #[default]
    Info,
    /// Every question.
    Debug,
}

impl LogLevel {
    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self {
            lookup_socket: "/run/qmail-lookup/lookup.sock".into(),
            auth_socket: "/run/qmail-lookup/auth.sock".into(),
            auth_group: None,
            cvm_lookup_socket: None,
            cvm_auth_socket: None,
            allow: BTreeMap::new(),
            connections: 2048,
            connections_per_uid: 255,
            metrics: None,
            log_format: LogFormat::default(),
            log_level: LogLevel::default(),
            lock_file: None,
        }
    }
}

impl DaemonSettings {
    /// The file that is locked while the daemon runs: `lock_file`, else `lookup_socket` with `.lock` behind it.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.lock_file.clone().unwrap_or_else(|| {
            let mut path = OsString::from(&self.lookup_socket);
            path.push(".lock");
            path.into()
        })
    }

    /// Refuses what the daemon could not use.
    pub(crate) fn judge(&self) -> Result<(), Refusal> {
        self.judge_paths()?;
        if self.auth_group.as_ref().is_some_and(|name| !is_name(name)) {
            let problem = "not the name of a group; without this line only root may ask the auth socket";
            return Err(Refusal::new("daemon.auth_group", problem));
        }
        if let Some(user) = self.allow.keys().find(|name| !is_name(name)) {
            return Err(Refusal::new(format!("daemon.allow.{user}"), "not the name of a user"));
        }
        let Self { connections, connections_per_uid, .. } = self;
        in_range("daemon.connections", *connections, CONNECTIONS)?;
        in_range("daemon.connections_per_uid", *connections_per_uid, 1..=*CONNECTIONS.end())
    }

    fn judge_paths(&self) -> Result<(), Refusal> {
        let metrics = match &self.metrics {
            Some(MetricsAddress::Unix(path)) => Some(path),
            Some(MetricsAddress::Tcp(_)) | None => None,
        };
        let sockets = [
            ("lookup_socket", Some(&self.lookup_socket)),
            ("auth_socket", Some(&self.auth_socket)),
            ("cvm_lookup_socket", self.cvm_lookup_socket.as_ref()),
            ("cvm_auth_socket", self.cvm_auth_socket.as_ref()),
            ("metrics", metrics),
        ];
        let lock = self.lock_path();
        let mut taken: Vec<(&str, &Path)> = Vec::new();
        if self.lock_file.is_none() {
            taken.push(("the default of lock_file", &lock));
        }
        for (key, path) in sockets {
            let Some(path) = path else { continue };
            file(key, path)?;
            let length = path.as_os_str().len();
            if length > SOCKET_PATH_MAX {
                let problem = format!("{length} bytes long; the path of a socket has at most {SOCKET_PATH_MAX}");
                return Err(Refusal::new(format!("daemon.{key}"), problem));
            }
            different(key, path, &taken)?;
            taken.push((key, path));
        }
        let Some(lock) = &self.lock_file else { return Ok(()) };
        file("lock_file", lock)?;
        different("lock_file", lock, &taken)
    }
}

/// Refuses a number out of `range`.
pub(crate) fn in_range<N: Copy + PartialOrd + std::fmt::Display>(
    key: &str,
    number: N,
    range: RangeInclusive<N>,
) -> Result<(), Refusal> {
    if range.contains(&number) {
        return Ok(());
    }
    Err(Refusal::new(key, format!("{number} is out of range; expected {} to {}", range.start(), range.end())))
}

fn file(key: &str, path: &Path) -> Result<(), Refusal> {
    let bytes = path.as_os_str().as_bytes();
    let problem = if !path.is_absolute() {
        "not an absolute path"
    } else if bytes.contains(&0) {
        "holds a NUL byte; expected a path"
    } else if path.file_name().is_none() || bytes.ends_with(b"/") {
        "names a directory; expected the path of a file in it"
    } else {
        return Ok(());
    };
    Err(Refusal::new(format!("daemon.{key}"), problem))
}

fn different(key: &str, path: &Path, taken: &[(&str, &Path)]) -> Result<(), Refusal> {
    let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == path) else { return Ok(()) };
    let why = if *other == "lookup_socket" { ", to which everybody may connect" } else { "" };
    Err(Refusal::new(format!("daemon.{key}"), format!("the same as {other}{why}; expected another path")))
}

/// True if a user or group can be called so. Directories of other systems have names with blanks and slashes in them.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains(|c: char| c.is_control() || c == ':')
}

#[cfg(test)]
#[path = "daemon_tests.rs"]
mod tests;
