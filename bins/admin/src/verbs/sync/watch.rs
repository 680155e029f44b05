//! `--watch`: looks whenever something has changed, until it is told to end.

use super::pass::{Pass, Read};
use super::report::Report;
use super::rows;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::qmail::send;
use qmail_lookup_core::sync::outage::Outage;
use std::collections::HashSet;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest time without a whole look.
const WHOLE: Duration = Duration::from_secs(600);

/// Files that decide what is written; a change of any is a reason to look.
const FILES: [&str; 10] = [
    "control/me",
    "control/locals",
    "control/smtproutes",
    "control/virtualdomains",
    "control/rcpthosts",
    "control/morercpthosts",
    "control/morercpthosts.cdb",
    "users/cdb",
    "bin/qmail-getpw",
    "bin/qmail-local",
];

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
    /// What was there at the last look, and when; `None` if another look is due.
    seen: Option<(Seen, Instant)>,
    outage: Outage,
    said: Said,
}

impl Watch<'_> {
    /// Reads everything, if there is a reason to.
    async fn read(&mut self, output: &mut Output) -> Option<(Read, Seen)> {
        let pass = self.pass;
        let stamp = rows::stamp(pass.session).await;
        // Before anything is read: what changes meanwhile is seen next time.
        let stamp = match stamp {
            Ok(stamp) => stamp,
            Err(failure) => {
                self.missed(failure, output).await;
                return None;
            }
        };
        let seen = Seen { stamp, files: FILES.map(|name| fingerprint(&pass.qmail.join(name))).into() };
        let is_old = |last: &Instant| last.elapsed() >= WHOLE;
        if seen.stamp.is_some() && self.seen.as_ref().is_some_and(|(last, at)| *last == seen && !is_old(at)) {
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
                match pass.read(lock, rows) {
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
                let pending = !report.waiting.is_empty() || report.trouble.is_some();
                self.seen = (!pending).then(|| (seen, Instant::now()));
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

    /// The store answers; and the daemon?
    async fn reached(&mut self, output: &mut Output) {
        let socket = &self.pass.session.config.daemon.lookup_socket;
        // A connection that must wait for its turn has found somebody: EAGAIN.
        let daemon =
            UnixStream::connect(socket).await.err().filter(|error| error.kind() != std::io::ErrorKind::WouldBlock);
        let trouble = daemon.map(|error| {
            format!("{}: {error}; while qmail-lookupd does not run, mail waits in the queue", socket.display())
        });
        let answers = trouble.is_none();
        self.said.daemon(trouble, output);
        if self.outage.look(answers, Instant::now()) {
            match send::tell(&self.pass.how, &self.pass.qmail, send::Word::RetryNow) {
                Ok(()) => self.said.line("the outage is over: qmail-send tries all deferred mail now", output),
                Err(failure) => output.complain(&failure.line()),
            }
        }
    }
}

/// Device, inode, time of the last change in two parts, and size.
type Fingerprint = (u64, u64, i64, i64, u64);

/// `None` if there is no such file.
fn fingerprint(path: &Path) -> Option<Fingerprint> {
    let is = std::fs::metadata(path).ok()?;
    Some((is.dev(), is.ino(), is.mtime(), is.mtime_nsec(), is.len()))
}

/// What was said, so that nothing is said at each turn.
#[derive(Default)]
struct Said {
    trouble: Option<String>,
    daemon: Option<String>,
    standing: HashSet<String>,
}

impl Said {
    fn trouble(&mut self, failure: Option<&Failure>, output: &Output) {
        let text = failure.map(Failure::line);
        if let Some(text) = text.as_ref().filter(|_| text != self.trouble) {
            output.complain(text);
        }
        self.trouble = text;
    }

    fn daemon(&mut self, text: Option<String>, output: &Output) {
        if let Some(text) = text.as_ref().filter(|_| text != self.daemon) {
            output.complain(text);
        }
        self.daemon = text;
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
