//! Lookups per second and p99 through the daemon's socket, beside bare prepared SELECTs on the same server and beside an
//! echo server that speaks the same frames; then memory, and statements per lookup. All in one run.
//!
//! `cargo build --release -p qmail-lookupd && cargo bench -p qmail-lookup-benches --bench daemon`

use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use qmail_lookup_benches::{Any, Figures, Result, Site, fail};
use qmail_lookup_core::wire::{ANSWER_MAX, netstring, socketmap};
use qmail_lookup_tests::server::process;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, Row};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Length of one round.
const ROUND: Duration = Duration::from_secs(2);
/// Rounds of each contender, taken in turn; the median counts.
const ROUNDS: usize = 3;
/// Concurrent clients, each with one question at a time.
const CLIENTS: [usize; 4] = [1, 8, 64, 512];

fn main() -> Result<()> {
    let site = Site::new()?;
    let answer = site.ask_once(&site.uncached)?;
    let echo = echo(site.folder.join("echo"), answer)?;
    // What is measured as cached is cached.
    through_all(&site.cached)?;
    let mut out = std::io::stdout();
    writeln!(out, "lookups/s (p99 in us)")?;
    writeln!(
        out,
        "{:>7} {:>18} {:>18} {:>7} {:>18} {:>18} {:>7}",
        "clients", "bare SELECT", "uncached", "ratio", "echo", "cached", "ratio"
    )?;
    // A number of clients as argument: only that many.
    let wanted: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    for clients in CLIENTS.into_iter().filter(|clients| wanted.is_empty() || wanted.contains(clients)) {
        let mut rounds: [Vec<Figures>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let [bare, uncached, echoed, cached] = &mut rounds;
            bare.push(bare_selects(&site.mysql_socket(), clients)?);
            uncached.push(through_socket(&site.uncached, clients)?);
            echoed.push(through_socket(&echo, clients)?);
            cached.push(through_socket(&site.cached, clients)?);
        }
        let [bare, uncached, echoed, cached] = rounds.map(Figures::median);
        writeln!(
            out,
            "{clients:>7} {bare:>18} {uncached:>18} {:>7.2} {echoed:>18} {cached:>18} {:>7.2}",
            uncached.per_second / bare.per_second,
            cached.per_second / echoed.per_second
        )?;
    }
    if !wanted.is_empty() {
        process::clear_away();
        return Ok(());
    }
    for clients in CLIENTS {
        let before = site.statements()?;
        let done = through_socket(&site.uncached, clients)?;
        let sent = site.statements()? - before;
        #[allow(clippy::cast_precision_loss, reason = "a few millions")]
        let each = sent as f64 * 1000.0 / (done.per_second * ROUND.as_secs_f64());
        writeln!(out, "statements per 1,000 lookups, {clients} clients: {each:.0}")?;
    }
    for (name, socket) in [("uncached", &site.uncached), ("cached", &site.cached)] {
        // Twice every mailbox, and then 1,000 connections at the same time.
        through_all(socket)?;
        let alone = site.memory(name)?;
        let held = (0..1000).map(|_| std::os::unix::net::UnixStream::connect(socket)).collect::<Vec<_>>();
        std::thread::sleep(Duration::from_millis(500));
        let crowded = site.memory(name)?;
        let refused = held.iter().filter(|stream| stream.is_err()).count();
        writeln!(
            out,
            "memory, {name}: {alone} kB after 100,000 mailboxes, {crowded} kB with 1,000 connections more ({refused} refused)"
        )?;
    }
    process::clear_away();
    Ok(())
}

/// `clients` connections with one question each at a time, from one thread.
fn through_socket(socket: &Path, clients: usize) -> Result<Figures> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for n in 0..clients {
        let mut stream = UnixStream::connect(socket)?;
        poll.registry().register(&mut stream, Token(n), Interest::READABLE)?;
        streams.push(Client { stream, asked: Instant::now(), bytes: Vec::new() });
    }
    let mut counter = 0;
    for client in &mut streams {
        client.ask(&mut counter)?;
    }
    let mut events = Events::with_capacity(1024);
    let (mut times, begun) = (Vec::with_capacity(1 << 20), Instant::now());
    while begun.elapsed() < ROUND {
        poll.poll(&mut events, Some(Duration::from_secs(5)))?;
        if events.is_empty() {
            return Err("no answer in 5 s".into());
        }
        for event in &events {
            let Some(client) = streams.get_mut(event.token().0) else { continue };
            if client.answered()? {
                times.push(u32::try_from(client.asked.elapsed().as_micros()).unwrap_or(u32::MAX));
                client.ask(&mut counter)?;
            }
        }
    }
    Ok(Figures::of(times, begun.elapsed()))
}

/// Every mailbox once.
fn through_all(socket: &Path) -> Result<()> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut frame, mut bytes) = (Vec::new(), vec![0; 4096]);
    for n in 0..qmail_lookup_benches::USERS {
        frame.clear();
        socketmap::write_question(&mut frame, "getpw", format!("user{n}").as_bytes());
        stream.write_all(&frame)?;
        if stream.read(&mut bytes)? == 0 {
            return Err("the daemon hung up".into());
        }
    }
    Ok(())
}

struct Client {
    stream: UnixStream,
    asked: Instant,
    bytes: Vec<u8>,
}

impl Client {
    fn ask(&mut self, counter: &mut u64) -> Result<()> {
        *counter += 1;
        let mut frame = Vec::with_capacity(64);
        socketmap::write_question(&mut frame, "getpw", qmail_lookup_benches::name(*counter).as_bytes());
        self.asked = Instant::now();
        Ok(self.stream.write_all(&frame)?)
    }

    fn answered(&mut self) -> Result<bool> {
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the daemon hung up".into()),
                Ok(n) => self.bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            if let Some((content, _)) = netstring::read(&self.bytes, ANSWER_MAX)? {
                if !content.starts_with(b"OK ") {
                    return Err(String::from_utf8_lossy(content).into_owned().into());
                }
                self.bytes.clear();
                return Ok(true);
            }
        }
    }
}

/// A prepared SELECT per lookup, on a connection per client: what a program does that neither joins nor shares.
fn bare_selects(socket: &Path, clients: usize) -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = MySqlConnectOptions::new().socket(socket).username("root").database("q");
    let options = options.ssl_mode(MySqlSslMode::Disabled).disable_statement_logging();
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(options.connect().await?);
        }
        let begun = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(n, mut connection)| {
                tokio::spawn(async move {
                    let (mut times, mut counter) = (Vec::new(), n as u64 * 1009);
                    while begun.elapsed() < ROUND {
                        counter += 1;
                        let asked = Instant::now();
                        let text = "SELECT username, uid, gid, home FROM mailbox WHERE username = ?";
                        let query = sqlx::query(text).bind(qmail_lookup_benches::name(counter));
                        let row = query.fetch_one(&mut connection).await?;
                        let _: String = row.try_get(0)?;
                        times.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    Ok::<_, Any>(times)
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await??);
        }
        Ok(Figures::of(times, begun.elapsed()))
    })
}

/// A server on a thread of its own that answers every frame with a frame as long as the daemon's.
fn echo(socket: PathBuf, answer: Vec<u8>) -> Result<PathBuf> {
    let listening = std::os::unix::net::UnixListener::bind(&socket)?;
    listening.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        let listener = tokio::net::UnixListener::from_std(listening).map_err(fail)?;
        let answer: std::sync::Arc<[u8]> = answer.into();
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = std::sync::Arc::clone(&answer);
            tokio::spawn(async move {
                let (mut bytes, mut reply) = (Vec::with_capacity(4096), Vec::new());
                while stream.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
                    let mut used = 0;
                    while let Ok(Some((_, length))) = netstring::read(bytes.get(used..).unwrap_or_default(), ANSWER_MAX)
                    {
                        netstring::write(&mut reply, &answer);
                        used += length;
                    }
                    bytes.drain(..used);
                    if stream.write_all(&reply).await.is_err() {
                        break;
                    }
                    reply.clear();
                }
            });
        }
        Ok::<(), Any>(())
    };
    std::thread::spawn(move || runtime.block_on(serve));
    Ok(socket)
}
