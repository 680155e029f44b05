//! qmail-send, as a process: told to read its control files again, or to try everything now.

use super::files;
use crate::output::Failure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qmail_lookup_config::QmailSend;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result as IoResult, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How long a program that tells qmail-send may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between the two signals. qmail-send can be about to wait for the next event when the first comes, and route one
/// message by what it has read before; the second ends that wait.
const BETWEEN: Duration = Duration::from_secs(1);

/// What ends every failure: nothing that depends on qmail-send is done until then.
const WHILE_STOPPED: &str = "while qmail is stopped on purpose, use --no-hup";

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// SIGHUP: read locals and virtualdomains again.
    Reread,
    /// SIGALRM: all that is deferred is due now.
    RetryNow,
}

impl Word {
    fn signal(self) -> Signal {
        match self {
            Self::Reread => Signal::SIGHUP,
            Self::RetryNow => Signal::SIGALRM,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reread => "HUP",
            Self::RetryNow => "ALRM",
        }
    }
}

/// Tells the qmail-send of the qmail at `qmail`. With [`QmailSend::Auto`] it is the process of that name whose working
/// directory is `qmail`/queue; there must be exactly one. A process that does not catch the signal yet, or any more, is
/// not sent it: it would end by it.
///
/// # Errors
/// If nobody was told: then what depends on it must not be done.
pub(crate) fn tell(how: &QmailSend, qmail: &Path, word: Word) -> Result<(), Failure> {
    match how {
        QmailSend::Auto => {
            let pid = find(qmail)?.ok_or_else(|| {
                let queue = qmail.join("queue");
                not_told(format!(
                    "no qmail-send works in {}; if it runs elsewhere, set sync.qmail_send",
                    queue.display()
                ))
            })?;
            signal(pid, qmail, word)
        }
        QmailSend::Service(service) => tell_service(service, qmail, word),
        QmailSend::PidFile(file) => {
            let text = files::read(file).map_err(not_told)?;
            let text = text.ok_or_else(|| not_told(format!("{} is not there", file.display())))?;
            let pid = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
            let pid = pid.ok_or_else(|| not_told(format!("{} holds no process id", file.display())))?;
            signal(pid, qmail, word)
        }
        QmailSend::Command(command) => {
            let run = Command::new("sh").arg("-c").arg(format!("{command} \"$@\"")).args(["sh", word.name()]).told();
            match run.map_err(|error| not_told(format!("sync.qmail_send: cannot run `{command}`: {error}")))? {
                (status, _) if status.success() => Ok(()),
                (status, said) => {
                    Err(not_told(format!("sync.qmail_send: `{command} {}`: {status}{said}", word.name())))
                }
            }
        }
    }
}

/// Tells it twice to read its control files again.
///
/// # Errors
/// As [`tell`].
pub(crate) async fn reread(how: &QmailSend, qmail: &Path) -> Result<(), Failure> {
    tell(how, qmail, Word::Reread)?;
    tokio::time::sleep(BETWEEN).await;
    tell(how, qmail, Word::Reread)?;
    // For doctor only: without it what is known is less, and not wrong.
    let told = File::options().create(true).write(true).truncate(false).open(told(qmail));
    let _ = told.and_then(|file| file.set_modified(SystemTime::now()));
    Ok(())
}

/// The file that was last changed when qmail-send was last told: a signal leaves no trace of its own.
pub(crate) fn told(qmail: &Path) -> PathBuf {
    files::memory(qmail).join("told")
}

/// The process id of the qmail-send that works in `qmail`/queue; `None` if there is none.
///
/// # Errors
/// If that cannot be found out.
pub(crate) fn find(qmail: &Path) -> Result<Option<u32>, Failure> {
    let queue = qmail.join("queue");
    let found = processes_in(&queue)
        .map_err(|error| not_told(format!("cannot look for the qmail-send of {}: {error}", queue.display())))?;
    // A child that has not become qmail-queue yet, to mail a bounce, still looks like its parent.
    let is_child = |process: &Process| found.iter().any(|other| other.pid == process.parent);
    let mut firsts = found.iter().filter(|process| !is_child(process));
    match (firsts.next(), firsts.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => Ok(Some(only.pid)),
        (Some(one), Some(other)) => Err(not_told(format!(
            "more than one qmail-send works in {} (processes {} and {}): set sync.qmail_send",
            queue.display(),
            one.pid,
            other.pid
        ))),
    }
}

/// The same, or one that is starting: it reads its control files, and then goes to its queue.
///
/// # Errors
/// As [`find`].
pub(crate) fn running(qmail: &Path) -> Result<Option<u32>, Failure> {
    let starting = processes_in(qmail).map_err(|error| not_told(format!("cannot look for qmail-send: {error}")))?;
    // It may go on between the two looks, never back.
    match starting.first() {
        Some(process) => Ok(Some(process.pid)),
        None if qmail.join("queue").is_dir() => find(qmail),
        None => Ok(None),
    }
}

/// What /proc tells about a process.
struct Process {
    pid: u32,
    parent: u32,
    name: String,
    /// Bit N-1 is set if it catches signal N.
    caught: u64,
}

impl Process {
    /// `None` if there is none with this id, or it has ended already.
    fn look(pid: u32) -> IoResult<Option<Self>> {
        let status = match fs::read(format!("/proc/{pid}/status")) {
            Ok(status) => String::from_utf8_lossy(&status).into_owned(),
            // ESRCH, which has no kind: it ended between opening and reading.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) => return Ok(None),
            Err(error) => return Err(error),
        };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let unreadable = |_| Error::new(ErrorKind::InvalidData, format!("cannot make sense of /proc/{pid}/status"));
        if field("State:").starts_with(['Z', 'X']) {
            return Ok(None);
        }
        Ok(Some(Self {
            pid,
            parent: field("PPid:").parse().map_err(unreadable)?,
            name: field("Name:").to_owned(),
            caught: u64::from_str_radix(field("SigCgt:"), 16).map_err(unreadable)?,
        }))
    }

    fn catches(&self, signal: Signal) -> bool {
        let bit = u32::try_from(signal as i32 - 1).unwrap_or(u32::MAX);
        self.caught.checked_shr(bit).is_some_and(|caught| caught & 1 == 1)
    }
}

/// Every process named qmail-send whose working directory is `queue`.
fn processes_in(queue: &Path) -> IoResult<Vec<Process>> {
    let identity = |is: fs::Metadata| (is.dev(), is.ino());
    let wanted = identity(fs::metadata(queue)?);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(process) = Process::look(pid)?.filter(|process| process.name == "qmail-send") else { continue };
        match fs::metadata(format!("/proc/{pid}/cwd")).map(identity) {
            Ok(folder) if folder == wanted => found.push(process),
            Ok(_) => (),
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => return Err(Error::new(error.kind(), format!("process {pid}: {error}; run it as root"))),
        }
    }
    Ok(found)
}

/// Signals a process, which must be a qmail-send that is ready for it.
fn signal(pid: u32, qmail: &Path, word: Word) -> Result<(), Failure> {
    ready(pid, qmail, word)?;
    let number = i32::try_from(pid).map_err(|_| not_told(format!("{pid} is no process id")))?;
    kill(Pid::from_raw(number), word.signal())
        .map_err(|error| not_told(format!("cannot send qmail-send (process {pid}) {}: {error}", word.name())))
}

fn ready(pid: u32, qmail: &Path, word: Word) -> Result<(), Failure> {
    let process = Process::look(pid).map_err(|error| not_told(format!("cannot examine process {pid}: {error}")))?;
    let process = process.ok_or_else(|| not_told(format!("there is no process {pid}: qmail-send does not run")))?;
    match process {
        Process { name, .. } if name != "qmail-send" => {
            Err(not_told(format!("process {pid} is no qmail-send but {name}: it is not sent a signal")))
        }
        _ if works_elsewhere(pid, qmail) => Err(not_told(format!(
            "process {pid} is a qmail-send, but does not work in {}: it is not sent a signal",
            qmail.join("queue").display()
        ))),
        process if !process.catches(word.signal()) => {
            Err(not_told(format!("qmail-send (process {pid}) does not listen to {} yet: try again", word.name())))
        }
        _ => Ok(()),
    }
}

/// As far as that can be seen.
fn works_elsewhere(pid: u32, qmail: &Path) -> bool {
    let identity = |path: PathBuf| fs::metadata(path).map(|is| (is.dev(), is.ino())).ok();
    let is = identity(PathBuf::from(format!("/proc/{pid}/cwd")));
    is.zip(identity(qmail.join("queue"))).is_some_and(|(is, queue)| is != queue)
}

/// By daemontools. svc's own status says nothing: it is 0 when no supervise runs, and when the service is down.
fn tell_service(service: &Path, qmail: &Path, word: Word) -> Result<(), Failure> {
    let shown = service.display();
    let run = |program: &str, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).arg(service).told();
        run.map_err(|error| not_told(format!("cannot run {program}: {error}")))
    };
    if !run("svok", &[])?.0.success() {
        return Err(not_told(format!("no supervise runs in {shown} (sync.qmail_send)")));
    }
    let (_, said) = run("svstat", &[])?;
    let pid =
        said.split_once(": up (pid ").and_then(|(_, rest)| rest.split_once(')')).and_then(|(pid, _)| pid.parse().ok());
    let pid = pid.ok_or_else(|| not_told(format!("the service {shown} is not up{said}")))?;
    ready(pid, qmail, word)?;
    let option = match word {
        Word::Reread => "-h",
        Word::RetryNow => "-a",
    };
    match run("svc", &[option])? {
        // A warning on a way that worked a moment ago: supervise has just ended.
        (status, said) if status.success() && said.is_empty() => Ok(()),
        (status, said) => Err(not_told(format!("svc {option} {shown}: {status}{said}"))),
    }
}

trait Told {
    /// How it ended, and `: ` and what it said, if it said something. One that takes too long is killed.
    fn told(&mut self) -> IoResult<(ExitStatus, String)>;
}

impl Told for Command {
    fn told(&mut self) -> IoResult<(ExitStatus, String)> {
        // A file and no pipe: a grandchild that stays must not hold us.
        let mut said = tempfile::tempfile()?;
        let into = |said: &File| said.try_clone().map(Stdio::from);
        let mut child = self.stdin(Stdio::null()).stdout(into(&said)?).stderr(into(&said)?).spawn()?;
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                None => {
                    child.kill()?;
                    child.wait()?;
                    return Err(Error::new(ErrorKind::TimedOut, format!("no end after {} s", PATIENCE.as_secs())));
                }
            }
        };
        let mut text = Vec::new();
        said.rewind()?;
        said.take(1000).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok((status, if text.is_empty() { text } else { format!(": {text}") }))
    }
}

fn not_told(why: impl std::fmt::Display) -> Failure {
    Failure::temporary(format!("qmail-send was not told: {why} ({WHILE_STOPPED})"))
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
