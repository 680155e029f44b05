//! The log: lines of text or JSON on standard error.

use qmail_lookup_config::{LogFormat, LogLevel};
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// Changes the level while the daemon runs.
pub(crate) struct Level(reload::Handle<Targets, Registry>);

/// Starts logging.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> Level {
    let (filter, handle) = reload::Layer::new(filter(level));
    // Standard error may go away; then nobody is told, and nothing else changes.
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry.with(plain.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(plain.json().flatten_event(true)).try_init(),
    };
    if started.is_err() {
        complain("logging was started before by somebody else");
    }
    Level(handle)
}

impl Level {
    /// From now on.
    pub(crate) fn set(&self, level: LogLevel) {
        let _ = self.0.reload(filter(level));
    }
}

/// What others than this project's crates have to say is of interest only when something is wrong.
fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("qmail_lookup", ours)
        .with_target("audit", ours)
}

/// One line on standard error, for what happens before logging starts or ends the daemon.
pub(crate) fn complain(text: &(impl Display + ?Sized)) {
    let _ = writeln!(std::io::stderr(), "qmail-lookupd: {text}");
}
