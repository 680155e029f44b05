//! The second half of the stand-in for qmail-lspawn: runs bin/qmail-local as qmail does, and reads its report. What is
//! forwarded goes to a stand-in for qmail-queue, which keeps it.

use super::{ALIAS, Answer, Site};
use libtest_mimic::Failed;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// qmail-start's first argument.
pub const ALIAS_EMPTY: &str = "./Mailbox";

/// One local delivery, as qmail-lspawn knows it.
#[derive(Clone, Debug)]
pub struct Local {
    /// Options before `--`, `-n` for instance.
    pub options: Vec<String>,
    /// Uid and gid.
    pub ids: (u32, u32),
    /// `user home local dash ext domain sender aliasempty`.
    pub words: [Vec<u8>; 8],
    /// The message.
    pub message: Vec<u8>,
    /// Environment besides PATH.
    pub env: Vec<(String, String)>,
    /// A command of the shell that runs before it: `ulimit -f 1`.
    pub before: String,
    /// A program with options that runs it: `strace -o FILE`.
    pub wrapper: String,
}

/// What qmail-send is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output and standard error, as they came.
    pub text: String,
}

impl Report {
    /// What the command of a [`Local`] ended with, and has said.
    #[must_use]
    pub fn of(status: ExitStatus, text: &[u8]) -> Self {
        // timeout passes a signal on as 128 and its number; a code above 128 is nothing that qmail-local gives.
        let (code, signal) = match (status.code(), status.signal()) {
            (Some(code), _) if code > 128 => (None, Some(code - 128)),
            other => other,
        };
        Self { code, signal, text: String::from_utf8_lossy(text).into_owned() }
    }

    /// `K`, `Z` or `D`, as qmail-lspawn makes it of the exit code.
    ///
    /// # Errors
    /// For an exit code that qmail-local must never give, whatever qmail-lspawn makes of it.
    pub fn letter(&self) -> Result<char, Failed> {
        match (self.code, self.signal) {
            (Some(0), _) => Ok('K'),
            (Some(100), _) => Ok('D'),
            (Some(111), _) | (None, Some(_)) => Ok('Z'),
            other => Err(format!("qmail-local has ended with {other:?}: {}", self.text).into()),
        }
    }
}

/// A message that was forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Envelope sender.
    pub sender: String,
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// The message.
    pub message: String,
}

impl Local {
    /// A delivery of a short message for `words`, which are `user home local dash ext domain sender`.
    #[must_use]
    pub fn new(ids: (u32, u32), words: [&str; 7]) -> Self {
        let [user, home, local, dash, ext, domain, sender] = words.map(|word| word.as_bytes().to_vec());
        Self {
            options: Vec::new(),
            ids,
            words: [user, home, local, dash, ext, domain, sender, ALIAS_EMPTY.into()],
            message: b"Subject: test\n\nhello\n".to_vec(),
            env: Vec::new(),
            before: ":".to_owned(),
            wrapper: String::new(),
        }
    }

    /// The command, without descriptors. It is ended after three minutes.
    #[must_use]
    pub fn command(&self, site: &Site) -> Command {
        let mut command = Command::new("timeout");
        let (uid, gid) = (self.ids.0.to_string(), self.ids.1.to_string());
        command.args(["-k", "1", "180", "setpriv", "--reuid", &uid, "--regid", &gid, "--groups", &gid, "--"]);
        let Self { before, wrapper, .. } = self;
        let run = format!("cd \"$0\" && {before} && exec {wrapper} bin/qmail-local \"$@\"");
        command.args(["/bin/bash", "-c", &run]).arg(site.path("q"));
        command.args(&self.options).arg("--").args(self.words.iter().map(|word| OsStr::from_bytes(word)));
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn run(&self, site: &Site) -> Result<Report, Failed> {
        self.run_on(site, self.message_file()?.into())
    }

    /// The message as a file, for reading only and at its beginning.
    ///
    /// # Errors
    /// If there cannot be one.
    pub fn message_file(&self) -> Result<File, Failed> {
        let mut message = tempfile::tempfile()?;
        message.write_all(&self.message)?;
        Ok(File::open(format!("/proc/self/fd/{}", message.as_raw_fd()))?)
    }

    /// Runs it with `message` as descriptor 0.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn run_on(&self, site: &Site, message: Stdio) -> Result<Report, Failed> {
        let (mut report, writer) = std::io::pipe()?;
        let mut command = self.command(site);
        command.stdin(message).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        drop(command);
        let mut text = Vec::new();
        report.read_to_end(&mut text)?;
        Ok(Report::of(child.wait()?, &text))
    }
}

impl Site {
    /// Delivers a message as qmail-lspawn does: qmail-getpw, then qmail-local. `local` is the local part as it stands in
    /// the queue, encoded for a virtual host.
    ///
    /// # Errors
    /// If one of the two cannot be run, or breaks a rule.
    pub fn deliver(&self, local: &str, domain: &str, sender: &str, message: &[u8]) -> Result<Report, Failed> {
        match self.routed(local, domain, sender)? {
            Some(delivery) => Local { message: message.to_vec(), ..delivery }.run(self),
            None => Ok(Report { code: Some(111), signal: None, text: "qmail-getpw defers".to_owned() }),
        }
    }

    /// What qmail-getpw makes of a recipient; `None` if it defers.
    ///
    /// # Errors
    /// If it cannot be run, or breaks a rule.
    pub fn routed(&self, local: &str, domain: &str, sender: &str) -> Result<Option<Local>, Failed> {
        let answer = self.lspawn(local)?;
        if answer == Answer::Deferred {
            return Ok(None);
        }
        let [user, uid, gid, mut home, dash, ext] = answer.fields()?;
        if user == ALIAS {
            // The system user who stands for the alias user has no home of qmail's making.
            home = self.path("homes/alias").display().to_string();
        }
        Ok(Some(Local::new((uid.parse()?, gid.parse()?), [&user, &home, local, &dash, &ext, domain, sender])))
    }

    /// Takes away what was forwarded so far, in no particular order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn queued(&self) -> Result<Vec<Queued>, Failed> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.path("queue"))? {
            let folder = entry?.path();
            let text = |name: &str| std::fs::read(folder.join(name)).map(|b| String::from_utf8_lossy(&b).into_owned());
            let (message, envelope) = (text("mess")?, text("env")?);
            let envelope = envelope.strip_suffix("\0\0").ok_or("an envelope without its end")?.to_owned();
            let mut parts = envelope.split('\0');
            let sender = parts.next().and_then(|part| part.strip_prefix('F')).ok_or("no sender")?.to_owned();
            let recipients = parts.map(|part| part.strip_prefix('T').map(str::to_owned).ok_or("no recipient"));
            all.push(Queued { sender, recipients: recipients.collect::<Result<_, _>>()?, message });
            std::fs::remove_dir_all(folder)?;
        }
        Ok(all)
    }

    pub(super) fn lay_out_queue(&self) -> Result<(), Failed> {
        let queue = self.path("queue");
        std::fs::create_dir(&queue)?;
        std::fs::set_permissions(&queue, std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
        let queue = queue.display();
        self.script(
            "q/bin/qmail-queue",
            &format!("n=$(mktemp -d {queue}/XXXXXX) || exit 53\ncat >$n/mess || exit 53\ncat <&1 >$n/env || exit 53"),
        )
    }
}
