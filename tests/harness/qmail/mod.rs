//! A miniature qmail, or a real one that is given: queue, qmail-send, qmail-lspawn and qmail-smtpd, so that a message that
//! goes in comes out as a file.
//!
//! The miniature (`tests/miniature`) is laid out in a site's qmail home: [`Qmail::ours`] with our programs in place,
//! [`Qmail::stock`] as qmail was before. If `QL_TEST_QMAIL` names the home of an installed qmail, [`Qmail::real`] drives
//! that one; see there.

mod ends;
mod lay_out;
mod real;

pub use ends::{Bounce, Ends, Relayed};
pub use lay_out::QUEUE;

use crate::check::{Outcome, ensure};
use crate::server::process::Process;
use crate::site::{ALIAS_EMPTY, Ran};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use real::Real;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for the end of all deliveries, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A qmail. What runs of it is killed when this is dropped.
pub struct Qmail {
    /// Its home.
    home: PathBuf,
    /// The homes of the mailboxes.
    homes: PathBuf,
    send: Mutex<Option<Process>>,
    real: Option<Real>,
}

impl Qmail {
    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A file below its home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Starts qmail-send.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self) -> Outcome {
        let log = self.home.join("log/stderr");
        let process = match &self.real {
            Some(real) => real.start()?,
            None => Process::start_as(&self.path("bin/qmail-send"), &[ALIAS_EMPTY.to_owned()], (0, 0), &log)?,
        };
        *self.send() = Some(process);
        let started = || self.real.is_some() || self.status().contains(&format!(" {} ", self.pid()));
        self.wait("qmail-send does not start", PATIENCE, started)
    }

    /// Asks qmail-send to end, and waits until what is under way has ended.
    pub fn stop(&self) {
        if let Some(process) = self.send().take() {
            process.stop();
        }
    }

    /// Kills qmail-send in whatever it is doing.
    pub fn kill(&self) {
        if let Some(process) = self.send().take() {
            process.kill();
        }
    }

    fn send(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.send.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pid(&self) -> u32 {
        self.send().as_ref().map(Process::id).unwrap_or_default()
    }

    /// Makes everything that was deferred due now.
    ///
    /// # Errors
    /// If qmail-send does not hear it.
    pub fn retry(&self) -> Outcome {
        self.tell(Signal::SIGALRM)
    }

    /// Has it read virtualdomains and locals again.
    ///
    /// # Errors
    /// If qmail-send does not hear it.
    pub fn reread(&self) -> Outcome {
        self.tell(Signal::SIGHUP)
    }

    fn tell(&self, signal: Signal) -> Outcome {
        let before = self.status();
        if let Some(process) = &*self.send() {
            process.signal(signal);
        }
        if self.real.is_some() {
            Real::pause();
            return Ok(());
        }
        self.wait("qmail-send does not hear", PATIENCE, || self.status() != before)
    }

    /// Puts a message into the queue by qmail-queue, as programs on the machine do.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn inject(&self, sender: &str, recipients: &[&str], message: &str) -> Outcome {
        let each = recipients.iter().flat_map(|recipient| ["T", recipient, "\0"]);
        let envelope: String = ["F", sender, "\0"].into_iter().chain(each).chain(["\0"]).collect();
        let (reader, mut writer) = std::io::pipe()?;
        let mut command = Command::new("bin/qmail-queue");
        command.current_dir(&self.home).env_clear().env("PATH", "/usr/bin:/bin");
        let mut child = command.stdin(Stdio::piped()).stdout(reader).spawn()?;
        drop(command);
        let stdin = child.stdin.take();
        stdin.map_or(Ok(()), |mut stdin| stdin.write_all(message.as_bytes()))?;
        writer.write_all(envelope.as_bytes())?;
        drop(writer);
        let status = child.wait()?;
        ensure(status.success(), format!("qmail-queue: {status}"))
    }

    /// Offers a message to qmail-smtpd; true for each recipient that it accepts.
    ///
    /// # Errors
    /// If an answer is neither yes nor no, or the message is not taken although a recipient was.
    pub fn smtp(&self, sender: &str, recipients: &[&str], message: &str) -> Result<Vec<bool>, Failed> {
        let mut said = format!("HELO test\r\nMAIL FROM:<{sender}>\r\n");
        said.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")));
        let lines =
            message.lines().map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() });
        let text: String = lines.map(|line| line + "\r\n").collect();
        // Who is refused every recipient is refused DATA, and takes the message for commands; nobody looks then.
        said.push_str(&format!("DATA\r\n{text}.\r\nQUIT\r\n"));
        let Ran { out, .. } = crate::site::run(&mut self.smtpd()?, said.as_bytes())?;
        let answers: Vec<_> = out.lines().skip(3).collect();
        let verdict = |line: &&str| match line.get(..3) {
            Some("250") => Ok(true),
            Some("553") => Ok(false),
            _ => Err(Failed::from(format!("qmail-smtpd: {out}"))),
        };
        let verdicts = answers.iter().take(recipients.len()).map(verdict).collect::<Result<Vec<_>, _>>()?;
        ensure(verdicts.len() == recipients.len(), format!("qmail-smtpd: {out}"))?;
        let taken = answers.get(recipients.len()..).unwrap_or_default();
        let is_taken = matches!(taken, [go, ok, ..] if go.starts_with("354") && ok.starts_with("250"));
        ensure(is_taken || verdicts.iter().all(|accepted| !accepted), format!("qmail-smtpd: {out}"))?;
        Ok(verdicts)
    }

    /// Waits until nothing is in todo, and every recipient is done or deferred.
    ///
    /// # Errors
    /// If that takes longer than [`PATIENCE`].
    pub fn settle(&self) -> Outcome {
        self.wait("mail is still under way", PATIENCE, || match &self.real {
            Some(real) => real.is_settled(),
            None => {
                // A message leaves todo only after `idle` was taken back.
                let before = self.status();
                before.starts_with("idle ") && self.is_empty("todo") && self.status() == before
            }
        })
    }

    /// True if no file is in this folder of the queue.
    fn is_empty(&self, folder: &str) -> bool {
        let entries = std::fs::read_dir(self.path("queue").join(folder));
        entries.is_ok_and(|mut entries| entries.next().is_none())
    }

    fn status(&self) -> String {
        std::fs::read_to_string(self.path("log/status")).unwrap_or_default()
    }

    fn wait(&self, what: &str, time: Duration, is_so: impl Fn() -> bool) -> Outcome {
        let until = Instant::now() + time;
        while !is_so() {
            if Instant::now() > until {
                let log = |name: &str| std::fs::read_to_string(self.path("log").join(name)).unwrap_or_default();
                return Err(format!("{what}: {} {} {}", self.status(), log("stderr"), log("send")).into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Qmail {
    fn drop(&mut self) {
        if self.real.is_some() { self.stop() } else { self.kill() }
    }
}
