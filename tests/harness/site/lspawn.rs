//! A stand-in for qmail-lspawn: runs bin/qmail-getpw exactly as qmail does, and reads the six fields.

use super::{QMAILP, Site};
use crate::check::{Outcome, ensure, equal};
use libtest_mimic::Failed;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What qmail-send might have written to qmail-lspawn meanwhile; no byte of it is for qmail-getpw.
const COMMANDS: &[u8] = b"\x000/1\0sender@example.org\0iain@mail.test\0";

/// How a run of qmail-getpw ended, as qmail-lspawn sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `user uid gid home dash ext`.
    Fields([Vec<u8>; 6]),
    /// Exit 118 or another code that qmail-lspawn defers on.
    Deferred,
    /// Something that would bounce or misdeliver: always a failure of the test.
    Harmful(String),
}

impl Answer {
    /// The fields.
    ///
    /// # Errors
    /// If there are none.
    pub fn fields(self) -> Result<[String; 6], Failed> {
        match self {
            Self::Fields(fields) => Ok(fields.map(|field| String::from_utf8_lossy(&field).into_owned())),
            other => Err(format!("six fields expected: {other:?}").into()),
        }
    }

    /// Fails unless the mail is deferred.
    ///
    /// # Errors
    /// Unless it is.
    pub fn deferred(self) -> Outcome {
        equal("qmail-getpw", self, Self::Deferred)
    }
}

impl Site {
    /// Runs bin/qmail-getpw for `local`.
    ///
    /// # Errors
    /// If it cannot be run, or breaks one of qmail-lspawn's rules for descriptors.
    pub fn lspawn(&self, local: impl AsRef<[u8]>) -> Result<Answer, Failed> {
        self.lspawn_timed(local).map(|(answer, _)| answer)
    }

    /// The same, and how long it took.
    ///
    /// # Errors
    /// As [`Site::lspawn`].
    pub fn lspawn_timed(&self, local: impl AsRef<[u8]>) -> Result<(Answer, Duration), Failed> {
        self.lspawn_after(":", local)
    }

    /// The same after `preparation`, a command of the shell: `exec 1>&-`, `ulimit -v 3906`.
    ///
    /// # Errors
    /// As [`Site::lspawn`].
    pub fn lspawn_after(&self, preparation: &str, local: impl AsRef<[u8]>) -> Result<(Answer, Duration), Failed> {
        let user = nix::unistd::User::from_name(QMAILP)?.ok_or("no stand-in for qmailp")?;
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        // fd 2 is the message, open for reading only; fd 4 is the pipe of delivery reports.
        let run = "cd \"$0\" && exec 2<message 4>&3 3>&-";
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &gid, "--groups", &gid, "--"]);
        command
            .args([
                "/bin/bash",
                "-c",
                &format!("exec 3>/dev/null; {run}; {preparation} && exec bin/qmail-getpw \"$1\""),
            ])
            .arg(self.path("q"));
        command.arg(OsStr::from_bytes(local.as_ref())).env_clear().env("PATH", "/usr/bin:/bin");
        let (mut commands, mut ours) = std::io::pipe()?;
        ours.write_all(COMMANDS)?;
        command.stdin(commands.try_clone()?).stdout(Stdio::piped()).stderr(Stdio::null());
        let begun = Instant::now();
        let output = command.output()?;
        let took = begun.elapsed();
        drop((ours, command));
        let mut left = Vec::new();
        commands.read_to_end(&mut left)?;
        ensure(left == COMMANDS, "qmail-getpw has read qmail-send's commands")?;
        Ok((judge(output.status.code(), output.status.signal(), &output.stdout), took))
    }
}

/// qmail-lspawn's rules: what an exit code means, and what six fields are.
fn judge(code: Option<i32>, signal: Option<i32>, out: &[u8]) -> Answer {
    match code {
        Some(0) => {}
        Some(118) => return Answer::Deferred,
        None => return Answer::Harmful(format!("killed by signal {signal:?}: deferred, but not by our own decision")),
        Some(other) => return Answer::Harmful(format!("exit {other}")),
    }
    let fields: Vec<Vec<u8>> = out.split(|&b| b == 0).map(<[u8]>::to_vec).collect();
    match <[Vec<u8>; 7]>::try_from(fields) {
        Ok([user, uid, gid, home, dash, ext, rest]) if rest.is_empty() => {
            let number = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u32>().ok());
            if number(&uid).is_none_or(|id| id == 0) || number(&gid).is_none_or(|id| id == 0) {
                return Answer::Harmful(format!("uid or gid of root: {out:?}"));
            }
            Answer::Fields([user, uid, gid, home, dash, ext])
        }
        _ => Answer::Harmful(format!("not six fields: {:?}", String::from_utf8_lossy(out))),
    }
}
