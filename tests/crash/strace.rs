//! strace: which system calls a delivery makes, and one of them made to go wrong.

use super::ground::{Ground, Home, Kind};
use libtest_mimic::Failed;
use qmail_lookup_tests::check::ensure;
use qmail_lookup_tests::site::Local;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

/// Programs that qmail-local runs are not its own business, nor strace's.
const OPTIONS: &str = "strace -f -b execve -qq";

/// One call: its name, and which of its kind it is in its process, from 1 on.
pub(super) type Call = (String, usize);

/// Whether there is a strace that can do something here.
pub(super) fn works() -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-b", "execve", "-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1", "/bin/true"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `delivery` under strace, with `options`; what it sees goes to a file in `home`.
pub(super) fn under(delivery: &mut Local, home: &Home, options: &str) {
    delivery.wrapper = format!("{OPTIONS} -o {} {options}", home.path("strace.log").display());
}

/// What strace saw.
pub(super) fn log(home: &Home) -> Result<String, Failed> {
    Ok(String::from_utf8_lossy(&std::fs::read(home.path("strace.log"))?).into_owned())
}

/// The calls of a delivery without trouble, those of its children among them, but for what every program does before
/// its main begins. For all kinds but one, what goes before the daemon's answer is left out: it is the same.
pub(super) fn calls(ground: &Ground, kind: Kind, message: &[u8]) -> Result<Vec<Call>, Failed> {
    let home = ground.home()?;
    let mut delivery = ground.delivery(&home, kind.ext(), message);
    under(&mut delivery, &home, "");
    let report = delivery.run(&ground.site)?;
    ensure(report.letter()? == 'K', format!("without any trouble: {report:?}"))?;
    let log = log(&home)?;
    let begin = if kind == Kind::Mbox { "close_range" } else { "connect" };
    let (mut begun, mut first) = (false, None);
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut calls = BTreeSet::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        // Not `<... read resumed>`, `+++ exited`, `--- SIGCHLD`.
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            continue;
        }
        let is_main = *first.get_or_insert(pid) == pid;
        begun |= is_main && name == begin;
        let count = counts.entry((pid, name)).or_default();
        *count += 1;
        // strace counts the first execve, but leaves it alone.
        if begun || !is_main {
            calls.insert((name.to_owned(), *count));
        }
    }
    ensure(calls.len() > 10, format!("only {} calls: {log}", calls.len()))?;
    Ok(calls.into_iter().collect())
}
