//! Other programs that do not heed the lock, and change an mbox in the middle of a delivery.

use super::ground::{EARLIER, Ground, Home, Kind, message};
use super::running::Running;
use super::{Shared, strace, traced};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::io::Write;

/// What is written before the other program comes, at least. Unit: bytes.
const BEGUN: u64 = 500_000;

/// Lines of what the other program appends: together more than is written at once, which could be taken for our own.
const LINES: usize = 65_536;

/// From then on it waits before each write, or a fast machine would be done with all before anybody looks.
const SLOW: &str = "-e trace=write -e inject=write:delay_enter=20000:when=16+";

/// What the other program does to the mbox.
type Change = fn(&Home) -> std::io::Result<()>;

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    let all: [(&str, &str, Signal, Change); 3] = [
        ("appended_stays_after_a_kill", ":", Signal::SIGKILL, append),
        ("appended_stays_after_an_error", "ulimit -f 10000", Signal::SIGCONT, append),
        ("shrunk_stays_so_after_a_kill", ":", Signal::SIGKILL, shrink),
    ];
    let trials = all.map(|(name, before, signal, change)| {
        let name = format!("others::what_they_have_{name}");
        traced(&name, shared, move |ground| meanwhile(ground, before, signal, change))
    });
    trials.into()
}

fn append(home: &Home) -> std::io::Result<()> {
    std::fs::File::options().append(true).open(home.path("Mailbox"))?.write_all(&others())
}

fn others() -> Vec<u8> {
    [b"From other@example.org Sun Nov 22 07:13:18 2026\n\n", &b"line\n".repeat(LINES)[..], b"\n"].concat()
}

/// To nothing but what was there before, and not all of it.
fn shrink(home: &Home) -> std::io::Result<()> {
    std::fs::File::options().write(true).open(home.path("Mailbox"))?.set_len(10)
}

/// A delivery that is stopped in the middle, and that `signal` ends, or lets go on until an error comes.
fn meanwhile(ground: &Ground, before: &str, signal: Signal, change: Change) -> Outcome {
    let (home, message) = (ground.home()?, message(20_000_000));
    let mut delivery = ground.delivery(&home, Kind::Mbox.ext(), &message);
    before.clone_into(&mut delivery.before);
    strace::under(&mut delivery, &home, SLOW);
    let mut running = Running::start(&delivery, &ground.site)?;
    let length = || std::fs::metadata(home.path("Mailbox")).map(|found| found.len()).unwrap_or_default();
    ensure(running.wait_until(|_| length() > BEGUN)? && running.stop()?, "too late")?;
    change(&home)?;
    let changed = std::fs::read(home.path("Mailbox"))?;
    ensure(running.signal(signal), "it does not wait")?;
    let report = running.end()?;
    ensure(report.signal == Some(9) || report.code == Some(111), format!("{report:?}"))?;
    let found = std::fs::read(home.path("Mailbox"))?;
    let what = format!("{} bytes of {}, {report:?}", found.len(), changed.len());
    ensure(found.starts_with(&changed), format!("what another program has left is gone: {what}"))?;
    ensure(!found.contains(&0) && found.starts_with(&EARLIER[..10]), format!("something else is there: {what}"))
}
