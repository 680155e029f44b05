//! Many deliveries at once into one mbox and one maildir.

use super::ground::{EARLIER, Ground, Home, SENDER, entries, for_each};
use super::mbox;
use super::running::Running;
use super::{Shared, trial};
use libtest_mimic::{Failed, Trial};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many deliveries there are.
const ALL: usize = 200;

/// How many of them run at once.
const AT_ONCE: usize = 40;

/// What another program appends.
const OTHER: &[u8] = b"From other@example.org Sun Nov 22 07:13:18 2026\nSubject: other\n\nby another program\n\n";

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        trial("crowd::of_200_all_arrive_and_none_is_torn", shared, |ground| crowd(ground, |_| None)),
        trial("crowd::with_some_killed_all_others_arrive_and_none_is_torn", shared, |ground| {
            crowd(ground, |n| (n % 20 == 7).then(|| Duration::from_millis(u64::try_from(n).unwrap_or_default() % 60)))
        }),
    ]
}

/// Of all lengths, and no two the same.
fn message(n: usize) -> Vec<u8> {
    let line = format!("From {n}, {n}, {n}\nand so on\n");
    format!("Subject: {n}\n\n{}", line.repeat(1 + (n * 37) % 2000)).into_bytes()
}

const HEAD: &str = "Delivered-To: iain-both@mail.test\n";

fn crowd(ground: &Ground, killed_after: impl Fn(usize) -> Option<Duration> + Sync) -> Outcome {
    let home = ground.home()?;
    home.file(".qmail-both", b"./Mailbox\n./Maildir/\n")?;
    let numbers: Vec<usize> = (0..ALL).collect();
    let over = AtomicBool::new(false);
    let appended = std::thread::scope(|scope| {
        let other = scope.spawn(|| append(&home, &over));
        let delivered = for_each(&numbers, AT_ONCE, |&n| {
            let running = Running::start(&ground.delivery(&home, "both", &message(n)), &ground.site)?;
            if let Some(after) = killed_after(n) {
                std::thread::sleep(after);
                running.signal(Signal::SIGKILL);
            }
            let report = running.end()?;
            let fine = report.code == Some(0) || (killed_after(n).is_some() && report.signal == Some(9));
            ensure(fine, format!("delivery {n}: {report:?}"))
        });
        over.store(true, Ordering::Relaxed);
        let appended = other.join().map_err(|_| "the other program panicked")?;
        delivered.and(appended)
    })?;
    let in_mbox = mbox::undone(|| in_mbox(&home, appended))?;
    let in_maildir = in_maildir(&home)?;
    for n in numbers {
        let counts = (in_mbox.get(&n).copied().unwrap_or_default(), in_maildir.get(&n).copied().unwrap_or_default());
        let right = if killed_after(n).is_some() { counts.0 <= 1 && counts.1 <= counts.0 } else { counts == (1, 1) };
        ensure(right, format!("{n} is there so often, in mbox and maildir: {counts:?}"))?;
    }
    Ok(())
}

/// Another program that appends whole messages under the same lock. Gives how many.
fn append(home: &Home, over: &AtomicBool) -> Result<usize, Failed> {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let file = std::fs::File::options().append(true).open(home.path("Mailbox"))?;
        let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        for part in OTHER.chunks(10) {
            file.write_all(part)?;
        }
        drop(file);
        count += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(count)
}

/// How often each message is in the mbox.
fn in_mbox(home: &Home, appended: usize) -> Result<BTreeMap<usize, usize>, Failed> {
    let found = std::fs::read(home.path("Mailbox"))?;
    let mut rest = found.strip_prefix(EARLIER).ok_or("the mail that was there before is damaged")?;
    let (mut counts, mut others) = (BTreeMap::new(), 0);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(OTHER) {
            rest = behind;
            others += 1;
            continue;
        }
        let torn = || format!("torn: {:?}", String::from_utf8_lossy(&rest[..rest.len().min(300)]));
        let below = mbox::below_from_line(rest).ok_or_else(torn)?;
        let head = format!("Return-Path: <{SENDER}>\n{HEAD}");
        let n = below.strip_prefix(head.as_bytes()).and_then(number).ok_or_else(torn)?;
        rest = below.strip_prefix(&mbox::entry(&head, &message(n))[..]).ok_or_else(torn)?;
        *counts.entry(n).or_default() += 1;
    }
    ensure(others == appended, format!("{others} of the other program's {appended} messages are there"))?;
    Ok(counts)
}

fn in_maildir(home: &Home) -> Result<BTreeMap<usize, usize>, Failed> {
    let mut counts = BTreeMap::new();
    for file in entries(&home.path("Maildir/new"))? {
        let content = std::fs::read(&file)?;
        let head = format!("Return-Path: <{SENDER}>\n{HEAD}");
        let text = content.strip_prefix(head.as_bytes()).ok_or_else(|| format!("torn: {}", file.display()))?;
        let n = number(text).ok_or_else(|| format!("torn: {}", file.display()))?;
        ensure(text == message(n), format!("torn: {}", file.display()))?;
        *counts.entry(n).or_default() += 1;
    }
    Ok(counts)
}

fn number(message: &[u8]) -> Option<usize> {
    let line = message.strip_prefix(b"Subject: ")?.split(|&b| b == b'\n').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}
