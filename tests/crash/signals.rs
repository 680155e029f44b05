//! Signals from outside, in the middle of a delivery.

use super::ground::{EARLIER, Ground, Home, Kind, for_each, message};
use super::running::Running;
use super::{Shared, trial};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::Report;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        trial("signals::during_a_program_never_bounce", shared, program),
        trial("signals::during_a_long_mbox_are_undone", shared, |ground| long(ground, Kind::Mbox)),
        trial("signals::during_a_long_maildir_leave_nothing_half", shared, |ground| long(ground, Kind::Maildir)),
        trial("signals::a_child_that_is_killed_harms_nothing", shared, child),
        trial("signals::to_a_whole_process_group_are_undone", shared, group),
    ]
}

const SIGNALS: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGALRM,
    Signal::SIGPIPE,
    Signal::SIGXCPU,
    Signal::SIGUSR1,
    Signal::SIGKILL,
];

fn program(ground: &Ground) -> Outcome {
    let message = message(5000);
    for_each(&SIGNALS, 8, |&signal| {
        let home = ground.home()?;
        // Afterwards comes an mbox, which must not be half either.
        home.file(".qmail-slow", b"|touch begun; sleep 1\n./Mailbox\n./Maildir/\n")?;
        let mut running = Running::start(&ground.delivery(&home, "slow", &message), &ground.site)?;
        let begun = running.wait_until(|_| home.path("begun").exists())?;
        ensure(begun && running.signal(signal), format!("{signal}: too late"))?;
        let report = running.end()?;
        ensure(report.letter()? != 'D', format!("{signal}: bounced: {report:?}"))?;
        let copies = home.copies("slow", &message)?;
        let at_least = usize::from(report.letter()? == 'K');
        ensure(copies.mbox >= at_least && copies.maildir >= at_least, format!("{signal}: {report:?}, {copies:?}"))?;
        let report = ground.delivery(&home, "slow", &message).run(&ground.site)?;
        let copies = home.copies("slow", &message)?;
        ensure(report.code == Some(0) && copies.mbox > 0 && copies.maildir > 0, format!("{report:?}, {copies:?}"))
    })
}

/// Whether more than a little of a long message is written.
fn is_written_to(home: &Home, kind: Kind) -> bool {
    let file = match kind {
        Kind::Mbox => Some(home.path("Mailbox")),
        _ => super::ground::entries(&home.path("Maildir/tmp")).ok().and_then(|files| files.into_iter().next()),
    };
    let written = file.and_then(|file| std::fs::metadata(file).ok()).map(|found| found.len()).unwrap_or_default();
    written > u64::try_from(EARLIER.len()).unwrap_or_default() + 100_000
}

fn long(ground: &Ground, kind: Kind) -> Outcome {
    let message = message(20_000_000);
    let deferred = AtomicUsize::new(0);
    for_each(&SIGNALS, 2, |&signal| {
        let home = ground.home()?;
        let mut running = Running::start(&ground.delivery(&home, kind.ext(), &message), &ground.site)?;
        if running.wait_until(|_| is_written_to(&home, kind))? {
            // To all of its processes, as a terminal or a supervisor does; nothing is left to be done by one that is killed.
            for child in running.children().into_iter().filter(|_| signal != Signal::SIGKILL) {
                super::running::send(child, signal);
            }
            running.signal(signal);
        }
        let report = running.end()?;
        let letter = report.letter()?;
        ensure(letter != 'D', format!("{signal}: bounced: {report:?}"))?;
        let copies = home.copies(kind.ext(), &message)?;
        if letter == 'K' {
            copies.of(kind)
        } else {
            deferred.fetch_add(1, Ordering::Relaxed);
            ground.retry(&home, kind, &message)
        }
    })?;
    ensure(deferred.into_inner() > 0, "no signal came in time")
}

fn child(ground: &Ground) -> Outcome {
    let kill = |running: &Running| {
        let killed = running.children().into_iter().map(|child| super::running::send(child, Signal::SIGKILL));
        Ok(killed.map(usize::from).sum())
    };
    let ends = |report: &Report| matches!(report.code, Some(0 | 111));
    killed_while_writing(ground, kill, ends, "there was no child to be killed")
}

/// As a supervisor does that wants to be sure.
fn group(ground: &Ground) -> Outcome {
    let kill = |running: &Running| running.kill_group().map(usize::from);
    let ends = |report: &Report| report.code == Some(0) || report.signal == Some(9);
    killed_while_writing(ground, kill, ends, "no signal came in time")
}

/// `kill` says how many it has killed; `ends` is how the delivery may end.
fn killed_while_writing(
    ground: &Ground,
    kill: impl Fn(&Running) -> Result<usize, Failed> + Sync,
    ends: impl Fn(&Report) -> bool + Sync,
    nothing: &str,
) -> Outcome {
    let message = message(20_000_000);
    let attempts: Vec<usize> = (0..4).collect();
    let killed = AtomicUsize::new(0);
    for_each(&attempts, 2, |_| {
        let home = ground.home()?;
        let mut running = Running::start(&ground.delivery(&home, Kind::Mbox.ext(), &message), &ground.site)?;
        if running.wait_until(|_| is_written_to(&home, Kind::Mbox))? {
            killed.fetch_add(kill(&running)?, Ordering::Relaxed);
        }
        let report = running.end()?;
        ensure(ends(&report), format!("{report:?}"))?;
        let copies = home.copies(Kind::Mbox.ext(), &message)?;
        if report.code == Some(0) { copies.of(Kind::Mbox) } else { ground.retry(&home, Kind::Mbox, &message) }
    })?;
    ensure(killed.into_inner() > 0, nothing)
}
