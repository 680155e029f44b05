//! The daemon is restarted in the middle of the mail: nobody notices.

use super::{alias_user, six, trial};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_core::wire::auth::Reply;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{Answer, Daemon, IAIN, SECRET, Site};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("restart::two_hundred_deliveries_during_a_restart_are_all_right", || during(Daemon::stop)),
        trial("restart::two_hundred_deliveries_during_a_crash_are_all_right", || during(Daemon::kill)),
        trial("restart::a_reload_during_deliveries_defers_none", reload),
        trial("restart::a_broken_configuration_changes_nothing", broken_reload),
        trial("restart::a_hash_that_is_being_replaced_is_finished_first", rehash),
    ]
}

const PARALLEL: usize = 20;
const EACH: usize = 10;

/// Delivers 200 times, and meanwhile runs `trouble` once a tenth is delivered.
fn deliveries(site: &Site, trouble: impl FnOnce() -> Outcome) -> Outcome {
    let cases = [
        ("iain", six(site, "iain", IAIN, "", "")),
        ("iain-work", six(site, "iain", IAIN, "-", "work")),
        ("=bar.com=-sales", six(site, "iain", IAIN, "-", "work")),
        ("nobody", alias_user("nobody")),
    ];
    let delivered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let deliver = |n: usize| {
            for (local, right) in cases.iter().cycle().skip(n).take(EACH) {
                let (answer, took) = site.lspawn_timed(local)?;
                equal(&format!("{local} after {took:?}"), answer, right.clone())?;
                delivered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failed>(())
        };
        let threads: Vec<_> = (0..PARALLEL).map(|n| scope.spawn(move || deliver(n))).collect();
        let until = Instant::now() + Duration::from_secs(20);
        while delivered.load(Ordering::Relaxed) < PARALLEL * EACH / 10 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let troubled = trouble();
        let after = delivered.load(Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a delivery panicked")??;
        }
        troubled?;
        ensure(after < PARALLEL * EACH, "all was delivered before the trouble was over")
    })
}

fn during(end: fn(Daemon)) -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let mut next = None;
    deliveries(&site, || {
        end(daemon);
        std::thread::sleep(Duration::from_secs(1));
        next = Some(site.start()?);
        Ok(())
    })
}

fn reload() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    deliveries(&site, || {
        for _ in 0..5 {
            daemon.signal(Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    })
}

fn broken_reload() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    let before = daemon.log().len();
    site.reconfigure("[rules]\nbreak = 7")?;
    daemon.signal(Signal::SIGHUP);
    let until = Instant::now() + Duration::from_secs(10);
    while !daemon.log().get(before..).unwrap_or_default().contains("break") && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = daemon.log();
    ensure(log.get(before..).unwrap_or_default().contains("break"), format!("not in the log: {log}"))?;
    equal("as before", site.lspawn("iain-x")?, six(&site, "iain", IAIN, "-", "x"))?;
    site.reconfigure("[rules]\nbreak = \"+\"")?;
    daemon.signal(Signal::SIGHUP);
    let until = Instant::now() + Duration::from_secs(10);
    while site.lspawn("iain+x")? == Answer::Deferred || site.lspawn("iain-x")? != alias_user("iain-x") {
        ensure(Instant::now() < until, "the new configuration is not used")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    equal("the new break", site.lspawn("iain+x")?, six(&site, "iain", IAIN, "-", "x"))
}

fn rehash() -> Outcome {
    let site = Site::sqlite("[auth]\nrehash = \"yescrypt\"")?;
    let daemon = site.start()?;
    let reply = daemon.login("iain", SECRET)?;
    ensure(matches!(reply, Reply::Ok(_)), format!("a login: {reply:?}"))?;
    let file = daemon.log_file().to_owned();
    daemon.stop();
    let log = std::fs::read_to_string(file)?;
    // It is said after the row was read back.
    ensure(log.contains("was given a stronger hash"), format!("ended before: {log}"))
}
