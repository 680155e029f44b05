//! qmail-send: running, told of its control files, with settings that suit the daemon's.

use super::check::Report;
use super::host::{AS_ROOT, Host};
use super::questions::{DELIVERIES, LIFETIME, SEND};
use crate::qmail::send;
use crate::verbs::sync::memory;
use qmail_lookup_config::control::queue_lifetime;
use qmail_lookup_config::quoted;
use std::time::Duration;

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
    let owed = match memory::read(&host.qmail) {
        Ok(memory) => memory.owed,
        Err(failure) => {
            let mend = if host.is_root { "" } else { AS_ROOT };
            return report.unknown(SEND, failure.line(), mend);
        }
    };
    match send::find(&host.qmail) {
        _ if owed => {
            report.wrong(SEND, "control/virtualdomains was written, and qmail-send not told of it", host.sync());
        }
        Ok(Some(pid)) => report.ok(SEND, format!("process {pid}")),
        Ok(None) => report.unknown(
            SEND,
            format!("no qmail-send works in {}; it reads them when it starts", host.at("queue").display()),
            "start qmail",
        ),
        Err(failure) => report.unknown(SEND, failure.line(), ""),
    }
}

/// The number that a control file begins with.
fn number(host: &Host<'_>, name: &str) -> Option<u32> {
    let content = std::fs::read(host.at("control").join(name)).ok()?;
    let digits = content.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
