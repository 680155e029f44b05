//! `[sync]`: which hosts `qmail-lookup sync` writes into qmail's control files on this machine, and how it tells qmail.

use crate::daemon::in_range;
use crate::refusal::Refusal;
use crate::settings::duration;
use qmail_lookup_core::Host;
use qmail_lookup_core::virtuals::is_host_key;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[sync]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncSettings {
    /// The only hosts that this machine serves; empty is all. `.suffix` stands for everything below it.
    #[serde(deserialize_with = "hosts")]
    pub only: Vec<Host>,
    /// Hosts that other machines serve.
    #[serde(deserialize_with = "hosts")]
    pub except: Vec<Host>,
    /// Hosts that are never written, and named whenever a row asks for them.
    #[serde(deserialize_with = "hosts")]
    pub deny: Vec<Host>,
    /// Lets rows of `.suffix` in.
    pub wildcards: bool,
    /// Largest share of the hosts that may go at once, 0 to 100. Unit: percent.
    pub shrink: u8,
    /// Most hosts that may come at once.
    pub grow: u32,
    /// How long the line of a removed host stays in virtualdomains at most, while the queue holds mail for it.
    #[serde(deserialize_with = "duration")]
    pub removed_grace: Duration,
    /// Time between two looks at the stores with `--watch`.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// See [`QmailSend`].
    pub qmail_send: QmailSend,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            except: Vec::new(),
            deny: Vec::new(),
            wildcards: false,
            shrink: 20,
            grow: 1000,
            removed_grace: Duration::from_secs(7 * 86_400),
            interval: Duration::from_secs(30),
            qmail_send: QmailSend::default(),
        }
    }
}

impl SyncSettings {
    pub(crate) fn judge(&self) -> Result<(), Refusal> {
        in_range("sync.shrink", self.shrink, 0..=100)?;
        if self.interval < Duration::from_secs(1) {
            return Err(Refusal::new("sync.interval", "less than \"1s\""));
        }
        Ok(())
    }
}

/// How qmail-send is told to read its control files again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum QmailSend {
    /// By the process that has this name and works in the queue of this qmail.
    #[default]
    Auto,
    /// By `svc`, in this directory.
    Service(PathBuf),
    /// By the process id in this file.
    PidFile(PathBuf),
    /// By a command of the shell, with `HUP` or `ALRM` behind it.
    Command(String),
}

impl TryFrom<String> for QmailSend {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = |path: &str| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let read = match text.split_once(':') {
            None if text == "auto" => Some(Self::Auto),
            Some(("service", directory)) => path(directory).map(Self::Service),
            Some(("pidfile", file)) => path(file).map(Self::PidFile),
            Some(("command", command)) if !command.trim().is_empty() => Some(Self::Command(command.trim().to_owned())),
            _ => None,
        };
        read.ok_or_else(|| {
            format!(
                "`{text}` is none of auto, service:/service/qmail-send, pidfile:/run/qmail-send.pid, command:COMMAND"
            )
        })
    }
}

impl From<QmailSend> for String {
    fn from(how: QmailSend) -> Self {
        match how {
            QmailSend::Auto => "auto".to_owned(),
            QmailSend::Service(path) => format!("service:{}", path.display()),
            QmailSend::PidFile(path) => format!("pidfile:{}", path.display()),
            QmailSend::Command(command) => format!("command:{command}"),
        }
    }
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Host>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let host = |name: String| {
        let host = Host::new(name.as_bytes()).filter(|host| is_host_key(host.as_bytes()));
        host.ok_or_else(|| D::Error::custom(format!("`{name}` is no host name, nor a suffix such as .example.org")))
    };
    names.into_iter().map(host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<SyncSettings, String> {
        let data = json!({ "sync": value }).as_object().unwrap().clone();
        crate::settings::Tables::read(data).map(|tables| tables.sync).map_err(|r| format!("{}: {}", r.key, r.problem))
    }

    #[test]
    fn hosts_are_folded_and_qmail_send_is_found_in_four_ways() {
        let read =
            read(&json!({"only": ["Bar.com", ".Wild.test"], "qmail_send": "service:/service/qmail-send"})).unwrap();
        assert_eq!(read.only, [b"bar.com".as_slice(), b".wild.test"].map(|host| Host::new(host).unwrap()));
        assert_eq!(read.qmail_send, QmailSend::Service("/service/qmail-send".into()));
        for text in ["auto", "service:/s", "pidfile:/p", "command:kill -HUP"] {
            assert_eq!(String::from(QmailSend::try_from(text.to_owned()).unwrap()), text);
        }
    }

    #[test]
    fn what_could_not_work_is_refused() {
        let ways = "is none of auto, service:/service/qmail-send, pidfile:/run/qmail-send.pid, command:COMMAND";
        for (value, said) in [
            (
                json!({"deny": ["a b"]}),
                "sync.deny: `a b` is no host name, nor a suffix such as .example.org".to_owned(),
            ),
            (json!({"shrink": 101}), "sync.shrink: 101 is out of range; expected 0 to 100".to_owned()),
            (json!({"interval": "10ms"}), "sync.interval: less than \"1s\"".to_owned()),
            (json!({"qmail_send": "pidfile:run"}), format!("sync.qmail_send: `pidfile:run` {ways}")),
            (json!({"qmail_send": "command: "}), format!("sync.qmail_send: `command: ` {ways}")),
            (json!(true), "sync: expected a table [sync]".to_owned()),
        ] {
            assert_eq!(read(&value).unwrap_err(), said);
        }
    }
}
