//! Processes and folders of the test run. All of them end with it: servers are killed by the kernel when the thread
//! that started them ends, so one thread that lives to the end starts them all.

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Everything that has to be cleared away at the end.
static RUN: Mutex<Run> = Mutex::new(Run { folder: None, running: Vec::new() });

struct Run {
    folder: Option<TempDir>,
    running: Vec<u32>,
}

type Order = (Command, Sender<std::io::Result<Child>>);

static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            drop(reply.send(command.spawn()));
        }
    });
    orders
});

/// A new folder with a short path (a socket's path holds 107 bytes), removed at the end of the run.
///
/// # Errors
/// If it cannot be made.
pub fn folder(name: &str) -> Result<PathBuf, Failed> {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    if run.folder.is_none() {
        let usual = std::env::temp_dir();
        let short = if usual.as_os_str().len() > 60 { PathBuf::from("/tmp") } else { usual };
        run.folder = Some(tempfile::Builder::new().prefix("ql.").tempdir_in(short)?);
    }
    let Some(base) = &run.folder else { return Err("no folder".into()) };
    // Other users have business in some of the folders below.
    std::fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let path = base.path().join(name);
    std::fs::create_dir(&path)?;
    Ok(path)
}

/// Kills what still runs and removes the folders. The last thing a test run does.
pub fn clear_away() {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    for pid in run.running.drain(..) {
        signal(pid, Signal::SIGKILL);
    }
    // A server that is being killed may still write: once more if the first try found a new file.
    if let Some(folder) = run.folder.take() {
        let path = folder.path().to_owned();
        for _ in 0..50 {
            drop(std::fs::remove_dir_all(&path));
            if !path.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A server process.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `program`, quiet, in its own process group so that an interrupt at the terminal reaches the test run
    /// only, and killed by the kernel if the test run dies.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: &Path, arguments: &[String]) -> Result<Self, Failed> {
        Self::launch(program, arguments, &[], Stdio::null())
    }

    /// The same with this uid and gid, no other groups, and its standard error at the end of `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_as(program: &Path, arguments: &[String], ids: (u32, u32), log: &Path) -> Result<Self, Failed> {
        Self::start_with_groups(program, arguments, ids, &[], log)
    }

    /// The same with these other groups.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_with_groups(
        program: &Path,
        arguments: &[String],
        ids: (u32, u32),
        groups: &[u32],
        log: &Path,
    ) -> Result<Self, Failed> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
        let groups = match &groups[..] {
            [] => "--clear-groups".to_owned(),
            some => format!("--groups={}", some.join(",")),
        };
        let ids = [format!("--reuid={}", ids.0), format!("--regid={}", ids.1), groups];
        Self::launch(program, arguments, &ids, log.into())
    }

    fn launch(program: &Path, arguments: &[String], ids: &[String], stderr: Stdio) -> Result<Self, Failed> {
        use std::os::unix::process::CommandExt;
        // util-linux's setpriv sets PR_SET_PDEATHSIG and becomes the program, with the same process id.
        let mut command = match super::find("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(ids).args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None if ids.is_empty() => Command::new(program),
            None => return Err("setpriv is not installed (Debian: util-linux)".into()),
        };
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
        let (reply, answer) = channel();
        STARTER.send((command, reply)).map_err(|_| "the starter thread is gone")?;
        let child = answer.recv().map_err(|_| "the starter thread is gone")??;
        RUN.lock().unwrap_or_else(PoisonError::into_inner).running.push(child.id());
        Ok(Self(child))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Sends it a signal. After SIGSTOP none of its threads runs any more; they stop one by one.
    pub fn signal(&self, what: Signal) {
        signal(self.0.id(), what);
        let until = Instant::now() + Duration::from_secs(5);
        while what == Signal::SIGSTOP && !is_stopped(self.0.id()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.gone();
    }

    /// Asks it to end, waits for 10 s, then kills it.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(10);
        while self.is_running() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::SIGKILL);
        self.gone();
    }

    fn gone(&mut self) {
        drop(self.0.wait());
        let pid = self.0.id();
        RUN.lock().unwrap_or_else(PoisonError::into_inner).running.retain(|known| *known != pid);
    }
}

fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    // After the name, which may hold anything, stands the state.
    let state = |stat: String| stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    let states = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    states.map(state).all(|state| matches!(state, Some('T' | 't' | 'Z' | 'X')))
}

fn signal(pid: u32, what: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), what);
    }
}
