//! Control files and limits, as qmail's own users find them.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT, ids_of};
use super::ids::ANYBODY;
use super::questions::MEMORY;
use crate::qmail::send;
use nix::unistd::User;

/// Control files that everybody's programs read.
const EVERYBODY: [&str; 1] = ["lookupsocket"];
/// Control files of qmail-send.
const SEND: [&str; 4] = ["me", "locals", "virtualdomains", "queuelifetime"];
/// Control files of qmail-smtpd.
const SMTPD: [&str; 4] = ["me", "rcpthosts", "morercpthosts", "morercpthosts.cdb"];

/// What the drop-ins need for data and stack. Unit: bytes. Source: measured with `softlimit -m`.
const ENOUGH: u64 = 4_000_000;

pub(super) async fn run(host: &Host<'_>, report: &mut Report) {
    if !host.is_root {
        return report.unknown(MEMORY, NOT_ROOT, AS_ROOT);
    }
    let send = User::from_name("qmails").ok().flatten();
    let readers = [
        (Some(ANYBODY), &EVERYBODY[..]),
        (host.asker().as_ref().map(ids_of), &EVERYBODY[..]),
        (send.as_ref().map(ids_of), &SEND[..]),
        (host.receiver().as_ref().map(ids_of), &SMTPD[..]),
    ];
    let mut found: Vec<Outcome> = Vec::new();
    for (reader, names) in readers {
        let Some(reader) = reader else { continue };
        for name in names {
            let path = host.at("control").join(name);
            if !path.exists() {
                continue;
            }
            let outcome = match reader.obstacle(&path, "r").await {
                Ok(None) => continue,
                Ok(Some(obstacle)) => Outcome::from(obstacle),
                Err(error) => Outcome::Unknown { why: format!("{}: {error}", path.display()), mend: String::new() },
            };
            // One folder stands in everybody's way; one command mends that.
            found.push(outcome);
        }
    }
    found.extend(limits(host));
    report.all(MEMORY, found, "qmail's users can read their control files, and no limit of memory is in the way");
}

/// The limits that qmail-send was started with: qmail-lspawn has the same, and all that it runs.
fn limits(host: &Host<'_>) -> Option<Outcome> {
    let pid = send::find(&host.qmail).ok().flatten()?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let (name, limit) = limits.lines().find_map(too_little)?;
    let what = format!("qmail was started with a limit of {limit} bytes ({name}); its programs need {ENOUGH}");
    let mend = "raise the number behind `softlimit -m` in the script that starts qmail to 8000000, and restart qmail";
    Some(Outcome::wrong(what, mend))
}

/// A line of /proc/PID/limits that leaves too little memory.
fn too_little(line: &str) -> Option<(&'static str, u64)> {
    ["Max data size", "Max address space"].into_iter().find_map(|name| {
        let soft: u64 = line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()?;
        (soft < ENOUGH).then_some((name, soft))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_what_the_programs_need_is_seen() {
        let line = |name: &str, soft: &str| format!("{name:25} {soft:20} unlimited            bytes     ");
        assert_eq!(too_little(&line("Max data size", "unlimited")), None);
        assert_eq!(too_little(&line("Max data size", "4000000")), None);
        assert_eq!(too_little(&line("Max data size", "3999999")), Some(("Max data size", 3_999_999)));
        assert_eq!(too_little(&line("Max address space", "2048")), Some(("Max address space", 2048)));
        assert_eq!(too_little(&line("Max open files", "1")), None);
    }
}
