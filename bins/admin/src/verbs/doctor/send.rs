//! qmail-send: running, told of its control files, with settings that suit the daemon's.

use super::check::Report;
use super::host::{AS_ROOT, Host};
use super::questions::{DELIVERIES, LIFETIME, SEND};
use crate::qmail::send;
use crate::verbs::sync::memory::{self, Remembered};
use nix::unistd::{SysconfVar, sysconf};
use qmail_lookup_config::control::queue_lifetime;
use qmail_lookup_config::quoted;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// As many deliveries as qmail makes at a time without control/concurrencylocal.
const CONCURRENCY: u32 = 10;

/// Shorter than this, mail bounces after an outage of one night.
const LIFETIME_MIN: Duration = Duration::from_secs(86_400);

pub(super) fn run(host: &Host<'_>, report: &mut Report) {
    running(host, report);
    let allowed = host.session.config.daemon.connections_per_uid;
    let wanted = number(host, "concurrencylocal").unwrap_or(CONCURRENCY);
    if wanted > allowed {
        let what = format!("control/concurrencylocal is {wanted}, and the daemon takes {allowed} of one uid");
        report.wrong(DELIVERIES, what, format!("set daemon.connections_per_uid = {wanted}, and restart qmail-lookupd"));
    } else {
        report.ok(DELIVERIES, format!("{wanted} deliveries, {allowed} connections of one uid"));
    }
    let lifetime = queue_lifetime(&host.qmail);
    let seconds = lifetime.as_secs();
    if lifetime < LIFETIME_MIN {
        let what = format!("{seconds} s: mail bounces if a database is away for so long");
        report.wrong(LIFETIME, what, format!("echo 604800 >{}", quoted(&host.at("control/queuelifetime"))));
    } else {
        report.ok(LIFETIME, format!("{seconds} s"));
    }
}

fn running(host: &Host<'_>, report: &mut Report) {
    let memory = match memory::read(&host.qmail) {
        Ok(memory) => memory,
        Err(failure) => {
            let mend = if host.is_root { "" } else { AS_ROOT };
            return report.unknown(SEND, failure.line(), mend);
        }
    };
    let owed = memory.as_ref().is_some_and(|memory| memory.plan.owed);
    // qmail-send has read them if it was started after that was remembered.
    let has_read = |pid| started(pid).zip(memory::modified(&host.qmail)).is_some_and(|(start, owed)| start > owed);
    let found = send::find(&host.qmail);
    let is_told = !owed || matches!(found, Ok(None)) || matches!(found, Ok(Some(pid)) if has_read(pid));
    match found {
        _ if !is_told => {
            report.wrong(SEND, "control/virtualdomains was written, and qmail-send not told of it", host.sync());
        }
        Ok(Some(pid)) => match not_told(host, pid, memory.as_ref()) {
            Ok(None) => report.ok(SEND, format!("process {pid}")),
            Ok(Some(name)) => {
                let why =
                    format!("control/{name} was changed by hand, and it is not known whether qmail-send was told");
                report.unknown(SEND, why, host.tell().unwrap_or_default());
            }
            Err(why) => report.unknown(SEND, why, ""),
        },
        Ok(None) => report.unknown(
            SEND,
            format!("no qmail-send works in {}; it reads them when it starts", host.at("queue").display()),
            "start qmail",
        ),
        Err(failure) => report.unknown(SEND, failure.line(), ""),
    }
}

/// A control file that was changed after qmail-send was started, after it was last told of what `sync` had written, and
/// after its administrator has told it.
fn not_told(host: &Host<'_>, pid: u32, memory: Option<&Remembered>) -> Result<Option<&'static str>, String> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let started = started(pid).ok_or_else(|| format!("it is not known when process {pid} was started"))?;
    let wrote = memory.and_then(|memory| memory.written("virtualdomains"));
    let told = [Some(started), wrote, changed(&host.told())].into_iter().flatten().max();
    let locals = if host.at("control/locals").exists() { "locals" } else { "me" };
    let is_later = |name: &&str| changed(&host.at("control").join(name)) > told;
    Ok(["virtualdomains", locals].into_iter().find(is_later))
}

/// When a process was started.
fn started(pid: u32) -> Option<SystemTime> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22; the name, field 2, can hold blanks and brackets.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|n| u64::try_from(n).ok())?;
    let started = Duration::from_millis(ticks.checked_mul(1000)?.checked_div(per_second)?);
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime = Duration::try_from_secs_f64(uptime.split_whitespace().next()?.parse().ok()?).ok()?;
    SystemTime::now().checked_sub(uptime.checked_sub(started)?)
}

/// The number that a control file begins with.
fn number(host: &Host<'_>, name: &str) -> Option<u32> {
    let content = std::fs::read(host.at("control").join(name)).ok()?;
    let digits = content.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
