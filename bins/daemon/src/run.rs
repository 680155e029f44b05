//! Start and end.

use crate::accept::{Kind, accept};
use crate::activation::{Inherited, Served};
use crate::auth::Gate;
use crate::bounds::Bounds;
use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::exit::{Exit, Failure};
use crate::listen::{SocketFile, bind, doubt};
use crate::reload::{Reload, limits, tell};
use crate::state::State;
use crate::system::System;
use crate::{http, lock, log, shadow, sys};
use arc_swap::ArcSwap;
use nix::sys::stat::{Mode, umask};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::MetricsAddress;
use sd_notify::NotifyState;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Time for what is in flight when the daemon is asked to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Descriptors for everything but clients: stores, sockets, files.
const DESCRIPTORS: u64 = 128;

/// Runs the daemon to its end.
pub(crate) fn run(cli: &Cli, registry: &Registry) -> Exit {
    // Before anything secret is read.
    let dumpable = nix::sys::prctl::set_dumpable(false);
    let sources = cli.sources();
    let state = match State::load(&sources, registry, None) {
        Ok(state) => state,
        Err(why) => return complain(&why.into()),
    };
    if cli.check {
        return check(&state);
    }
    // Nothing that is made here is for others, unless its mode is set.
    umask(Mode::from_bits_truncate(0o077));
    // The last lines are written before this function ends.
    let (level, _unwritten) = match log::start(state.config.daemon.log_format, state.config.daemon.log_level) {
        Ok(started) => started,
        Err(error) => return complain(&Failure::temporary(format!("cannot start to log: {error}"))),
    };
    if let Err(error) = dumpable {
        tracing::warn!("a core of this process could be read: {error}");
    }
    let reload = Reload { sources, registry: registry.clone(), level };
    match start(state, reload) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            tracing::error!("{}", failure.text);
            failure.exit
        }
    }
}

fn complain(failure: &Failure) -> Exit {
    log::complain(&failure.text);
    failure.exit
}

fn check(state: &State) -> Exit {
    let warnings = state.config.warnings.iter().map(ToString::to_string);
    let shadow = state.shadow.warnings.iter().map(ToString::to_string).chain(state.shadow.lines.iter().cloned());
    let shadow = shadow.chain(state.shadow.unusable.iter().map(|why| format!("no second store is asked: {why}")));
    for line in warnings.chain(shadow).chain(state.policy.unresolved.iter().cloned()).chain(state.config.describe()) {
        log::complain(&line);
    }
    log::complain("the configuration can be used");
    Exit::Done
}

fn start(state: State, reload: Reload) -> Result<(), Failure> {
    let settings = &state.config.daemon;
    let lock = lock::take(&settings.lock_path())?;
    let wanted = u64::from(settings.connections) + DESCRIPTORS;
    match sys::raise_descriptors() {
        Ok(allowed) if allowed < wanted => {
            tracing::warn!(allowed, wanted, "fewer descriptors are allowed than daemon.connections needs (ulimit -n)");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!("the limit of descriptors cannot be raised: {error}"),
    }
    tell(&state);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::temporary(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(state, reload));
    // A store or a user directory that hangs must not keep us.
    runtime.shutdown_background();
    drop(lock);
    ended
}

async fn serve(state: State, reload: Reload) -> Result<(), Failure> {
    let mut term = catch(SignalKind::terminate())?;
    let mut int = catch(SignalKind::interrupt())?;
    let hup = catch(SignalKind::hangup())?;
    let sockets = Sockets::open(&state)?;
    let daemon = Arc::new(Daemon {
        bounds: Arc::new(Bounds::new(limits(&state.config))),
        gate: Arc::new(Gate::new(state.config.auth.parallel)),
        system: System::keeping(state.config.rules.alias_user.as_bytes()),
        state: ArcSwap::from_pointee(state),
        metrics: Default::default(),
        overdue: Default::default(),
        quiet: Default::default(),
        shadow: Default::default(),
        stop: Default::default(),
        tasks: Default::default(),
    });
    let files = sockets.serve(&daemon)?;
    shadow::start(&daemon);
    tokio::spawn(reload_at(hup, Arc::new(reload), Arc::clone(&daemon)));
    notify(&[NotifyState::Ready]);
    tracing::info!("ready");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    notify(&[NotifyState::Stopping]);
    // A client that comes now waits for the next daemon.
    drop(files);
    daemon.stop.cancel();
    daemon.tasks.close();
    let finished = async { tokio::join!(daemon.tasks.wait(), daemon.gate.finish()) };
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        tracing::warn!(
            connections = daemon.tasks.len(),
            "ended before all questions were answered and all hashes kept"
        );
    }
    tracing::info!("ended");
    Ok(())
}

fn catch(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::temporary(format!("cannot catch signals: {error}")))
}

async fn reload_at(mut hup: Signal, reload: Arc<Reload>, daemon: Arc<Daemon>) {
    while hup.recv().await.is_some() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
        reload.run(&daemon).await;
        notify(&[NotifyState::Ready]);
    }
}

/// Without a service manager this does nothing.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

/// What is listened at.
struct Sockets {
    clients: Vec<(UnixListener, Kind)>,
    metrics: Option<Served>,
    files: Files,
}

/// Removed also if the daemon does not come to its start.
struct Files(Vec<SocketFile>);

impl Drop for Files {
    fn drop(&mut self) {
        self.0.iter().for_each(SocketFile::remove);
    }
}

impl Sockets {
    fn open(state: &State) -> Result<Self, Failure> {
        let settings = &state.config.daemon;
        let mut inherited = Inherited::take_all()?;
        let group = state.policy.auth_gid();
        let private = if group.is_some() { 0o660 } else { 0o600 };
        let wanted = [
            (Kind::Lookup, Some(&settings.lookup_socket), 0o666, None),
            (Kind::Auth, Some(&settings.auth_socket), private, group),
            (Kind::CvmLookup, settings.cvm_lookup_socket.as_ref(), 0o666, None),
            (Kind::CvmAuth, settings.cvm_auth_socket.as_ref(), private, group),
        ];
        let mut sockets = Self { clients: Vec::new(), metrics: None, files: Files(Vec::new()) };
        for (kind, path, mode, group) in wanted {
            if let Some(listener) = inherited.unix(kind.as_str())? {
                sockets.clients.push((listener, kind));
            } else if let Some(path) = path {
                if let Some(doubt) = doubt(path) {
                    tracing::warn!("{doubt}");
                }
                let listener = sockets.make(path, mode, group)?;
                sockets.clients.push((listener, kind));
            }
        }
        sockets.metrics = match (inherited.metrics()?, &settings.metrics) {
            (Some(passed), _) => Some(passed),
            (None, Some(MetricsAddress::Unix(path))) => Some(Served::Unix(sockets.make(path, 0o666, None)?)),
            (None, Some(MetricsAddress::Tcp(address))) => {
                let cannot = |error| Failure::temporary(format!("cannot serve metrics at {address}: {error}"));
                Some(Served::Tcp(TcpListener::bind(address).map_err(cannot)?))
            }
            (None, None) => None,
        };
        Ok(sockets)
    }

    fn make(&mut self, path: &Path, mode: u32, group: Option<u32>) -> Result<UnixListener, Failure> {
        let (listener, file) = bind(path, mode, group)?;
        self.files.0.push(file);
        Ok(listener)
    }

    /// Begins to take connections.
    fn serve(self, daemon: &Arc<Daemon>) -> Result<Files, Failure> {
        let cannot = |error| Failure::temporary(format!("cannot listen: {error}"));
        for (listener, kind) in self.clients {
            listener.set_nonblocking(true).map_err(cannot)?;
            let listener = tokio::net::UnixListener::from_std(listener).map_err(cannot)?;
            tokio::spawn(accept(Arc::clone(daemon), listener, kind));
        }
        if let Some(metrics) = self.metrics {
            http::start(daemon, metrics).map_err(cannot)?;
        }
        Ok(self.files)
    }
}
