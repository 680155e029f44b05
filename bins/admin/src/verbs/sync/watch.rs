//! `--watch`: looks whenever something has changed, until it is told to end.

use super::control::{Fingerprint, NAMES, fingerprint};
use super::pass::{Pass, Read};
use super::report::Report;
use super::rows;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::qmail::send;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::sync::outage::Outage;
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest time without a whole look.
const WHOLE: Duration = Duration::from_secs(600);

/// Files that decide what is written; a change of any is a reason to look.
fn files() -> impl Iterator<Item = String> {
    let others = ["users/cdb", "bin/qmail-getpw", "bin/qmail-local"];
    NAMES.into_iter().map(|name| format!("control/{name}")).chain(others.map(str::to_owned))
}

pub(super) async fn run(pass: &Pass<'_>, output: &mut Output) -> Result<Exit, Failure> {
    let cannot = |error: std::io::Error| Failure::temporary(format!("cannot wait for signals: {error}"));
    let mut ends = Ends {
        term: signal(SignalKind::terminate()).map_err(cannot)?,
        int: signal(SignalKind::interrupt()).map_err(cannot)?,
    };
    let mut watch = Watch { pass, seen: None, outage: Outage::default(), said: Said::default() };
    loop {
        let Some(read) = ends.or(watch.read(output)).await else { return Ok(Exit::Yes) };
        // Once it writes, it writes to the end.
        if let Some((read, seen)) = read {
            watch.write(read, seen, output).await;
        }
        if ends.or(tokio::time::sleep(pass.session.config.sync.interval)).await.is_none() {
            return Ok(Exit::Yes);
        }
    }
}

struct Ends {
    term: Signal,
    int: Signal,
}

impl Ends {
    /// What `work` gives; `None` if it is to end instead.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.term.recv() => None,
            _ = self.int.recv() => None,
            done = work => Some(done),
        }
    }
}

/// Tables and files, as far as they can be compared cheaply.
#[derive(PartialEq, Eq)]
struct Seen {
    /// `None` from a store that has nothing of the kind.
    stamp: Option<Vec<u8>>,
    files: Vec<Option<Fingerprint>>,
}

struct Watch<'a> {
    pass: &'a Pass<'a>,
    /// What was there at the last look, and when the next one is due all the same; `None` if it is due now.
    seen: Option<(Seen, Instant)>,
    outage: Outage,
    said: Said,
}

impl Watch<'_> {
    /// Reads everything, if there is a reason to.
    async fn read(&mut self, output: &mut Output) -> Option<(Read, Seen)> {
        let pass = self.pass;
        // Before anything is read: what changes meanwhile is seen next time.
        let stamp = rows::stamp(pass.session).await;
        let seen = Seen { stamp, files: files().map(|name| fingerprint(&pass.qmail.join(name))).collect() };
        let is_due = |at: &Instant| *at <= Instant::now();
        if seen.stamp.is_some() && self.seen.as_ref().is_some_and(|(last, at)| *last == seen && !is_due(at)) {
            self.reached(output).await;
            return None;
        }
        self.seen = None;
        let lock = match pass.lock() {
            Ok(lock) => lock,
            Err(failure) => {
                self.said.trouble(Some(&failure), output);
                return None;
            }
        };
        match rows::read(pass.session).await {
            Ok(rows) => {
                self.reached(output).await;
                match pass.read(lock, rows).await {
                    Ok(read) => return Some((read, seen)),
                    Err(failure) => self.said.trouble(Some(&failure), output),
                }
            }
            Err(failure) => {
                drop(lock);
                self.missed(failure, output).await;
            }
        }
        None
    }

    async fn write(&mut self, read: Read, seen: Seen, output: &mut Output) {
        match self.pass.write(read).await {
            Ok(report) => {
                let next = Instant::now() + report.next().unwrap_or(WHOLE).min(WHOLE);
                self.seen = report.trouble.is_none().then_some((seen, next));
                self.said.trouble(report.trouble.as_ref(), output);
                self.said.report(&report, output);
            }
            Err(failure) => self.said.trouble(Some(&failure), output),
        }
    }

    /// The store does not answer.
    async fn missed(&mut self, failure: Failure, output: &mut Output) {
        self.seen = None;
        self.said.trouble(Some(&failure), output);
        self.outage.look(false, Instant::now());
    }

    /// The store of these tables answers; and the others, and the daemon?
    async fn reached(&mut self, output: &mut Output) {
        let others = self.unreachable().await;
        let daemon = self.daemon_trouble().await;
        let answers = others.is_none() && daemon.is_none();
        self.said.others(others, output);
        self.said.daemon(daemon, output);
        if self.outage.look(answers, Instant::now()) {
            let told = send::tell(&self.pass.how, &self.pass.qmail, send::Word::RetryNow);
            self.said.retry(told.as_ref().err(), output);
            if told.is_ok() {
                self.outage.told();
                self.said.line("the outage is over: qmail-send tries all deferred mail now", output);
            }
        }
    }

    /// Why a store of another role does not answer.
    async fn unreachable(&self) -> Option<String> {
        let session = self.pass.session;
        for (store, _) in session.stores.each() {
            if !Arc::ptr_eq(store, &session.stores.virtuals)
                && let Err(error) = store.ping(Deadline::after(session.config.deadline)).await
            {
                return Some(Failure::from(error).line());
            }
        }
        None
    }

    async fn daemon_trouble(&self) -> Option<String> {
        let socket = &self.pass.session.config.daemon.lookup_socket;
        // A connection that must wait for its turn has found somebody: EAGAIN.
        let error =
            UnixStream::connect(socket).await.err().filter(|error| error.kind() != std::io::ErrorKind::WouldBlock)?;
        Some(format!("{}: {error}; while qmail-lookupd does not run, mail waits in the queue", socket.display()))
    }
}

/// What was said, so that nothing is said at each turn.
#[derive(Default)]
struct Said {
    trouble: Option<String>,
    others: Option<String>,
    daemon: Option<String>,
    retry: Option<String>,
    standing: HashSet<String>,
}

impl Said {
    fn trouble(&mut self, failure: Option<&Failure>, output: &Output) {
        once(&mut self.trouble, failure.map(Failure::line), output);
    }

    fn others(&mut self, text: Option<String>, output: &Output) {
        once(&mut self.others, text, output);
    }

    fn daemon(&mut self, text: Option<String>, output: &Output) {
        once(&mut self.daemon, text, output);
    }

    fn retry(&mut self, failure: Option<&Failure>, output: &Output) {
        once(&mut self.retry, failure.map(Failure::line), output);
    }

    fn report(&mut self, report: &Report, output: &mut Output) {
        let (changes, standing) = (report.changes(), report.standing());
        let news: Vec<_> = standing.iter().filter(|line| !self.standing.contains(*line)).collect();
        if output.is_json() {
            if !(changes.is_empty() && news.is_empty()) {
                output.line(report.to_json().to_string());
            }
        } else {
            changes.iter().chain(news).for_each(|line| output.line(line));
        }
        self.standing = standing.into_iter().collect();
        output.flush();
    }

    fn line(&self, text: &str, output: &mut Output) {
        if !output.is_json() {
            output.line(text);
        }
        output.flush();
    }
}

/// Complains, unless that was the last complaint of its kind.
fn once(said: &mut Option<String>, text: Option<String>, output: &Output) {
    if let Some(text) = text.as_ref().filter(|_| text != *said) {
        output.complain(text);
    }
    *said = text;
}
