//! What must come before what, so that a power failure loses nothing: no trial can cut the power, but the order of the
//! calls is seen.

use super::ground::{Ground, Kind, message};
use super::{Shared, strace, traced};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        traced("order::a_maildir_file_is_on_disk_before_it_is_in_new", shared, maildir),
        traced("order::an_mbox_is_on_disk_before_its_delivery_is_told", shared, mbox),
    ]
}

/// The lines of strace's log of a delivery.
fn seen(ground: &Ground, kind: Kind) -> Result<Vec<String>, Failed> {
    let (home, message) = (ground.home()?, message(200_000));
    let mut delivery = ground.delivery(&home, kind.ext(), &message);
    strace::under(&mut delivery, &home, "");
    let report = delivery.run(&ground.site)?;
    ensure(report.code == Some(0), format!("{report:?}"))?;
    Ok(strace::log(&home)?.lines().map(str::to_owned).collect())
}

/// Where the first line from `begin` on is that has all of `words`.
fn find(lines: &[String], begin: usize, words: &[&str]) -> Result<usize, Failed> {
    let mut rest = lines.iter().enumerate().skip(begin);
    let found = rest.find(|(_, line)| words.iter().all(|word| line.contains(word)));
    found.map(|(at, _)| at).ok_or_else(|| format!("no {words:?} in {lines:#?}").into())
}

/// A file that was opened: where, and until where it was written to, synced and closed.
struct Written {
    opened: usize,
    written: usize,
    synced: usize,
    closed: usize,
    fd: String,
}

fn written(lines: &[String], words: &[&str]) -> Result<Written, Failed> {
    let opened = find(lines, 0, words)?;
    let fd = lines.get(opened).and_then(|line| line.rsplit_once("= ")).map(|(_, fd)| fd.trim().to_owned());
    let fd = fd.ok_or("no descriptor")?;
    // The guard of an mbox closes none.
    let closed = find(lines, opened, &[&format!(" close({fd})")])?;
    let last = |call: &str| {
        let found = lines.iter().take(closed).skip(opened).rposition(|line| line.contains(&format!("{call}({fd}")));
        found.map(|at| at + opened).ok_or_else(|| Failed::from(format!("no {call} in {lines:#?}")))
    };
    Ok(Written { written: last("write")?, synced: last("sync")?, opened, closed, fd })
}

fn maildir(ground: &Ground) -> Outcome {
    let lines = seen(ground, Kind::Maildir)?;
    let file = written(&lines, &["open", "Maildir/tmp/", "O_EXCL"])?;
    let linked = find(&lines, 0, &["link", "Maildir/new/"])?;
    let told = find(&lines, 0, &["did 1+0+0"])?;
    let right = file.written < file.synced && file.synced < linked && file.closed < linked && linked < told;
    ensure(right, format!("{lines:#?}"))
}

fn mbox(ground: &Ground) -> Outcome {
    let lines = seen(ground, Kind::Mbox)?;
    let file = written(&lines, &["open", "./Mailbox", "O_APPEND"])?;
    let locked = find(&lines, file.opened, &[&format!("flock({}, ", file.fd), "LOCK_EX"])?;
    let first = find(&lines, file.opened, &[&format!("write({}, ", file.fd)])?;
    let told = find(&lines, 0, &["did 1+0+0"])?;
    let right = locked < first && file.written < file.synced && file.synced < told && file.synced < file.closed;
    ensure(right, format!("{lines:#?}"))
}
