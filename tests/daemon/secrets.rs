//! Passwords, offered or stored, the users' and the store's: whatever goes wrong, they are told nowhere.

use super::{QUICK, trial};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::mariadb::{self, PASSWORD};
use qmail_lookup_tests::site::{DAEMON, Daemon, SECRET, Said, Site, connect, program};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("secrets::a_process_that_waits_with_a_password_does_not_show_it", processes),
        trial("secrets::a_daemon_that_is_aborted_leaves_no_core", aborted),
        trial("secrets::a_configuration_that_is_refused_is_not_quoted", configuration),
    ];
    if mariadb::missing().is_none() {
        trials.push(trial("secrets::no_fault_puts_a_password_into_a_log_or_an_answer", faults));
    }
    trials
}

/// What was typed as a password, wrongly.
const TYPED: &str = "canary-typed-6f1d";

/// What was typed as a login by mistake: a password too.
const MISPLACED: &str = "canary-login-93ab";

/// Fails if `text` holds any password.
fn discreet(what: &str, text: &[u8]) -> Outcome {
    for secret in [SECRET, PASSWORD, TYPED, MISPLACED] {
        let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
        ensure(!found, format!("{what} holds {secret:?}:\n{}", String::from_utf8_lossy(text)))?;
    }
    Ok(())
}

fn attempts(site: &Site, daemon: &Daemon) -> Outcome {
    for (login, password) in
        [("iain", SECRET), ("iain", TYPED), ("suspended", SECRET), ("nobody", TYPED), (MISPLACED, "x")]
    {
        let reply = daemon.login(login, password)?;
        let mut bytes = Vec::new();
        reply.write(&mut bytes);
        discreet("a reply", &bytes)?;
        if let Reply::Temporary(why) = reply {
            discreet("a reason", &why)?;
        }
        drop(site.checkpassword(login, password)?);
    }
    // Broken frames, with the password in them.
    for frame in [format!("50:5:auth1,4:iain,{}:{TYPED},", TYPED.len()), format!("{TYPED}:"), format!("20:{TYPED};,")] {
        for socket in ["auth.sock", "lookup.sock"] {
            let mut stream = connect(&site.socket(socket))?;
            stream.write_all(frame.as_bytes())?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut bytes = Vec::new();
            drop(std::io::Read::read_to_end(&mut stream, &mut bytes));
            discreet("the answer to a broken frame", &bytes)?;
        }
    }
    for (name, key) in [("recipient", "iain@bar.com"), ("mailbox", "iain"), ("getpw", "broken"), ("mailbox", "broken")]
    {
        discreet(name, &daemon.lookup(name, key.as_bytes())?)?;
    }
    Ok(())
}

fn faults() -> Outcome {
    let socket = "[daemon]\nlog_level = \"debug\"\nmetrics = \"unix:{RUN}/metrics.sock\"";
    let site = Site::mariadb(&format!("{QUICK}\n{socket}"))?;
    let daemon = site.start()?;
    let server = site.mariadb.as_ref().ok_or("no server")?;
    attempts(&site, &daemon)?;
    // A value where it does not belong, of a type that nobody knows.
    site.sql(&format!(
        "UPDATE mailbox SET password_type = 'Crypt-Password' WHERE username = 'bob'; \
         UPDATE mailbox SET uid = '0', home = '{SECRET}' WHERE username = 'virtual'"
    ))?;
    for login in ["bob", "virtual"] {
        drop(daemon.login(login, SECRET)?);
        discreet(login, &daemon.lookup("getpw", login.as_bytes())?)?;
    }
    server.sql("RENAME TABLE qmail.mailbox TO qmail.away")?;
    attempts(&site, &daemon)?;
    server.sql("RENAME TABLE qmail.away TO qmail.mailbox; SET PASSWORD FOR qmail@localhost = PASSWORD('other')")?;
    server.sql("SET GLOBAL max_connections = 10")?;
    for _ in 0..2 {
        let ids = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = 'qmail'";
        for row in mariadb::query(&mut server.connect()?, ids)? {
            let id: i64 = sqlx::Row::try_get(&row, 0)?;
            drop(server.sql(&format!("KILL CONNECTION {id}")));
        }
        // Access is denied now.
        attempts(&site, &daemon)?;
    }
    server.kill();
    attempts(&site, &daemon)?;
    discreet("/proc/PID/cmdline", &fs::read(format!("/proc/{}/cmdline", daemon.pid()))?)?;
    discreet("/proc/PID/environ", &fs::read(format!("/proc/{}/environ", daemon.pid()))?)?;
    let mut metrics = connect(&site.socket("metrics.sock"))?;
    metrics.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut metrics, &mut text)?;
    ensure(text.windows(13).any(|window| window == b"qmail_lookupd"), "no metrics")?;
    discreet("the metrics", &text)?;
    daemon.signal(Signal::SIGTERM);
    ended(&daemon)?;
    let log = fs::read(daemon.log_file())?;
    ensure(!log.is_empty(), "nothing was logged")?;
    discreet("the log", &log)
}

/// Waits until the daemon's process is a zombie, or gone.
fn ended(daemon: &Daemon) -> Outcome {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap_or_default();
        if stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return Ok(());
        }
        ensure(Instant::now() < until, format!("the daemon does not end: {stat}"))?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// checkpassword waits for a daemon that is stopped.
fn processes() -> Outcome {
    let site = Site::sqlite("")?;
    let daemon = site.start()?;
    daemon.signal(Signal::SIGSTOP);
    let mut child = Command::new("/bin/bash")
        .args(["-c", "exec 3<&0 </dev/null; exec \"$0\" /bin/true"])
        .arg(site.path("q/bin/checkpassword"))
        .env_clear()
        .env("QMAILHOME", site.path("q"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(format!("iain\0{TYPED}\0Y\0").as_bytes())?;
    }
    let checked = (|| {
        let (pid, until) = (child.id(), Instant::now() + Duration::from_secs(4));
        // It has connected, and so has read what it was given.
        let is_ours = || fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("checkpassword"));
        let sockets = || {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            open.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
                .count()
        };
        while !is_ours() || sockets() == 0 {
            ensure(Instant::now() < until, "checkpassword does not connect")?;
            std::thread::sleep(Duration::from_millis(5));
        }
        for pid in [pid, daemon.pid()] {
            for file in ["cmdline", "environ", "comm"] {
                discreet(file, &fs::read(format!("/proc/{pid}/{file}"))?)?;
            }
        }
        // Not dumpable: the kernel gives the files of such a process to root, whoever runs it.
        let owner = fs::metadata(format!("/proc/{}/environ", daemon.pid()))?.uid();
        equal("owner of the daemon's /proc files", owner, 0)?;
        let runs_as = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
        ensure(runs_as.lines().any(|line| line.starts_with("Uid:") && line.contains(&DAEMON.to_string())), runs_as)
    })();
    daemon.signal(Signal::SIGCONT);
    let status = child.wait()?;
    checked?;
    equal("the login in the end", status.code(), Some(1))
}

fn aborted() -> Outcome {
    // What is started from here may leave cores.
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE)?;
    if soft < hard {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, hard, hard)?;
    }
    for signal in [Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGILL] {
        let site = Site::sqlite("")?;
        let daemon = site.start()?;
        equal("a wrong password", site.checkpassword("iain", TYPED)?, Said::Exit(1))?;
        let pid = daemon.pid();
        daemon.signal(signal);
        ended(&daemon)?;
        let here = std::env::current_dir()?;
        for folder in [&here, &site.path("run"), &site.path("q"), &site.path("db"), Path::new("/"), Path::new("/tmp")] {
            for file in fs::read_dir(folder)?.flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let is_core = name == "core" || name.starts_with("core.") && name.contains(&pid.to_string());
                let is_old = !file.metadata().is_ok_and(|found| found.uid() == DAEMON);
                ensure(!is_core || is_old, format!("{} is a core", file.path().display()))?;
            }
        }
        discreet("the log", daemon.log().as_bytes())?;
        drop(daemon);
        // Its socket is still there, and does not keep the next one from starting.
        let daemon = site.start()?;
        ensure(matches!(daemon.login("iain", SECRET)?, Reply::Ok(_)), "the next daemon lets nobody in")?;
        drop(daemon.auth(Question::Flush)?);
    }
    Ok(())
}

fn configuration() -> Outcome {
    let site = Site::sqlite("")?;
    let program = program("qmail-lookupd")?;
    let run = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).env_clear().stdin(Stdio::null()).output()?;
        ensure(!output.status.success(), format!("{arguments:?} is accepted"))?;
        discreet("standard output", &output.stdout)?;
        discreet("standard error", &output.stderr)
    };
    let url = format!("mysql://qmail:{TYPED}@db.test/qmail");
    run(&["--store", &url])?;
    let text = fs::read_to_string(site.config())?;
    for line in [format!("password = \"{TYPED}"), format!("password = {TYPED}"), format!("password = [\"{TYPED}\"]")] {
        let file = site.path("broken.toml");
        fs::write(&file, text.replace("[store]\n", &format!("[store]\n{line}\n")))?;
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        run(&["--config", &file.display().to_string(), "--check"])?;
    }
    Ok(())
}
