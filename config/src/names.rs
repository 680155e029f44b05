//! Users and groups that `[daemon]` names, as they are on this system. Only warnings come of it: the daemon resolves the
//! names when it starts, and an account may be made before that.

use crate::error::{Place, Warning};
use crate::{Config, DaemonSettings};
use nix::unistd::{Group, User};

/// Looks the names up.
pub(crate) fn check(config: &Config) -> Vec<Warning> {
    let user = |name: &str| User::from_name(name).map(|found| found.is_some());
    let group = |name: &str| Group::from_name(name).map(|found| found.is_some());
    missing(&config.daemon, user, group, |key| config.layers.place(key))
}

fn missing<E: std::fmt::Display>(
    daemon: &DaemonSettings,
    user: impl Fn(&str) -> Result<bool, E>,
    group: impl Fn(&str) -> Result<bool, E>,
    place: impl Fn(&str) -> Place,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut unwise = |key: String, known: Result<bool, E>, otherwise: &str| {
        let text = match known {
            Ok(true) => return,
            Ok(false) => otherwise.to_owned(),
            Err(error) => format!("could not be looked up ({error})"),
        };
        found.push(Warning::unwise(place(&key), key, text));
    };
    if let Some(name) = &daemon.auth_group {
        unwise("daemon.auth_group".into(), group(name), "no such group here; only root can log users in");
    }
    for name in daemon.allow.keys() {
        unwise(format!("daemon.allow.{name}"), user(name), "no such user here; the daemon ignores it");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_here_is_said_once_and_what_is_here_is_not() {
        let mut daemon = DaemonSettings { auth_group: Some("here".into()), ..DaemonSettings::default() };
        daemon.allow = ["away", "broken", "here"].map(|user| (user.to_owned(), vec![])).into();
        let find = |name: &str| match name {
            "here" => Ok(true),
            "away" => Ok(false),
            _ => Err("no answer"),
        };
        let said = |daemon: &DaemonSettings| -> Vec<String> {
            missing(daemon, find, find, |_| Place::Nowhere).iter().map(ToString::to_string).collect()
        };
        let users = [
            "configuration: daemon.allow.away: no such user here; the daemon ignores it",
            "configuration: daemon.allow.broken: could not be looked up (no answer)",
        ];
        assert_eq!(said(&daemon), users);
        daemon.auth_group = Some("away".into());
        assert_eq!(
            said(&daemon)[0],
            "configuration: daemon.auth_group: no such group here; only root can log users in"
        );
        assert_eq!(said(&DaemonSettings::default()), [""; 0]);
    }
}
