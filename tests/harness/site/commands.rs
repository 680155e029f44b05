//! Programs that a trial runs to their end.

use crate::site::Site;
use libtest_mimic::Failed;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// What a run of a program gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; `None` after a signal. 124 is the harness's: the program was still running after a minute.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Whether this system lets root mount something, in a name space of its own.
#[must_use]
pub fn may_mount() -> bool {
    static MAY: LazyLock<bool> = LazyLock::new(|| {
        let mut command = Command::new("unshare");
        command.args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    *MAY
}

/// `program` as this uid and gid, without further groups, with an empty environment but for PATH. It is ended after a
/// minute, because not every client has a limit of its own.
pub fn command(program: impl AsRef<OsStr>, ids: (u32, u32)) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "60", "setpriv"]);
    command.args([format!("--reuid={}", ids.0), format!("--regid={}", ids.1), "--clear-groups".to_owned()]);
    command.arg("--").arg(program);
    command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
}

/// Runs it with `input` on standard input.
///
/// # Errors
/// If it cannot be run.
pub fn run(command: &mut Command, input: &[u8]) -> Result<Ran, Failed> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let input = input.to_vec();
    // A program that writes before it has read everything must not wait for us.
    let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let done = child.wait_with_output()?;
    drop(writer.join());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
}

impl Site {
    /// Takes the store away, or brings it back: the SQLite file is moved, a server is frozen.
    ///
    /// # Errors
    /// If the file cannot be moved.
    pub fn store(&self, there: bool) -> Result<(), Failed> {
        let (file, away) = (self.path("db"), self.path("db.away"));
        match (&self.mariadb, &self.slapd, there) {
            (Some(server), _, true) => server.thaw(),
            (Some(server), _, false) => server.freeze(),
            (_, Some(server), true) => server.thaw(),
            (_, Some(server), false) => server.freeze(),
            (None, None, true) => std::fs::rename(away, file)?,
            (None, None, false) => std::fs::rename(file, away)?,
        }
        Ok(())
    }
}
