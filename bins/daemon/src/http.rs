//! `GET /metrics` for Prometheus, and `GET /health` for whoever watches.

use crate::accept::{guard, pause};
use crate::activation::Served;
use crate::daemon::Daemon;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use qmail_lookup_core::Deadline;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// Connections at the same time.
const CONNECTIONS: usize = 16;

/// Time for a connection as a whole.
const WHOLE: Duration = Duration::from_secs(10);

/// Time for a store to answer a ping.
const PING: Duration = Duration::from_secs(1);

/// The version of Prometheus' text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Serves until the daemon ends.
///
/// # Errors
/// If the socket cannot be used at all.
pub(crate) fn start(daemon: &Arc<Daemon>, served: Served) -> io::Result<()> {
    let listener = match served {
        Served::Unix(listener) => {
            listener.set_nonblocking(true)?;
            Listener::Unix(UnixListener::from_std(listener)?)
        }
        Served::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            Listener::Tcp(TcpListener::from_std(listener)?)
        }
    };
    tokio::spawn(accept(Arc::clone(daemon), listener));
    Ok(())
}

async fn accept(daemon: Arc<Daemon>, listener: Listener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let spawned = async {
            match &listener {
                Listener::Unix(listener) => {
                    let (stream, _) = listener.accept().await?;
                    spawn(&daemon, stream, place);
                }
                Listener::Tcp(listener) => {
                    let (stream, _) = listener.accept().await?;
                    spawn(&daemon, stream, place);
                }
            }
            io::Result::Ok(())
        };
        tokio::select! {
            () = daemon.stop.cancelled() => return,
            spawned = spawned => if let Err(error) = spawned {
                pause(&daemon, &error).await;
            }
        }
    }
}

fn spawn(
    daemon: &Arc<Daemon>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let _place = place;
        let answering = Arc::clone(&daemon);
        let service = service_fn(move |request| {
            let daemon = Arc::clone(&answering);
            async move { Ok::<_, Infallible>(answer(&daemon, &request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PING * 5)
            .keep_alive(false)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        guard(&daemon, async {
            // Whoever is slow or wrong is cut off; there is nothing else to do about it.
            let _ = tokio::time::timeout(WHOLE, connection).await;
        })
        .await;
    });
}

async fn answer(daemon: &Daemon, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/health") {
        return response(StatusCode::NOT_FOUND, TEXT, "there are /metrics and /health\n".to_owned());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, String::new());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if path == "/metrics" {
        return response(StatusCode::OK, OPEN_METRICS, metrics(daemon));
    }
    let (healthy, text) = health(daemon).await;
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, TEXT, text)
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn metrics(daemon: &Daemon) -> String {
    let state = daemon.state.load_full();
    let (waiting, overdue) = daemon.overdue.counts();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let (cache, statements) = (state.serving.cache_counts(), state.serving.statement_counts());
    let logins = daemon.gate.counts();
    let mut more = vec![
        ("waiting_questions", "Questions without an answer because of data", count(waiting)),
        ("overdue_questions", "Those of them that an alarm was raised about", count(overdue)),
        (
            "store_distrusted",
            "1 if a store has lost so many rows that it is not believed",
            state.serving.distrusted().into(),
        ),
        ("shadow_unusable", "1 if there is a second store that cannot be used", state.shadow.unusable.is_some().into()),
        ("shadow_waiting", "Questions that the second store is asked or will be", count(state.shadow.waiting())),
        ("cache_hits", "Questions to stores answered from the cache since the configuration was read", cache.hits),
        ("cache_misses", "Questions to stores not answered from the cache since then", cache.misses),
        ("store_questions", "Questions that reached the stores since then", statements.questions),
        ("store_statements", "Statements that they became", statements.statements),
        ("logins_granted", "Logins since the daemon was started", logins.granted),
        ("logins_stock", "Logins left to the stock checkpassword", logins.stock),
        ("logins_temporary", "Logins without an answer", logins.temporary),
        ("logins_delayed", "Logins that were delayed because of earlier refusals", logins.delayed),
        ("logins_waiting", "Logins that wait for their turn now", logins.waiting),
        ("logins_verifying", "Logins that are verified now", logins.verifying),
    ];
    let refused: Vec<_> =
        logins.refused.iter().map(|(why, count)| (format!("logins_refused{{why=\"{why}\"}}"), *count)).collect();
    more.extend(refused.iter().map(|(name, count)| (name.as_str(), "Logins refused, by reason", *count)));
    daemon.metrics.render(&more)
}

/// True if every store answers; and a line for each. Neither a server nor an error is named: anybody on this machine may
/// ask.
async fn health(daemon: &Daemon) -> (bool, String) {
    let state = daemon.state.load_full();
    let stores = state.serving.stores.each();
    let by = Deadline::after(PING);
    let pings = stores.iter().map(|(store, roles)| async move {
        let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        match tokio::time::timeout_at(by.instant().into(), store.ping(by)).await {
            Ok(Ok(())) => (true, format!("{roles}: ok\n")),
            Ok(Err(error)) => (false, format!("{roles}: {}\n", error.kind().as_str())),
            Err(_) => (false, format!("{roles}: timeout\n")),
        }
    });
    let results = join_all(pings).await;
    let healthy = results.iter().all(|(reached, _)| *reached);
    (healthy, results.into_iter().map(|(_, line)| line).collect())
}
