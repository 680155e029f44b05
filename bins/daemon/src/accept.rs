//! Takes connections and gives each a task of its own.

use crate::answer::Said;
use crate::bounds::{Admitted, Class, Full};
use crate::daemon::{Daemon, GENERIC};
use crate::peer::{Peer, Policy};
use crate::{lookup_socket, serve_auth};
use futures_util::FutureExt;
use qmail_lookup_core::wire::auth::Reply;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// After an error of accept, which is mostly a want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Which of our sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lookup,
    Auth,
    CvmLookup,
    CvmAuth,
}

impl Kind {
    /// Also the name of a socket that the service manager passes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Auth => "auth",
            Self::CvmLookup => "cvm-lookup",
            Self::CvmAuth => "cvm-auth",
        }
    }
}

/// Takes connections until the daemon ends.
pub(crate) async fn accept(daemon: Arc<Daemon>, listener: UnixListener, kind: Kind) {
    loop {
        let accepted = tokio::select! {
            () = daemon.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => take(&daemon, stream, kind),
            Err(error) => pause(&daemon, &error).await,
        }
    }
}

/// Says what is wrong, and gives others time to close something.
pub(crate) async fn pause(daemon: &Daemon, error: &io::Error) {
    daemon.metrics.turned_away("accept");
    if let Some(suppressed) = daemon.quiet.may_say("accept") {
        tracing::error!(suppressed, "cannot take a connection: {error}");
    }
    tokio::time::sleep(PAUSE).await;
}

fn take(daemon: &Arc<Daemon>, stream: UnixStream, kind: Kind) {
    let Ok(peer) = Peer::of(&stream) else {
        daemon.metrics.turned_away("unknown");
        return;
    };
    let class = class(&daemon.state.load().policy, peer, &stream, kind);
    match daemon.bounds.admit(peer.uid, class) {
        Ok(admitted) => {
            let daemon = Arc::clone(daemon);
            let tasks = daemon.tasks.clone();
            tasks.spawn(async move {
                let _open = daemon.metrics.connection(kind.as_str());
                guard(&daemon, serve(&daemon, stream, peer, &admitted, kind)).await;
            });
        }
        Err(full) => turn_away(daemon, &stream, peer, kind, full),
    }
}

/// Whose share of the connections it is.
fn class(policy: &Policy, peer: Peer, stream: &UnixStream, kind: Kind) -> Class {
    match kind {
        Kind::Auth | Kind::CvmAuth if policy.may_login(peer, stream) => Class::Login,
        _ => policy.class(peer.uid),
    }
}

async fn serve(daemon: &Daemon, stream: UnixStream, peer: Peer, admitted: &Admitted, kind: Kind) {
    match kind {
        Kind::Lookup => lookup_socket::serve(daemon, stream, peer, admitted).await,
        Kind::Auth => serve_auth::auth(daemon, &stream, peer).await,
        Kind::CvmLookup => serve_auth::cvm_lookup(daemon, &stream, peer).await,
        Kind::CvmAuth => serve_auth::cvm_auth(daemon, &stream, peer).await,
    }
}

/// A bug ends one connection, and not the daemon.
pub(crate) async fn guard(daemon: &Daemon, connection: impl Future<Output = ()>) {
    if AssertUnwindSafe(connection).catch_unwind().await.is_err() {
        daemon.metrics.panics.inc();
        tracing::error!("a bug: a connection ended early");
    }
}

/// Says "try again" in the words of the socket, if the client takes it at once, and closes.
fn turn_away(daemon: &Daemon, stream: &UnixStream, peer: Peer, kind: Kind, full: Full) {
    let (why, text) = match full {
        Full::All => ("total", "too many connections"),
        Full::Uid => ("uid", "too many connections of this user"),
        Full::Logins => ("logins", "too many connections for logins"),
    };
    daemon.metrics.turned_away(why);
    if let Some(suppressed) = daemon.quiet.may_say(&format!("{text} {}", peer.uid)) {
        tracing::warn!(uid = peer.uid, pid = peer.pid, socket = kind.as_str(), suppressed, "{text}");
    }
    let mut out = Vec::new();
    match kind {
        Kind::Lookup => Said::Temp(text.into()).write(&mut out),
        Kind::Auth => Reply::Temporary(GENERIC.into()).write(&mut out),
        // It says nothing unasked.
        Kind::CvmLookup | Kind::CvmAuth => return,
    }
    let _ = stream.try_write(&out);
}
