//! One run of bin/qmail-local as qmail-lspawn starts it.

use super::home::{self, OWNER};
use super::moment;
use super::normal::{Normal, Raw, replace};
use super::record::{Queued, Record};
use super::shared::Run;
use libtest_mimic::Failed;
use nix::fcntl::{Flock, FlockArg};
use qmail_lookup_tests::check::ensure;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// Longest run. Unit: seconds. A lock takes 30.
const LIMIT: &str = "180";

/// Becomes the program behind it with qmail's umask.
const UMASK: &str = "umask 022 && exec \"$@\"";

/// Runs the case.
pub(super) fn run(run: &Run<'_>) -> Result<Record, Failed> {
    let Run { site, name, case, left_out } = run;
    let (home, queue) = (site.path("homes").join(name), site.path("queues").join(name));
    let message = site.path("messages").join(name);
    home::lay_out(&home, case, *left_out)?;
    fs::create_dir(&queue)?;
    chown(&queue, Some(OWNER), Some(OWNER))?;
    fs::write(&message, &case.message)?;
    let before = home::look_over(&home)?;
    let lock = case.lock.as_ref().map(|file| lock(&home::below(&home, file))).transpose()?;

    let begun = SystemTime::now();
    let (exit, output) = start(&mut command(run, &home, &queue), File::open(&message)?)?;
    drop(lock);
    ensure(begun.elapsed()? >= case.waits, "it does not wait")?;

    let host = fs::read("/proc/sys/kernel/hostname")?;
    let host = host.strip_suffix(b"\n").unwrap_or(&host).iter().copied().take(63).collect();
    let normal = Normal { home: home.as_os_str().as_bytes().to_vec(), host, times: moment::since(begun) };
    let queue = queued(&queue, &site.path("q"))?;
    normal.record(Raw { exit, output, before, after: home::look_over(&home)?, queue })
}

fn command(run: &Run<'_>, home: &Path, queue: &Path) -> Command {
    let Run { site, case, .. } = run;
    let id = OWNER.to_string();
    let mut command = Command::new("timeout");
    command.args(["-k", "1", LIMIT, "sh", "-c", UMASK, "sh"]);
    command.args(["setpriv", "--reuid", &id, "--regid", &id, "--groups", &id, "--"]);
    // env sets the environment last of all, so that the shell adds nothing to it.
    command.args(["env", "-i", "PATH=/usr/bin:/bin"]);
    let mut variable = |name: &[u8], value: &[u8]| {
        command.arg(OsStr::from_bytes(&[name, b"=", value].concat()));
    };
    variable(b"QQ_DIR", queue.as_os_str().as_bytes());
    variable(b"QMAILQUEUE", site.path("queue.sh").as_os_str().as_bytes());
    for (name, value) in &case.env {
        variable(name, value);
    }
    command.arg("bin/qmail-local");
    let home = home.as_os_str().as_bytes();
    command.args(case.argv.iter().map(|word| OsStr::from_bytes(&replace(word, b"@HOME@", home)).to_owned()));
    command.current_dir(site.path("q"));
    command
}

/// Exit code, and what was written.
fn start(command: &mut Command, message: File) -> Result<(Option<i64>, Vec<u8>), Failed> {
    let (mut report, writer) = std::io::pipe()?;
    command.stdin(message).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the other end of the pipe.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut output = Vec::new();
    report.read_to_end(&mut output)?;
    let status = child.wait()?;
    match status.code() {
        Some(124) => Err("it does not come to an end".into()),
        // timeout says so of a signal.
        Some(code) if code > 128 => Ok((None, output)),
        code => Ok((code.map(i64::from), output)),
    }
}

/// The lock of somebody else.
fn lock(path: &Path) -> Result<Flock<File>, Failed> {
    let file = File::options().append(true).open(path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

/// The runs of qmail-queue. They must have happened in qmail's home.
fn queued(folder: &Path, qmail: &Path) -> Result<Vec<Queued>, Failed> {
    let mut runs = Vec::new();
    loop {
        let run = folder.join((runs.len() + 1).to_string());
        if !run.is_dir() {
            return Ok(runs);
        }
        let place = fs::read(run.join("cwd"))?;
        if place.strip_suffix(b"\n") != Some(qmail.as_os_str().as_bytes()) {
            return Err(format!("qmail-queue was run in {}", place.escape_ascii()).into());
        }
        runs.push(Queued { message: fs::read(run.join("mess"))?, envelope: fs::read(run.join("env"))? });
    }
}
