//! The log: lines of text or JSON on standard error.

mod queue;

use qmail_lookup_config::{LogFormat, LogLevel};
use queue::{Queue, ROOM};
use std::fmt::Display;
use std::fs::File;
use std::io::{IsTerminal, Result, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// How long the end of the daemon waits for whoever reads the log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Kept for what this module itself has to say. Unit: bytes.
const NOTICES: usize = 8 * 1024;

/// Changes the level while the daemon runs.
pub(crate) struct Level(reload::Handle<Targets, Registry>);

/// Lines that are not written yet; dropping it waits for them, but not for long.
pub(crate) struct Unwritten(Arc<Queue>);

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

/// Starts logging.
///
/// # Errors
/// If there can be no thread that writes, or nothing that it writes to.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> Result<(Level, Unwritten)> {
    // Not by std's handle: whoever writes by that waits for the thread.
    let out = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
    // Whatever the level is.
    let tell = |_: &Queue, lost| {
        tracing::error!(lost, "the log was not read or could not be written for a time: lines were lost");
    };
    let queue = Queue::start(out, tell)?;
    let (filter, handle) = reload::Layer::new(filter(level));
    let plain = tracing_subscriber::fmt::layer().with_writer(Lines(Arc::clone(&queue))).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry.with(plain.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(plain.json().flatten_event(true)).try_init(),
    };
    if started.is_err() {
        complain("logging was started before by somebody else");
    }
    // std's own hook waits for standard error.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a bug: {}", panic.payload_as_str().unwrap_or("a panic"));
    }));
    Ok((Level(handle), Unwritten(queue)))
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

/// Makes writers of lines into the queue.
struct Lines(Arc<Queue>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: &self.0, room: ROOM }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        let more = if meta.target() == module_path!() { NOTICES } else { 0 };
        Line { queue: &self.0, room: ROOM + more }
    }
}

/// One line, written at once.
struct Line<'a> {
    queue: &'a Queue,
    room: usize,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        self.queue.push(line, self.room);
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// One line on standard error, for what happens before logging starts or ends the daemon.
pub(crate) fn complain(text: &(impl Display + ?Sized)) {
    let _ = writeln!(std::io::stderr(), "qmail-lookupd: {text}");
}
