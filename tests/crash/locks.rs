//! Waiting: for a lock, and not for ever.

use super::ground::{Ground, Home, Kind, entries, message};
use super::running::Running;
use super::{Shared, strace, traced, trial};
use libtest_mimic::{Failed, Trial};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use qmail_lookup_tests::check::{Outcome, ensure};
use std::time::{Duration, Instant};

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        trial("locks::a_locked_mbox_is_waited_for", shared, locked),
        traced("locks::a_maildir_has_a_timer_of_a_day", shared, timer),
        traced("locks::the_timer_of_a_maildir_defers_and_leaves_nothing", shared, timeout),
    ]
}

fn locked(ground: &Ground) -> Outcome {
    let (home, message) = (ground.home()?, message(5000));
    let held = Duration::from_secs(2);
    let file = std::fs::File::options().append(true).open(home.path("Mailbox"))?;
    let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| ground.delivery(&home, Kind::Mbox.ext(), &message).run(&ground.site));
        std::thread::sleep(held);
        let still = std::fs::read(home.path("Mailbox"))? == super::ground::EARLIER;
        drop(lock);
        let report = delivering.join().map_err(|_| "a thread panicked")??;
        ensure(still, "written to although it was locked")?;
        ensure(begun.elapsed() >= held && report.code == Some(0), format!("{report:?}"))
    })?;
    home.copies(Kind::Mbox.ext(), &message)?.of(Kind::Mbox)
}

fn timer(ground: &Ground) -> Outcome {
    let (home, message) = (ground.home()?, message(5000));
    let mut delivery = ground.delivery(&home, Kind::Maildir.ext(), &message);
    strace::under(&mut delivery, &home, "");
    let report = delivery.run(&ground.site)?;
    ensure(report.code == Some(0), format!("{report:?}"))?;
    let log = strace::log(&home)?;
    let lines: Vec<&str> = log.lines().collect();
    let is_timer = |line: &str| ["alarm(", "setitimer(", "timer_settime("].iter().any(|call| line.contains(call));
    let position = |wanted: &dyn Fn(&str) -> bool| -> Result<usize, Failed> {
        lines.iter().position(|line| wanted(line)).ok_or_else(|| format!("not found in {log}").into())
    };
    let set = position(&|line| is_timer(line) && line.contains("86400"))?;
    let made = position(&|line| line.contains("tmp/") && line.contains("O_CREAT"))?;
    ensure(set < made, format!("the file is made before the timer is set: {log}"))
}

fn timeout(ground: &Ground) -> Outcome {
    for call in ["write,pwrite64,writev,copy_file_range,sendfile", "fsync,fdatasync"] {
        let (home, message) = (ground.home()?, message(50_000));
        let mut delivery = ground.delivery(&home, Kind::Maildir.ext(), &message);
        // Every write takes a while: time enough for the signal.
        strace::under(&mut delivery, &home, &format!("-e inject={call}:delay_enter=300000"));
        let mut running = Running::start(&delivery, &ground.site)?;
        let begun = running.wait_until(|_| writes(&home))?;
        ensure(begun && running.signal(Signal::SIGALRM), format!("{call}: too late"))?;
        let report = running.end()?;
        home.deferred(call, &report, Kind::Maildir.ext(), &message)?;
        let right = report.text == "Timeout on maildir delivery. (#4.3.0)\n";
        ensure(right, format!("{call}: {report:?}"))?;
        ground.retry(&home, Kind::Maildir, &message)?;
    }
    Ok(())
}

fn writes(home: &Home) -> bool {
    entries(&home.path("Maildir/tmp")).is_ok_and(|files| !files.is_empty())
}
