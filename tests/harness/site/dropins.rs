//! The drop-ins besides qmail-getpw, run as their callers run them.

use super::{QMAILD, Site};
use libtest_mimic::Failed;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a run of checkpassword gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It became the user's program, which printed this: `uid gid USER HOME`.
    In(String),
    /// It ended with this status.
    Exit(i32),
}

/// The statuses of qmail-rcptcheck by what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RcptCheck {
    /// 0.
    Possible,
    /// 100.
    Unknown,
    /// 111.
    Temporary,
    /// Anything else: always a failure of the test.
    Other(Option<i32>),
}

impl Site {
    /// Runs checkpassword as root, as qmail-popup does.
    ///
    /// # Errors
    /// If it cannot be run, or is killed.
    pub fn checkpassword(&self, login: &str, password: &str) -> Result<Said, Failed> {
        self.checkpassword_after(":", login, password)
    }

    /// The same after `preparation`, a command of the shell.
    ///
    /// # Errors
    /// As [`Site::checkpassword`].
    pub fn checkpassword_after(&self, preparation: &str, login: &str, password: &str) -> Result<Said, Failed> {
        let program = "echo in $(id -u) $(id -g) $USER $HOME";
        let run = "exec \"$0\" /bin/sh -c \"$1\"";
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &format!("exec 3<&0 </dev/null; {preparation} && {run}")]);
        command.arg(self.path("q/bin/checkpassword")).arg(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("QMAILHOME", self.path("q"))
            .env("TCPREMOTEIP", "192.0.2.7");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // If it ends without reading, its status says so.
            let _ = stdin.write_all(format!("{login}\0{password}\0Y123456\0").as_bytes());
        }
        let output = child.wait_with_output()?;
        let out = String::from_utf8_lossy(&output.stdout);
        match (output.status.code(), out.trim().strip_prefix("in ")) {
            (Some(0), Some(who)) => Ok(Said::In(who.to_owned())),
            (Some(code), None) => Ok(Said::Exit(code)),
            other => Err(format!("checkpassword: {other:?}").into()),
        }
    }

    /// Runs qmail-rcptcheck as a patched qmail-smtpd does.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn rcptcheck(&self, recipient: &str) -> Result<RcptCheck, Failed> {
        self.rcptcheck_after(":", recipient)
    }

    /// The same after `preparation`, a command of the shell.
    ///
    /// # Errors
    /// As [`Site::rcptcheck`].
    pub fn rcptcheck_after(&self, preparation: &str, recipient: &str) -> Result<RcptCheck, Failed> {
        let user = nix::unistd::User::from_name(QMAILD)?.ok_or("no stand-in for qmaild")?;
        let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid), "--clear-groups".to_owned()];
        let mut command = Command::new("setpriv");
        command.args(ids).args(["--", "/bin/bash", "-c", &format!("{preparation} && exec \"$0\"")]);
        command.arg(self.path("q/bin/qmail-rcptcheck")).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("QMAILHOME", self.path("q")).env("SENDER", "sender@example.org").env("RECIPIENT", recipient);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        Ok(match status.code() {
            Some(0) => RcptCheck::Possible,
            Some(100) => RcptCheck::Unknown,
            Some(111) => RcptCheck::Temporary,
            other => RcptCheck::Other(other),
        })
    }
}
