//! Whoever reads the log may stop: nobody else notices, and he learns what he missed.

use super::trial;
use libtest_mimic::{Failed, Trial};
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{Daemon, Site, connect, read_frame};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("log::who_stops_reading_it_stops_nobody_else_and_is_told_what_he_missed", stopped)]
}

/// A busy machine's time for what is done in a second.
const LONG: Duration = Duration::from_secs(30);

/// Each question is a line of the log: so many are more than a pipe and the daemon keep.
const QUESTIONS: usize = 20_000;

fn stopped() -> Outcome {
    let site = Site::sqlite("[daemon]\nlog_level = \"debug\"")?;
    // The daemon appends its log to this, and never to a file.
    let pipe = site.path("daemon.log");
    nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let mut reader = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&pipe)?;
    let daemon = Daemon::launch(&site)?;
    let until = Instant::now() + LONG;
    while daemon.lookup("rcpthosts", b"bar.com").is_err() {
        ensure(Instant::now() < until, "the daemon does not start")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    ask_much(&site)?;
    equal("nobody reads", daemon.lookup("rcpthosts", b"bar.com")?, b"OK bar.com".to_vec())?;
    // Now somebody reads.
    let until = Instant::now() + LONG;
    let mut log = String::new();
    while !log.contains("lines were lost") {
        ensure(Instant::now() < until, "lost lines are not told of")?;
        read_what_is_there(&mut reader, &mut log)?;
    }
    let told = log.lines().find(|line| line.contains("lines were lost")).unwrap_or_default();
    let lost: usize = told.split("lost=").nth(1).and_then(|rest| rest.trim().parse().ok()).ok_or(told.to_owned())?;
    ensure(lost > 0 && lost < QUESTIONS, format!("lost: {lost}"))?;
    // And stops again.
    ask_much(&site)?;
    daemon.signal(Signal::SIGTERM);
    let until = Instant::now() + LONG;
    while !gone(&daemon) {
        ensure(Instant::now() < until, "TERM does not end a daemon whose log nobody reads")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn ask_much(site: &Site) -> Outcome {
    let mut question = Vec::new();
    socketmap::write_question(&mut question, "rcpthosts", b"bar.com");
    let batch = question.repeat(100);
    let mut stream = connect(&site.socket("lookup.sock"))?;
    let answer = b"10:OK bar.com,".len() * 100;
    let mut answers = vec![0; answer];
    for _ in 0..QUESTIONS / 100 {
        stream.write_all(&batch)?;
        stream.read_exact(&mut answers).map_err(|error| format!("no answers while nobody reads the log: {error}"))?;
        ensure(answers.starts_with(b"10:OK bar.com,"), String::from_utf8_lossy(&answers))?;
    }
    stream.write_all(&question)?;
    equal("the last one", read_frame(&mut stream)?, b"OK bar.com".to_vec())
}

fn read_what_is_there(pipe: &mut File, log: &mut String) -> Result<(), Failed> {
    let mut part = [0; 65_536];
    match pipe.read(&mut part) {
        Ok(read) => log.push_str(&String::from_utf8_lossy(part.get(..read).unwrap_or_default())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// True if the process is a zombie, or nothing.
fn gone(daemon: &Daemon) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
}
