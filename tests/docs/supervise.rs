//! The run scripts, under daemontools' own svscan, supervise and multilog.

use super::{needing, read, succeeds, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::wire::socketmap;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::server::find;
use qmail_lookup_tests::server::process::Process;
use qmail_lookup_tests::site::{ALIAS, BOB, Site, connect, program, read_frame};
use std::fmt::Debug;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDER: &str = "dist/daemontools";

/// Stands for users qmail-lookup and qmaill.
const USER: &str = "backup";

/// Longest wait on a busy machine.
const WAIT: Duration = Duration::from_secs(30);

pub(super) fn trials() -> Vec<Trial> {
    let all = ["setpriv", "svscan", "supervise", "svc", "svstat", "multilog", "setuidgid"];
    vec![
        trial("supervise::run_scripts_are_shell", || {
            for script in ["qmail-lookupd", "qmail-lookup-sync"].iter().flat_map(|name| scripts(name)) {
                let path = super::root().join(FOLDER).join(script);
                succeeds(Command::new("sh").arg("-n").arg(&path))?;
                ensure(std::fs::metadata(&path)?.permissions().mode() & 0o111 == 0o111, "not executable")?;
            }
            Ok(())
        }),
        needing(&all, true, "supervise::the_daemon_is_started_restarted_and_stopped", started),
        needing(&all, true, "supervise::sync_keeps_qmail_in_step_with_four_of_roots_powers", in_step),
    ]
}

fn scripts(name: &str) -> [String; 2] {
    ["run", "log/run"].map(|script| format!("{name}/{script}"))
}

/// A folder of services with one of ours in it, and svscan running there.
struct Services {
    folder: PathBuf,
    name: &'static str,
    svscan: Option<Process>,
}

impl Services {
    /// Lays `name` out, its scripts with each of `changes` made, and starts it.
    fn start(site: &Site, name: &'static str, changes: &[(&str, &str)]) -> Result<Self, Failed> {
        let mut services = Self { folder: site.path("service"), name, svscan: None };
        std::fs::create_dir_all(services.service().join("log"))?;
        for script in scripts(name) {
            let mut text = read(Path::new(FOLDER).join(&script))?;
            for (from, to) in changes.iter().chain(&[("qmaill", USER)]) {
                text = text.replace(from, to);
            }
            std::fs::write(services.folder.join(&script), text)?;
            std::fs::set_permissions(services.folder.join(&script), Permissions::from_mode(0o755))?;
        }
        let svscan = find("svscan").ok_or("no svscan")?;
        let folder = services.folder.display().to_string();
        services.svscan = Some(Process::start_as(&svscan, &[folder], (0, 0), &site.path("svscan.log"))?);
        Ok(services)
    }

    fn service(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.service().join("log/main/current")).unwrap_or_default()
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
    let daemon = program("qmail-lookupd")?.display().to_string();
    let (config, run) = (site.config().display().to_string(), site.path("run").display().to_string());
    let services = Services::start(
        &site,
        "qmail-lookupd",
        &[
            ("/usr/sbin/qmail-lookupd", &daemon),
            ("/etc/qmail-lookup/qmail-lookup.toml", &config),
            ("/run/qmail-lookup", &run),
            ("qmail-lookup:qmail-lookup", &format!("{USER}:{USER}")),
            ("=qmail-lookup ", &format!("={USER} ")),
        ],
    )?;

    let question = || {
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "rcpthosts", b"virtual.com");
        let mut stream = connect(&site.socket("lookup.sock"))?;
        stream.write_all(&frame)?;
        read_frame(&mut stream)
    };
    let log = || services.log();
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

/// Everything that it reads, writes and signals belongs to others than root.
fn in_step() -> Outcome {
    let site = Site::sqlite("")?;
    let alias = nix::unistd::User::from_name(ALIAS)?.ok_or("no such user")?.uid.as_raw();
    let (net, queue, told) = (site.path("q/alias"), site.path("q/queue"), site.path("told"));
    for (folder, id) in
        [(&net, alias), (&queue, BOB), (&queue.join("local"), BOB), (&queue.join("todo"), BOB), (&told, BOB)]
    {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        chown(folder, Some(id), Some(id))?;
    }
    site.script("qmail-send", "cd \"$1\"; trap 'echo HUP >>../../told/hup' HUP; while :; do sleep 0.1; done")?;
    let send = Process::start_as(
        &site.path("qmail-send"),
        &[queue.display().to_string()],
        (BOB, BOB),
        &site.path("qmail-send.log"),
    )?;
    site.sql(
        "INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES ('iain', '', '', 'new.test');
         INSERT INTO rcpthosts (host) VALUES ('new.test')",
    )?;
    let tool = program("qmail-lookup")?.display().to_string();
    let config = site.config().display().to_string();
    let changes = [("/usr/sbin/qmail-lookup", &tool[..]), ("/etc/qmail-lookup/qmail-lookup.toml", &config)];
    let services = Services::start(&site, "qmail-lookup-sync", &changes)?;
    let holds = |file: &str, line: &str| {
        let text = std::fs::read_to_string(site.path("q/control").join(file))?;
        ensure(text.lines().any(|there| there == line), format!("no {line} in {file}: {text}\n{}", services.log()))
    };
    until("the host is accepted", || holds("rcpthosts", "new.test"))?;
    holds("virtualdomains", "new.test:=new.test=")?;
    // The shell hears of a signal when its sleep is over.
    until("two HUPs", || equal("HUPs", std::fs::read_to_string(told.join("hup"))?, "HUP\nHUP\n".to_owned()))?;
    ensure(net.join(".qmail-=new:test=-default").exists(), "no safety net")?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", services.pid()?))?;
    // chown, dac_override, kill, sys_ptrace
    let powers = 1_u64 | 1 << 1 | 1 << 5 | 1 << 19;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).map(str::trim);
    equal("capabilities", effective, Some(&format!("{powers:016x}")[..]))?;
    services.svc("-d")?;
    until("no process", || services.pid().err().ok_or("still up"))?;
    send.stop();
    Ok(())
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
