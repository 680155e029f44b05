//! Killed at any system call that changes something: local delivery goes on, and the next run ends right.

use super::ground::{BOTH, Entry, Ground, Qmail, same, strace, with_settings};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::is_required;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What changes a file or a folder.
const CHANGING: &str = "link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,chmod,fchmod,fchmodat,\
                        chown,fchown,fchownat,lchown,write,copy_file_range,sendfile,ftruncate,fsync,fdatasync";

/// At a time. Each run waits for the disk most of the time.
const THREADS: usize = 3;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, verb: &'static str| {
        let name = format!("killed::{name}");
        if works() {
            return with_settings(&name, "", move |ground| killed(ground, verb));
        }
        let loud = format!("install::{name} (needs strace)");
        Trial::test(loud, || Err("needs strace".into())).with_ignored_flag(!is_required("strace"))
    };
    vec![
        trial("install_at_any_change_leaves_a_qmail_that_delivers", "install"),
        trial("uninstall_at_any_change_leaves_a_qmail_that_delivers", "uninstall"),
    ]
}

fn works() -> bool {
    let mut command = Command::new("strace");
    command.args(["-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", "/bin/true"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn options(verb: &str) -> &'static [&'static str] {
    if verb == "install" { &[] } else { &["--no-hup"] }
}

/// A qmail to which `verb` is about to be done, and what stood there at first.
fn begin<'a>(ground: &'a Ground, name: &str, verb: &str) -> Result<(Qmail<'a>, BTreeMap<String, Entry>), Failed> {
    let qmail = ground.qmail(name)?;
    let stock = qmail.snapshot()?;
    if verb == "uninstall" {
        qmail.install(&[])?.exits(0)?;
    }
    Ok((qmail, stock))
}

fn killed(ground: &Ground, verb: &'static str) -> Outcome {
    let (qmail, _) = begin(ground, "whole", verb)?;
    let log = ground.site.path("strace.log");
    let wrapper = strace(&log, &["-e", &format!("trace={CHANGING}")]);
    qmail.run_below(&wrapper, verb, options(verb))?.exits(0)?;
    let calls = calls(&std::fs::read_to_string(&log)?);
    ensure(calls.len() > 20, format!("only {calls:?}"))?;
    let (next, hits, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = once(ground, verb, call, &hits) {
                        let at = format!("{verb} killed at {} {}", call.0, call.1);
                        let what = format!("{at}: {}", failure.message().unwrap_or_default());
                        failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(what);
                        return;
                    }
                }
            });
        }
    });
    if let Some(what) = failed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        return Err(what.into());
    }
    let hits = hits.into_inner();
    ensure(hits * 10 >= calls.len() * 9, format!("only {hits} of {} were killed", calls.len()))
}

/// Which calls the main process made, each with its number among those of its name.
fn calls(log: &str) -> Vec<(String, usize)> {
    let main = log.split_whitespace().next().unwrap_or_default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else { continue };
        if pid != main || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            continue;
        }
        let count = counts.entry(name).or_default();
        *count += 1;
        // What it says changes nothing.
        if !(name == "write" && (arguments.starts_with("1,") || arguments.starts_with("2,"))) {
            calls.push((name.to_owned(), *count));
        }
    }
    calls
}

fn once(ground: &Ground, verb: &str, (call, n): &(String, usize), hits: &AtomicUsize) -> Outcome {
    let (qmail, stock) = begin(ground, &format!("{call}-{n}"), verb)?;
    let log = ground.site.path(&format!("{call}-{n}.log"));
    let inject = format!("inject={call}:signal=SIGKILL:when={n}");
    qmail.run_below(&strace(&log, &["-e", &inject]), verb, options(verb))?;
    hits.fetch_add(usize::from(std::fs::read_to_string(&log)?.contains("killed by SIGKILL")), Ordering::Relaxed);
    delivers(&qmail, &stock)?;
    qmail.run_below(&[], verb, options(verb))?.exits(0)?;
    if verb == "install" {
        for name in BOTH {
            ensure(qmail.is_ours(name)?, format!("{name} is not in place after another run"))?;
        }
        delivers(&qmail, &stock)?;
        qmail.uninstall(&[])?.exits(0)?;
    }
    // Nothing is left over, whatever was begun.
    let plain = |all: BTreeMap<String, Entry>| -> BTreeMap<String, Entry> {
        let plain = |(name, entry): (String, Entry)| match name.starts_with("control/") {
            true => (name, entry.content_and_rights()),
            false => (name, entry),
        };
        all.into_iter().map(plain).collect()
    };
    same("after another run", &plain(qmail.snapshot()?), &plain(stock))?;
    Ok(std::fs::remove_dir_all(&qmail.home)?)
}

/// Fails unless both programs are there, whole, can be run by everybody, and go together.
fn delivers(qmail: &Qmail<'_>, stock: &BTreeMap<String, Entry>) -> Outcome {
    let mut ours = [false; 2];
    let now = qmail.snapshot()?;
    for (name, ours) in BOTH.into_iter().zip(&mut ours) {
        let path = format!("bin/{name}");
        let here = now.get(&path).ok_or_else(|| format!("{name} is missing"))?;
        *ours = qmail.is_ours(name)?;
        let before = stock.get(&path).ok_or("no stock program")?;
        ensure(*ours || here == before, format!("{name} is neither ours nor the stock program"))?;
        equal(name, here.mode & 0o111, 0o111)?;
    }
    let [local, getpw] = ours;
    ensure(local || !getpw, "our qmail-getpw stands beside the stock qmail-local, which sees no rows")?;
    let socket =
        now.get("control/lookupsocket").map(|entry| (entry.content.ends_with(b"lookup.sock\n"), entry.mode & 0o444));
    ensure(!(local || getpw) || socket == Some((true, 0o444)), "ours do not know where the daemon is")
}
