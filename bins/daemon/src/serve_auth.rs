//! Connections of the sockets for logins, and of CVM: one question each, then they are closed.

use crate::auth::{self, Attempt};
use crate::cvm;
use crate::daemon::{Daemon, GENERIC, NOT_ALLOWED};
use crate::frame::{self, FRAME, write_all};
use crate::metrics::Cut;
use crate::peer::Peer;
use crate::shadow::{self, Told};
use crate::state::State;
use qmail_lookup_config::Right;
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::{self, QUESTION_MAX, netstring};
use qmail_lookup_core::{Deadline, Secret};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Reads the one question of a connection, which has to be there soon: whoever connects has it. `None` if there is none,
/// and then the connection ends without a reply.
async fn read(
    daemon: &Daemon,
    stream: &UnixStream,
    max: usize,
    incomplete: impl Fn(&[u8]) -> bool,
) -> Option<Zeroizing<Vec<u8>>> {
    let read = tokio::select! {
        () = daemon.stop.cancelled() => return None,
        read = tokio::time::timeout(FRAME, frame::read_one(stream, max, incomplete)) => read,
    };
    if read.is_err() {
        daemon.metrics.cut(Cut::Frame);
    }
    read.ok()?.ok()
}

async fn write(daemon: &Daemon, stream: &UnixStream, reply: &[u8]) {
    if write_all(stream, reply).await.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
        daemon.metrics.cut(Cut::Reply);
    }
}

/// A connection of the auth socket.
pub(crate) async fn auth(daemon: &Daemon, stream: &UnixStream, peer: Peer) {
    let incomplete = |bytes: &[u8]| matches!(netstring::read(bytes, QUESTION_MAX), Ok(None));
    let Some(frame) = read(daemon, stream, QUESTION_MAX + 8, incomplete).await else { return };
    let state = daemon.state.load_full();
    let by = Deadline::after(state.config.deadline);
    let content = match netstring::read(&frame, QUESTION_MAX) {
        Ok(Some((content, used))) if used == frame.len() => content,
        _ => {
            daemon.metrics.cut(Cut::Malformed);
            return;
        }
    };
    let (name, reply) = match Question::read(content) {
        Ok(question) => answer(daemon, &state, stream, peer, question, by).await,
        Err(malformed) => ("unknown", Reply::Temporary(malformed.0.into())),
    };
    daemon.metrics.other(name, verdict(&reply));
    let mut out = Vec::new();
    reply.write(&mut out);
    write(daemon, stream, &out).await;
}

fn verdict(reply: &Reply) -> &'static str {
    match reply {
        Reply::Ok(_) => "ok",
        Reply::No => "no",
        Reply::Stock => "stock",
        Reply::Temporary(_) => "temp",
        Reply::Done(_) => "done",
    }
}

async fn answer(
    daemon: &Daemon,
    state: &State,
    stream: &UnixStream,
    peer: Peer,
    question: Question<'_>,
    by: Deadline,
) -> (&'static str, Reply) {
    let (name, allowed) = match question {
        Question::Login { .. } => ("auth1", state.policy.may_login(peer, stream)),
        Question::Userdb { .. } => ("userdb", state.policy.may(peer.uid, Right::Userdb)),
        Question::Flush => ("flush", state.policy.may_manage(peer.uid)),
        Question::Trust => ("trust", state.policy.may_manage(peer.uid)),
    };
    if !allowed {
        daemon.refuse(peer, name);
        return (name, Reply::Temporary(NOT_ALLOWED.into()));
    }
    let settings = &state.config.auth;
    let reply = match question {
        Question::Login { login, password, service, remote } => {
            let attempt = Attempt {
                login: login.to_vec(),
                password: Secret::new(password.to_vec()),
                service: service.to_vec(),
                remote: remote.to_vec(),
            };
            daemon.gate.make_room(daemon.bounds.logins());
            let reply = auth::login(&daemon.gate, &state.lookup, settings, attempt, by).await;
            shadow::offer(daemon, shadow::Question::Login, login, || Told::login(&reply));
            reply
        }
        Question::Userdb { login } => {
            let reply = auth::userdb(&state.lookup, settings, login, by).await;
            shadow::offer(daemon, shadow::Question::Userdb, login, || Told::userdb(&reply));
            reply
        }
        Question::Flush => Reply::Done(flush(state, peer).into()),
        Question::Trust => Reply::Done(trust(state, peer).into()),
    };
    (name, told(daemon, peer, name, reply))
}

/// Why there is no answer goes to the log; it names servers, which only root is told.
fn told(daemon: &Daemon, peer: Peer, name: &str, reply: Reply) -> Reply {
    let Reply::Temporary(why) = reply else { return reply };
    let text = String::from_utf8_lossy(&why);
    if let Some(suppressed) = daemon.quiet.may_say(&format!("{name} {text}")) {
        tracing::warn!(question = name, suppressed, "no answer: {text}");
    }
    Reply::Temporary(if peer.uid == 0 { why } else { GENERIC.into() })
}

fn flush(state: &State, peer: Peer) -> &'static str {
    let done = if state.serving.flush() { "the cache was emptied" } else { "there is no cache (cache.ttl)" };
    tracing::info!(uid = peer.uid, pid = peer.pid, "flush: {done}");
    done
}

fn trust(state: &State, peer: Peer) -> &'static str {
    let was = state.serving.trust();
    let done = if was { "the stores are believed again" } else { "the stores were believed anyway" };
    tracing::warn!(uid = peer.uid, pid = peer.pid, "trust: {done}");
    done
}

async fn read_cvm(daemon: &Daemon, stream: &UnixStream) -> Option<Zeroizing<Vec<u8>>> {
    let incomplete = |bytes: &[u8]| matches!(wire::cvm::request(bytes), Ok(None));
    read(daemon, stream, wire::cvm::MAX + 1, incomplete).await
}

/// A connection of the CVM socket that says who exists.
pub(crate) async fn cvm_lookup(daemon: &Daemon, stream: &UnixStream, peer: Peer) {
    const NAME: &str = "cvm-lookup";
    let Some(request) = read_cvm(daemon, stream).await else { return };
    let state = daemon.state.load_full();
    let by = Deadline::after(state.config.deadline);
    let response = if !state.policy.may(peer.uid, Right::Recipient) {
        daemon.refuse(peer, NAME);
        wire::cvm::temporary(wire::cvm::TEMPORARY, b"")
    } else {
        cvm::recipient(daemon, &state, &request, by).await
    };
    daemon.metrics.other(NAME, cvm_verdict(&response));
    write(daemon, stream, &response).await;
}

/// A connection of the CVM socket that lets users in.
pub(crate) async fn cvm_auth(daemon: &Daemon, stream: &UnixStream, peer: Peer) {
    const NAME: &str = "cvm-auth";
    let Some(request) = read_cvm(daemon, stream).await else { return };
    let state = daemon.state.load_full();
    let by = Deadline::after(state.config.deadline);
    let response = if state.policy.may_login(peer, stream) {
        daemon.gate.make_room(daemon.bounds.logins());
        cvm::login(&daemon.gate, &state.lookup, &state.config.auth, &request, by).await
    } else {
        daemon.refuse(peer, NAME);
        wire::cvm::temporary(wire::cvm::TEMPORARY, b"")
    };
    daemon.metrics.other(NAME, cvm_verdict(&response));
    write(daemon, stream, &response).await;
}

fn cvm_verdict(response: &[u8]) -> &'static str {
    match response.first() {
        Some(&wire::cvm::OK) => "ok",
        Some(&wire::cvm::NO) => "no",
        _ => "temp",
    }
}
