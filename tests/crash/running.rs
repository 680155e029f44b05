//! A delivery that something happens to while it runs.

use libtest_mimic::Failed;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};
use qmail_lookup_tests::site::{Local, Report, Site};
use std::io::{Read, Write};
use std::process::Child;
use std::time::{Duration, Instant};

/// Longest wait for something that has to come.
const COMES: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Running {
    child: Child,
    report: std::io::PipeReader,
    /// What was in the report before. Unit: bytes.
    filled: usize,
}

impl Running {
    /// Starts it.
    pub(super) fn start(delivery: &Local, site: &Site) -> Result<Self, Failed> {
        Self::start_with(delivery, site, false)
    }

    /// Starts it with a report that takes nothing until [`Running::end`]: it waits there with its last words.
    pub(super) fn start_to_wait(delivery: &Local, site: &Site) -> Result<Self, Failed> {
        Self::start_with(delivery, site, true)
    }

    fn start_with(delivery: &Local, site: &Site, full: bool) -> Result<Self, Failed> {
        let (report, mut writer) = std::io::pipe()?;
        let filled = if full { usize::try_from(fcntl(&writer, FcntlArg::F_GETPIPE_SZ)?)? } else { 0 };
        writer.write_all(&vec![b' '; filled])?;
        let mut command = delivery.command(site);
        command.stdin(delivery.message_file()?).stdout(writer.try_clone()?).stderr(writer);
        Ok(Self { child: command.spawn()?, report, filled })
    }

    /// The process of qmail-local itself; `None` if it has ended, or has not begun.
    pub(super) fn pid(&self) -> Option<u32> {
        find(self.child.id(), &|pid| comm(pid) == "qmail-local")
    }

    /// The processes that it has made.
    pub(super) fn children(&self) -> Vec<u32> {
        self.pid().map(children).unwrap_or_default()
    }

    /// Memory that it has used at most so far. Unit: bytes.
    pub(super) fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// Whether it still runs.
    pub(super) fn is_running(&mut self) -> Result<bool, Failed> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until `ready`, or until it has ended: then false.
    pub(super) fn wait_until(&mut self, ready: impl Fn(&Self) -> bool) -> Result<bool, Failed> {
        let until = Instant::now() + COMES;
        while self.is_running()? {
            if ready(self) {
                return Ok(true);
            }
            if Instant::now() > until {
                return Err("what was waited for does not come".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(false)
    }

    /// Sends a signal to qmail-local; false if it has ended.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        self.pid().is_some_and(|pid| send(pid, signal))
    }

    /// Stops qmail-local, wherever it is; false if it has ended.
    pub(super) fn stop(&mut self) -> Result<bool, Failed> {
        let Some(pid) = self.pid().filter(|&pid| send(pid, Signal::SIGSTOP)) else { return Ok(false) };
        self.wait_until(|_| matches!(state(pid), Some('T' | 't')) && !has_stop_pending(pid))
    }

    /// Kills qmail-local and its process group, which is not ours; false if it has ended.
    pub(super) fn kill_group(&self) -> Result<bool, Failed> {
        let Some(pid) = self.pid() else { return Ok(false) };
        let Ok(group) = getpgid(Some(Pid::from_raw(i32::try_from(pid)?))) else { return Ok(false) };
        if group == getpgrp() || group.as_raw() <= 1 {
            return Err("it has no process group of its own".into());
        }
        Ok(killpg(group, Signal::SIGKILL).is_ok())
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> Result<Report, Failed> {
        let mut text = Vec::new();
        self.report.read_to_end(&mut text)?;
        Ok(Report::of(self.child.wait()?, text.get(self.filled..).unwrap_or_default()))
    }
}

/// Sends `signal`; false if there is no such process.
pub(super) fn send(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 1 && kill(Pid::from_raw(pid), signal).is_ok())
}

/// As ps shows it.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Under strace a process also stands still at each call, with the signal still to come.
fn has_stop_pending(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(u64::MAX);
    pending & (1 << (Signal::SIGSTOP as u64 - 1)) != 0
}

fn comm(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The first process below `pid` that is `wanted`, parents before children.
fn find(pid: u32, wanted: &dyn Fn(u32) -> bool) -> Option<u32> {
    if wanted(pid) { Some(pid) } else { children(pid).into_iter().find_map(|child| find(child, wanted)) }
}
