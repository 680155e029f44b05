//! Killed between any two steps.

use super::ground::{Ground, block, on_sqlite};
use super::send::{Send, at, signals};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a run does to the world outside: files that get their names, files that lose them, signals.
const CALLS: &str = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,kill";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        on_sqlite("killed::at_any_step_while_hosts_come_the_next_run_goes_on", "", coming),
        on_sqlite("killed::at_any_step_while_hosts_move_none_is_lost", "", moving),
        on_sqlite("killed::at_any_step_while_one_of_many_hosts_goes_the_next_run_goes_on", "", leaving_many),
        on_sqlite("killed::at_any_step_while_hosts_go_the_next_run_goes_on", "", leaving),
    ]
}

/// Runs sync, each time killed one step later; `before` makes the beginning again, `after` looks at what a killed run has
/// left, and `end` at what the next one has made of it.
fn each_step(
    ground: &Ground,
    before: impl Fn() -> Outcome,
    after: impl Fn(&str) -> Outcome,
    end: impl Fn(&str) -> Outcome,
) -> Outcome {
    before()?;
    let steps = steps(ground)?;
    ensure(steps.len() > 5, format!("only {steps:?}"))?;
    end("not killed")?;
    for (call, n) in steps {
        before()?;
        let what = format!("killed at {call} {n}");
        let run = strace(ground, "/dev/null", &["-e", &format!("inject={call}:signal=SIGKILL:when={n}")])?;
        ensure(run != Some(0), &what)?;
        after(&what)?;
        ground.sync(&[])?.exits(0)?;
        end(&what)?;
    }
    Ok(())
}

/// The steps of a run that nobody kills: names of calls, and which of its name each is.
fn steps(ground: &Ground) -> Result<Vec<(String, usize)>, Failed> {
    let log = ground.site.path("strace.log");
    equal("a run", strace(ground, &log.display().to_string(), &[])?, Some(0))?;
    let mut counts = BTreeMap::<String, usize>::new();
    let mut steps = Vec::new();
    for line in String::from_utf8_lossy(&std::fs::read(log)?).lines() {
        let call = line.split_once(' ').and_then(|(_, rest)| rest.trim_start().split_once('('));
        if let Some((name, _)) = call.filter(|(name, _)| CALLS.split(',').any(|call| call == *name)) {
            let count = counts.entry(name.to_owned()).or_default();
            *count += 1;
            steps.push((name.to_owned(), *count));
        }
    }
    Ok(steps)
}

fn strace(ground: &Ground, log: &str, options: &[&str]) -> Result<Option<i32>, Failed> {
    let trace = format!("trace={CALLS}");
    let wrapper = [&["strace", "-f", "-qq", "-o", log, "-e", &trace], options].concat();
    Ok(ground.command(&wrapper, &[])?.output()?.status.code())
}

/// What is accepted is what qmail-send knows.
fn is_safe(ground: &Ground, what: &str) -> Outcome {
    let home = ground.home();
    let accepted: Vec<_> = ["rcpthosts", "morercpthosts"].into_iter().flat_map(|file| ground.block(file)).collect();
    let known = || block(&at(&home, signals(&home), "virtualdomains")).into_iter().collect::<BTreeSet<_>>();
    // What it was told it may take in later than we look, on a busy machine.
    let until = Instant::now() + Duration::from_secs(10);
    while !accepted.iter().all(|host| known().contains(host)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    let known = known();
    let missing = accepted.iter().find(|host| !known.contains(*host));
    ensure(missing.is_none(), format!("{what}: {missing:?} is accepted, and qmail-send knows only {known:?}"))?;
    ensure(ground.control("rcpthosts").exists(), format!("{what}: no rcpthosts"))
}

/// A qmail-send that has seen nothing yet.
fn restart(ground: &Ground, send: &RefCell<Option<Send>>) -> Outcome {
    let signals = ground.home().join("signals");
    // What the last one began to copy may still be coming.
    let until = Instant::now() + Duration::from_secs(10);
    while signals.exists() && std::fs::remove_dir_all(&signals).is_err() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::create_dir(signals)?;
    *send.borrow_mut() = Some(ground.start_send()?);
    Ok(())
}

/// As before the first run.
fn reset(ground: &Ground) -> Outcome {
    for folder in ["qmail-lookup", "alias"] {
        let _ = std::fs::remove_dir_all(ground.home().join(folder));
    }
    std::fs::create_dir(ground.home().join("alias"))?;
    std::fs::write(ground.control("virtualdomains"), super::ground::VIRTUALDOMAINS)?;
    std::fs::write(ground.control("rcpthosts"), super::ground::RCPTHOSTS)?;
    for name in ["morercpthosts", "morercpthosts.cdb"] {
        let _ = std::fs::remove_file(ground.control(name));
    }
    Ok(())
}

fn coming(ground: &Ground) -> Outcome {
    ground.add(&["a.test", "b.test"])?;
    let send = RefCell::new(None);
    each_step(
        ground,
        || {
            *send.borrow_mut() = None;
            reset(ground)?;
            restart(ground, &send)
        },
        |what| is_safe(ground, what),
        |what| {
            // Also the next run must not take it for told.
            is_safe(ground, what)?;
            equal(what, ground.block("virtualdomains"), ["a.test", "b.test"])?;
            equal(what, ground.block("rcpthosts"), ["a.test", "b.test"])
        },
    )
}

fn moving(ground: &Ground) -> Outcome {
    let hosts: Vec<_> = (0..51).map(|n| format!("h{n:02}.test")).collect();
    let send = RefCell::new(None);
    each_step(
        ground,
        || {
            *send.borrow_mut() = None;
            reset(ground)?;
            ground.sql("DELETE FROM `virtual`; DELETE FROM rcpthosts")?;
            ground.add(&hosts[..49].iter().map(String::as_str).collect::<Vec<_>>())?;
            ground.in_step()?;
            restart(ground, &send)?;
            ground.add(&hosts[49..].iter().map(String::as_str).collect::<Vec<_>>())
        },
        |what| {
            let accepted: BTreeSet<_> =
                ground.block("rcpthosts").into_iter().chain(ground.block("morercpthosts")).collect();
            ensure(hosts[..49].iter().all(|host| accepted.contains(host)), format!("{what}: {accepted:?}"))
        },
        |what| {
            equal(what, ground.block("rcpthosts").len(), 0)?;
            equal(what, ground.block("morercpthosts"), hosts.clone())?;
            ensure(ground.control("morercpthosts.cdb").exists(), what)
        },
    )
}

fn leaving_many(ground: &Ground) -> Outcome {
    let hosts: Vec<_> = (0..51).map(|n| format!("h{n:02}.test")).collect();
    let send = RefCell::new(None);
    each_step(
        ground,
        || {
            *send.borrow_mut() = None;
            reset(ground)?;
            ground.sql("DELETE FROM `virtual`; DELETE FROM rcpthosts")?;
            ground.add(&hosts.iter().map(String::as_str).collect::<Vec<_>>())?;
            ground.in_step()?;
            ground.remove(b"h00.test")?;
            ground.sync(&["--no-hup"])?.exits(0)?;
            ground.age(301)?;
            restart(ground, &send)
        },
        |what| {
            let accepted = ground.block("morercpthosts");
            ensure(hosts[1..].iter().all(|host| accepted.contains(host)), format!("{what}: {accepted:?}"))
        },
        |what| {
            equal(what, ground.block("morercpthosts"), hosts[1..].to_vec())?;
            let cdb = std::fs::read(ground.control("morercpthosts.cdb"))?;
            ensure(!cdb.windows(8).any(|part| part == b"h00.test"), format!("{what}: it is still accepted"))
        },
    )
}

fn leaving(ground: &Ground) -> Outcome {
    let send = RefCell::new(None);
    each_step(
        ground,
        || {
            *send.borrow_mut() = None;
            reset(ground)?;
            ground.sql("DELETE FROM `virtual`; DELETE FROM rcpthosts")?;
            ground.add(&["a.test", "b.test", "c.test"])?;
            ground.in_step()?;
            ground.remove(b"a.test")?;
            ground.sync(&["--no-hup"])?.exits(0)?;
            ground.age(301)?;
            ground.sync(&["--no-hup"])?.exits(0)?;
            ground.age(301)?;
            ground.remove(b"b.test")?;
            ground.sync(&["--dry-run"])?.exits(0)?.says("would be removed: a.test from virtualdomains")?;
            restart(ground, &send)
        },
        |what| {
            let accepted = ground.block("rcpthosts");
            equal(what, accepted, ["b.test", "c.test"])
        },
        |what| {
            equal(what, ground.block("rcpthosts"), ["b.test", "c.test"])?;
            equal(what, ground.block("virtualdomains"), ["b.test", "c.test"])
        },
    )
}
