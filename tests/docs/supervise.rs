//! The run scripts, under daemontools' own svscan, supervise and multilog.

use super::{needing, read, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::find;
use qmail_lookup_tests::server::process::Process;
use qmail_lookup_tests::site::{Site, connect, program, read_frame};
use std::fmt::Debug;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDER: &str = "dist/daemontools/qmail-lookupd";

/// Stands for users qmail-lookup and qmaill.
const USER: &str = "backup";

/// Longest wait on a busy machine.
const WAIT: Duration = Duration::from_secs(30);

pub(super) fn trials() -> Vec<Trial> {
    let all = ["setpriv", "svscan", "supervise", "svc", "svstat", "multilog", "setuidgid"];
    vec![
        trial("supervise::run_scripts_are_shell", || {
            for script in ["run", "log/run"] {
                let path = super::root().join(FOLDER).join(script);
                succeeds(Command::new("sh").arg("-n").arg(&path))?;
                ensure(std::fs::metadata(&path)?.permissions().mode() & 0o111 == 0o111, "not executable")?;
            }
            Ok(())
        }),
        needing(&all, true, "supervise::the_daemon_is_started_restarted_and_stopped", started),
    ]
}

/// A folder of services with ours in it, and svscan running there.
struct Services {
    folder: PathBuf,
    svscan: Option<Process>,
}

impl Services {
    fn service(&self) -> PathBuf {
        self.folder.join("qmail-lookupd")
    }

    fn svc(&self, order: &str) -> Outcome {
        succeeds(Command::new("svc").arg(order).arg(self.service())).map(drop)
    }

    /// Process id of the daemon.
    fn pid(&self) -> Result<u32, Failed> {
        let said = succeeds(Command::new("svstat").arg(self.service()))?;
        let pid = said.split_once("(pid ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
        pid.ok_or_else(|| said.into())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // Otherwise it would start them again.
        if let Some(svscan) = self.svscan.take() {
            svscan.kill();
        }
        let services = [self.service(), self.service().join("log")];
        let _ = Command::new("svc").arg("-dx").args(&services).output();
        let _ = until("supervise has ended", || {
            let alive =
                services.iter().any(|service| Command::new("svok").arg(service).status().is_ok_and(|s| s.success()));
            if alive { Err("still there") } else { Ok(()) }
        });
    }
}

fn started() -> Outcome {
    let site = Site::sqlite("")?;
    let user = nix::unistd::User::from_name(USER)?.ok_or("no such user")?;
    let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    for path in [site.config(), site.path("db"), site.path("db/store.sqlite")] {
        chown(path, uid, gid)?;
    }
    // The script makes it.
    std::fs::remove_dir(site.path("run"))?;
    let mut services = Services { folder: site.path("service"), svscan: None };
    let service = services.service();
    std::fs::create_dir_all(service.join("log"))?;
    for script in ["run", "log/run"] {
        let text = read(Path::new(FOLDER).join(script))?;
        let text = text
            .replace("/usr/sbin/qmail-lookupd", &program("qmail-lookupd")?.display().to_string())
            .replace("/etc/qmail-lookup/qmail-lookup.toml", &site.config().display().to_string())
            .replace("/run/qmail-lookup", &site.path("run").display().to_string())
            .replace("qmail-lookup:qmail-lookup", &format!("{USER}:{USER}"))
            .replace("=qmail-lookup ", &format!("={USER} "))
            .replace("qmaill", USER);
        std::fs::write(service.join(script), text)?;
        std::fs::set_permissions(service.join(script), Permissions::from_mode(0o755))?;
    }
    let svscan = find("svscan").ok_or("no svscan")?;
    let folder = services.folder.display().to_string();
    services.svscan = Some(Process::start_as(&svscan, &[folder], (0, 0), &site.path("svscan.log"))?);

    let question = || {
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "rcpthosts", b"virtual.com");
        let mut stream = connect(&site.socket("lookup.sock"))?;
        stream.write_all(&frame)?;
        read_frame(&mut stream)
    };
    let log = || std::fs::read_to_string(service.join("log/main/current")).unwrap_or_default();
    let answer = until("an answer", question).map_err(|error| with(&error, &log()))?;
    equal("answer", String::from_utf8_lossy(&answer).as_ref(), "OK virtual.com")?;
    let first = services.pid()?;
    let status = std::fs::read_to_string(format!("/proc/{first}/status"))?;
    let ids = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
    let four = |id: u32| Some(vec![id.to_string(); 4].join("\t"));
    equal("uids", ids("Uid:"), four(user.uid.as_raw()))?;
    equal("gids", ids("Gid:"), four(user.gid.as_raw()))?;
    equal("capabilities", ids("CapBnd:"), Some("0".repeat(16)))?;
    equal("no new privileges", ids("NoNewPrivs:").as_deref(), Some("1"))?;

    services.svc("-t")?;
    until("another process", || {
        let pid = services.pid()?;
        ensure(pid != first, "the old one")
    })?;
    until("an answer of the new one", question).map_err(|error| with(&error, &log()))?;
    services.svc("-d")?;
    until("no process", || services.pid().err().ok_or("still up"))?;
    ensure(question().is_err(), "it answers although it is down")?;
    ensure(!site.socket("lookup.sock").exists(), "its socket is left")?;
    services.svc("-u")?;
    until("an answer after a stop", question)?;
    until("a line in the log", || ensure(log().contains("ended"), log()))
}

fn with(error: &Failed, log: &str) -> Failed {
    format!("{error:?}\n{log}").into()
}

/// Waits until `what` is so.
fn until<T, E: Debug>(what: &str, mut is: impl FnMut() -> Result<T, E>) -> Result<T, Failed> {
    let end = Instant::now() + WAIT;
    loop {
        match is() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => return Err(format!("{what}: {error:?}").into()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
