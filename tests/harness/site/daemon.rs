//! The real daemon of a site, and questions to it.

use super::{DAEMON, Site, program};
use crate::server::process::Process;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::{ANSWER_MAX, netstring, socketmap};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest start on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// A running daemon; it is killed when this is dropped.
pub struct Daemon {
    process: Option<Process>,
    run: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts it as [`DAEMON`] and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(site: &Site) -> Result<Self, Failed> {
        let daemon = Self::launch(site)?;
        let until = Instant::now() + START_MAX;
        while daemon.lookup("rcpthosts", b"started.test").is_err() {
            if Instant::now() > until {
                return Err(format!("qmail-lookupd does not start: {}", daemon.log()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(site: &Site) -> Result<Self, Failed> {
        let log = site.path("daemon.log");
        let arguments = ["--config".to_owned(), site.config().display().to_string()];
        let program = program("qmail-lookupd")?;
        let process = Process::start_with_groups(&program, &arguments, (DAEMON, DAEMON), &site.groups, &log)?;
        Ok(Self { process: Some(process), run: site.path("run"), log })
    }

    /// What it has logged so far. It writes its log while it goes on with other things, so this waits until nothing
    /// more comes for a moment.
    #[must_use]
    pub fn log(&self) -> String {
        let read = || std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut found = read();
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(50));
            let before = std::mem::replace(&mut found, read());
            if before.len() == found.len() {
                break;
            }
        }
        found
    }

    /// Path of its log.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map(Process::id).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, what: Signal) {
        if let Some(process) = &self.process {
            process.signal(what);
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end and waits until it has.
    pub fn stop(mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// One question on the lookup socket, asked as the test's own uid; the answer's content, such as `OK data`.
    ///
    /// # Errors
    /// If no whole answer comes.
    pub fn lookup(&self, name: &str, key: &[u8]) -> Result<Vec<u8>, Failed> {
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, name, key);
        let mut stream = connect(&self.run.join("lookup.sock"))?;
        stream.write_all(&frame)?;
        read_frame(&mut stream)
    }

    /// One question on the auth socket, asked as root.
    ///
    /// # Errors
    /// If no whole answer comes.
    pub fn auth(&self, question: Question<'_>) -> Result<Reply, Failed> {
        let mut frame = Vec::new();
        question.write(&mut frame);
        let mut stream = connect(&self.run.join("auth.sock"))?;
        stream.write_all(&frame)?;
        Reply::read(&read_frame(&mut stream)?).map_err(|error| error.0.into())
    }

    /// A login.
    ///
    /// # Errors
    /// If no whole answer comes.
    pub fn login(&self, login: &str, password: &str) -> Result<Reply, Failed> {
        let (login, password) = (login.as_bytes(), password.as_bytes());
        self.auth(Question::Login { login, password, service: b"test", remote: b"192.0.2.1" })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }
}

/// A connection that does not wait for ever.
///
/// # Errors
/// If there is none to be had.
pub fn connect(socket: &Path) -> Result<UnixStream, Failed> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// One frame's content.
///
/// # Errors
/// If the stream ends before, or it is none.
pub fn read_frame(stream: &mut UnixStream) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let mut more = [0; 4096];
    loop {
        if let Some((content, _)) = netstring::read(&bytes, ANSWER_MAX).map_err(|error| error.0)? {
            return Ok(content.to_vec());
        }
        match stream.read(&mut more) {
            // A read with a time limit does not go on by itself after the process was stopped for a moment.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
            Ok(0) => return Err(format!("the answer ends after {} bytes", bytes.len()).into()),
            Ok(n) => bytes.extend_from_slice(more.get(..n).unwrap_or_default()),
        }
    }
}
