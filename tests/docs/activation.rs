//! The daemon under a service manager: sockets that are passed to it, and what it says of itself.

use super::needing;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::find;
use qmail_lookup_tests::server::process::Process;
use qmail_lookup_tests::site::{DAEMON, Site, connect, program, read_frame};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let needed = &["systemd-socket-activate", "setpriv"];
    vec![
        needing(needed, true, "activation::sockets_that_are_passed_by_name_are_used_and_left_in_place", passed_on),
        needing(needed, true, "activation::a_socket_of_an_unknown_name_is_refused_and_left_in_place", misnamed),
    ]
}

/// A socket's unit without FileDescriptorName= passes its own name.
fn misnamed() -> Outcome {
    let site = Site::sqlite("")?;
    let lookup = site.socket("lookup.sock");
    let daemon = [
        format!("--listen={}", lookup.display()),
        "--fdname=qmail-lookupd.socket".into(),
        program("qmail-lookupd")?.display().to_string(),
        "--config".into(),
        site.config().display().to_string(),
    ];
    let activate = find("systemd-socket-activate").ok_or("no systemd-socket-activate")?;
    let mut process = Process::start_as(&activate, &daemon, (DAEMON, DAEMON), &site.path("daemon.log"))?;
    let until = Instant::now() + Duration::from_secs(30);
    // It is there before anybody listens at it.
    while connect(&lookup).map(drop).is_err() {
        ensure(Instant::now() < until, "no socket")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    let made = std::fs::metadata(&lookup)?.ino();
    while process.is_running() {
        ensure(Instant::now() < until, "the daemon does not end")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    equal("the socket", std::fs::metadata(&lookup)?.ino(), made)?;
    let log = std::fs::read_to_string(site.path("daemon.log"))?;
    let named = log.contains("qmail-lookupd.socket, which means nothing here; known are lookup, auth, cvm-lookup");
    ensure(named, format!("not in the log: {log}"))
}

fn passed_on() -> Outcome {
    let site = Site::sqlite("[daemon]\nmetrics = \"unix:{RUN}/metrics.sock\"")?;
    let (lookup, auth) = (site.socket("lookup.sock"), site.socket("auth.sock"));
    let manager = site.path("run/notify");
    let notify = UnixDatagram::bind(&manager)?;
    notify.set_read_timeout(Some(Duration::from_secs(30)))?;
    // Everybody may write to it, as to systemd's own.
    std::fs::set_permissions(&manager, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let daemon = [
        format!("--listen={}", lookup.display()),
        format!("--listen={}", auth.display()),
        "--fdname=lookup:auth".into(),
        format!("--setenv=NOTIFY_SOCKET={}", manager.display()),
        find("setpriv").ok_or("no setpriv")?.display().to_string(),
        format!("--reuid={DAEMON}"),
        format!("--regid={DAEMON}"),
        "--clear-groups".into(),
        "--".into(),
        program("qmail-lookupd")?.display().to_string(),
        "--config".into(),
        site.config().display().to_string(),
    ];
    let activate = find("systemd-socket-activate").ok_or("no systemd-socket-activate")?;
    let process = Process::start_as(&activate, &daemon, (0, 0), &site.path("daemon.log"))?;
    // The first question starts it: nobody is told to come again.
    let ask = || {
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "rcpthosts", b"virtual.com");
        let mut stream = connect(&lookup)?;
        stream.write_all(&frame)?;
        read_frame(&mut stream)
    };
    let log = || std::fs::read_to_string(site.path("daemon.log")).unwrap_or_default();
    for _ in 0..300 {
        if lookup.exists() && auth.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let inode = |path| std::fs::metadata(path).map(|found| found.ino());
    let made = (inode(&lookup)?, inode(&auth)?);
    let answer = ask().map_err(|error| format!("{error:?}: {}", log()))?;
    equal("answer", String::from_utf8_lossy(&answer).as_ref(), "OK virtual.com")?;
    says(&notify, "READY=1")?;
    process.signal(Signal::SIGHUP);
    says(&notify, "RELOADING=1")?;
    says(&notify, "READY=1")?;
    equal("sockets", (inode(&lookup)?, inode(&auth)?), made)?;
    well_formed(&metrics(&site.socket("metrics.sock"))?)?;
    process.signal(Signal::SIGTERM);
    says(&notify, "STOPPING=1")?;
    process.stop();
    equal("sockets at the end", (inode(&lookup)?, inode(&auth)?), made)?;
    ensure(!site.socket("metrics.sock").exists(), "its own socket is left")
}

/// What Prometheus would be told, by the socket that was not passed.
fn metrics(socket: &Path) -> Result<String, Failed> {
    let mut stream = connect(socket)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no HTTP")?;
    ensure(head.starts_with("HTTP/1.1 200 "), head)?;
    Ok(body.to_owned())
}

/// Fails unless every line has a name that Prometheus can read; it takes all of them or none.
fn well_formed(metrics: &str) -> Outcome {
    let lines: Vec<_> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    ensure(lines.len() > 20, format!("hardly any metrics: {metrics}"))?;
    for line in lines {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
        ensure(legal && name.starts_with("qmail_lookupd_"), format!("no name of a metric: {line}"))?;
    }
    Ok(())
}

/// Fails unless `what` is among the next messages.
fn says(manager: &UnixDatagram, what: &str) -> Outcome {
    let mut message = [0; 4096];
    for _ in 0..20 {
        let length = manager.recv(&mut message).map_err(|error| format!("{what} expected: {error}"))?;
        let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned();
        if text.lines().any(|line| line == what) {
            return Ok(());
        }
    }
    Err(format!("{what} expected").into())
}
