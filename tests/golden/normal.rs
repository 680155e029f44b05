//! What no two runs share is replaced by words that stand for it.

use super::home::Tree;
use super::moment;
use super::record::{Entry, Queued, Record};
use libtest_mimic::Failed;
use std::ops::RangeInclusive;

/// Files that hold the environment of a program.
const ENVIRONMENTS: [&[u8]; 2] = [b"env", b"e"];

/// Variables that a shell or the run itself adds.
const ADDED: [&[u8]; 7] = [b"PWD=", b"OLDPWD=", b"_=", b"SHLVL=", b"QQ_", b"QMAILQUEUE=", b"LC_CTYPE="];

/// A run, as it was.
pub(super) struct Raw {
    /// Exit code; `None` after a signal.
    pub(super) exit: Option<i64>,
    /// Standard output and standard error.
    pub(super) output: Vec<u8>,
    /// Below the home before.
    pub(super) before: Tree,
    /// Below the home after.
    pub(super) after: Tree,
    /// Runs of qmail-queue.
    pub(super) queue: Vec<Queued>,
}

/// What is to be replaced.
pub(super) struct Normal {
    /// Path of the home.
    pub(super) home: Vec<u8>,
    /// Name of this host, as qmail-local writes it into the name of a file.
    pub(super) host: Vec<u8>,
    /// Seconds since 1970 during which it ran.
    pub(super) times: RangeInclusive<u64>,
}

impl Normal {
    /// The record of a run.
    ///
    /// # Errors
    /// If a maildir has two new files, which no record can tell apart.
    pub(super) fn record(&self, raw: Raw) -> Result<Record, Failed> {
        let Raw { exit, output, before, after, queue } = raw;
        let mut record = Record { exit, output: process(&self.text(&output)), ..Record::default() };
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            record.removed.insert(path.clone());
        }
        for (path, Entry { mode, data }) in after {
            if before.get(&path).is_some_and(|was| was.mode == mode && was.data == data) {
                continue;
            }
            let mut data = self.text(&data);
            if ENVIRONMENTS.contains(&&path[..]) {
                data = environment(&data);
            }
            if record.files.insert(self.path(&path), Entry { mode, data }).is_some() {
                return Err("two files in one maildir".into());
            }
        }
        let normal = |run: Queued| Queued { message: self.text(&run.message), envelope: self.text(&run.envelope) };
        record.queue = queue.into_iter().map(normal).collect();
        Ok(record)
    }

    fn text(&self, text: &[u8]) -> Vec<u8> {
        let text = replace(text, &self.home, b"@HOME@");
        self.times.clone().fold(text, |text, time| replace(&text, moment::date(time).as_bytes(), b"@DATE@"))
    }

    /// A path with the name of a file in a maildir: seconds, whatever makes it unique, host.
    fn path(&self, path: &[u8]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        if let [.., folder, name] = &mut parts[..]
            && [&b"tmp"[..], b"new", b"cur"].contains(folder)
            && let [time, unique, host] = name.splitn(3, |&b| b == b'.').collect::<Vec<_>>()[..]
            && std::str::from_utf8(time).is_ok_and(|time| time.parse().is_ok_and(|time| self.times.contains(&time)))
            && !unique.is_empty()
            && unique.iter().all(u8::is_ascii_alphanumeric)
            && host == self.host
        {
            *name = b"@TIME@.@PID@.@HOST@";
        }
        parts.join(&b'/')
    }
}

/// A line `qp NUMBER`.
fn process(output: &[u8]) -> Vec<u8> {
    let line = |line: &[u8]| match line.strip_prefix(b"qp ") {
        Some(pid) if !pid.is_empty() && pid.iter().all(u8::is_ascii_digit) => b"qp @QP@".to_vec(),
        _ => line.to_vec(),
    };
    output.split(|&b| b == b'\n').map(line).collect::<Vec<_>>().join(&b'\n')
}

fn environment(text: &[u8]) -> Vec<u8> {
    let is_ours = |line: &&[u8]| !ADDED.iter().any(|added| line.starts_with(added));
    let mut lines: Vec<&[u8]> = text.split(|&b| b == b'\n').filter(is_ours).collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

/// `text` with every `from` replaced.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        rest = match rest.strip_prefix(from) {
            Some(after) if !from.is_empty() => {
                out.extend_from_slice(to);
                after
            }
            _ => {
                out.push(byte);
                rest.get(1..).unwrap_or_default()
            }
        };
    }
    out
}
