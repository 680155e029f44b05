//! HUP: the configuration is read again. A bad one changes nothing.

use crate::bounds::Limits;
use crate::daemon::Daemon;
use crate::log::Level;
use crate::state::State;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{self as config, Config, DaemonSettings, Sources, Warning};
use std::sync::Arc;
use std::time::Duration;

/// Time for files and for the system's users. A directory behind them may hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is needed to read the configuration again.
pub(crate) struct Reload {
    pub(crate) sources: Sources,
    pub(crate) registry: Registry,
    pub(crate) level: Level,
}

impl Reload {
    /// Reads it, and puts it in the place of the old one if it can be used.
    pub(crate) async fn run(self: &Arc<Self>, daemon: &Daemon) {
        let (reading, old) = (Arc::clone(self), daemon.state.load_full());
        let before = Arc::clone(&old);
        let read = move || State::load(&reading.sources, &reading.registry, Some(&before));
        let read = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(read)).await;
        let Ok(read) = read else { return refused(daemon, "the system does not say in time who its users are") };
        let new = match read {
            Ok(Ok(new)) => new,
            Ok(Err(error)) => return refused(daemon, &error.to_string()),
            Err(_) => return refused(daemon, "a bug: reading ended early"),
        };
        for key in needs_restart(&old.config.daemon, &new.config.daemon) {
            tracing::warn!("daemon.{key} has changed: that takes a restart");
        }
        tell(&new);
        daemon.bounds.set(limits(&new.config));
        self.level.set(new.config.daemon.log_level);
        daemon.system.forget(new.config.rules.alias_user.as_bytes());
        daemon.state.store(Arc::new(new));
        old.shadow.end();
        daemon.metrics.reload(true);
        tracing::info!("the configuration was read again");
    }
}

fn refused(daemon: &Daemon, why: &str) {
    daemon.metrics.reload(false);
    tracing::error!("the configuration was read again and cannot be used; the old one stays: {why}");
}

pub(crate) fn limits(config: &Config) -> Limits {
    let DaemonSettings { connections, connections_per_uid: per_uid, .. } = config.daemon;
    Limits { connections, per_uid }
}

/// The keys that differ and that a running daemon does not change.
fn needs_restart(old: &DaemonSettings, new: &DaemonSettings) -> Vec<&'static str> {
    let differs = [
        ("lookup_socket", old.lookup_socket != new.lookup_socket),
        ("auth_socket", old.auth_socket != new.auth_socket),
        ("auth_group", old.auth_group != new.auth_group),
        ("cvm_lookup_socket", old.cvm_lookup_socket != new.cvm_lookup_socket),
        ("cvm_auth_socket", old.cvm_auth_socket != new.cvm_auth_socket),
        ("metrics", old.metrics != new.metrics),
        ("log_format", old.log_format != new.log_format),
        ("lock_file", old.lock_path() != new.lock_path()),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Logs what is unwise about a configuration that is used from now on.
pub(crate) fn tell(state: &State) {
    for warning in state.config.warnings.iter().chain(&state.shadow.warnings) {
        let Warning { level, .. } = warning;
        match level {
            config::Level::Alarm | config::Level::Unwise => tracing::warn!("{warning}"),
            config::Level::Note => tracing::info!("{warning}"),
        }
    }
    for name in &state.policy.unresolved {
        tracing::warn!("{name}");
    }
    for line in state.config.describe() {
        tracing::info!("{line}");
    }
    if let Some(why) = &state.shadow.unusable {
        tracing::warn!("no second store is asked; mail does not need it: {why}");
    }
    for line in &state.shadow.lines {
        tracing::info!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_running_daemon_cannot_change_is_named() {
        let old = DaemonSettings::default();
        assert_eq!(needs_restart(&old, &old), [""; 0]);
        let new = DaemonSettings {
            lookup_socket: "/run/x".into(),
            connections: 100,
            auth_group: Some("x".into()),
            ..DaemonSettings::default()
        };
        assert_eq!(needs_restart(&old, &new), ["lookup_socket", "auth_group", "lock_file"]);
    }
}
