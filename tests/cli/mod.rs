//! The command-line tool as its users run it: the real program, real files, real servers, exit codes and bytes.

mod docs;
mod down;
mod ldap;
mod ldap_schema;
mod mariadb;
mod sqlite;
mod usage;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// All trials `cli::AREA::SENTENCE`.
pub(crate) fn trials() -> Vec<Trial> {
    let all = [docs::trials(), usage::trials(), sqlite::trials(), down::trials(), mariadb::trials()];
    let all = all.into_iter().chain([ldap::trials(), ldap_schema::trials()]);
    all.into_iter().flatten().collect()
}

fn trial(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::test(format!("cli::{name}"), run)
}

/// The program, built beside this test.
pub(crate) fn program() -> Result<PathBuf, Failed> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(|deps| deps.parent()).ok_or("no target folder")?;
    let path = folder.join("qmail-lookup");
    ensure(path.exists(), format!("{} is not built: cargo build --workspace --bins", path.display()))?;
    Ok(path)
}

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program with an environment of its own, and this on standard input.
pub(crate) fn run_with<A: AsRef<OsStr>>(args: &[A], input: &str, env: &[(&str, &str)]) -> Result<Run, Failed> {
    let mut command = Command::new(program()?);
    command.args(args).env_clear().env("PATH", "/usr/bin:/bin").envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let done = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Run { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
}

/// Runs the program.
pub(crate) fn run<A: AsRef<OsStr>>(args: &[A]) -> Result<Run, Failed> {
    run_with(args, "", &[])
}

impl Run {
    /// Fails unless the exit status is `code`.
    pub(crate) fn exits(self, code: i32) -> Result<Self, Failed> {
        if self.code == Some(code) { Ok(self) } else { Err(format!("exit {code} expected: {self:#?}").into()) }
    }

    /// Fails unless standard output holds `text`.
    pub(crate) fn says(self, text: &str) -> Result<Self, Failed> {
        if self.out.contains(text) { Ok(self) } else { Err(format!("{text:?} expected on stdout: {self:#?}").into()) }
    }

    /// Fails unless standard error is one line that holds all of `words`.
    pub(crate) fn complains(self, words: &[&str]) -> Result<Self, Failed> {
        let one_line = self.err.lines().count() == 1 && self.err.ends_with('\n');
        if one_line && words.iter().all(|word| self.err.contains(word)) {
            return Ok(self);
        }
        Err(format!("one line with {words:?} expected on stderr: {self:#?}").into())
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Result<Value, Failed> {
        serde_json::from_str(&self.out).map_err(|error| format!("{error}: {self:#?}").into())
    }
}
