//! What an mbox may hold: whole messages, and nothing else.

use super::ground::SENDER;
use libtest_mimic::Failed;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a delivery that was killed may take to undo what it has begun.
const UNDONE: Duration = Duration::from_secs(5);

/// Length of `Sun Nov 22 07:13:18 2026`.
const DATE: usize = 24;

/// What stands below the From_ line: the lines before the message, the message as an mbox quotes it, and an empty line.
pub(super) fn entry(head: &str, message: &[u8]) -> Vec<u8> {
    let mut text = head.as_bytes().to_vec();
    for line in message.split_inclusive(|&b| b == b'\n') {
        // No other line can be one that is quoted.
        if matches!(line.first(), Some(b'>' | b'F')) {
            let marks = line.iter().take_while(|&&b| b == b'>').count();
            if line.get(marks..).is_some_and(|rest| rest.starts_with(b"From ")) {
                text.push(b'>');
            }
        }
        text.extend_from_slice(line);
    }
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.push(b'\n');
    text
}

/// What follows a From_ line of ours.
pub(super) fn below_from_line(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(format!("From {SENDER} ").as_bytes())?;
    let (date, rest) = rest.split_at_checked(DATE)?;
    if date.contains(&b'\n') { None } else { rest.strip_prefix(b"\n") }
}

/// How often `entry` stands behind `earlier`.
///
/// # Errors
/// If anything else is there, and does not go away.
pub(super) fn count(file: &Path, earlier: &[u8], entry: &[u8]) -> Result<usize, Failed> {
    undone(|| {
        let found = std::fs::read(file)?;
        let mut rest = found.strip_prefix(earlier).ok_or("the mail that was there before is damaged")?;
        let mut count = 0;
        while !rest.is_empty() {
            let found = below_from_line(rest).and_then(|rest| rest.strip_prefix(entry));
            rest = found.ok_or_else(|| {
                let begin: Vec<u8> = rest.iter().take(300).copied().collect();
                let (all, begin) = (rest.len(), String::from_utf8_lossy(&begin).into_owned());
                format!("{all} bytes behind {count} whole messages, {} in one: {begin:?}", entry.len())
            })?;
            count += 1;
        }
        Ok(count)
    })
}

/// Looks until `look` is content: what was killed may be undoing something.
pub(super) fn undone<T>(look: impl Fn() -> Result<T, Failed>) -> Result<T, Failed> {
    let until = Instant::now() + UNDONE;
    loop {
        match look() {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}
