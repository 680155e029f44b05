//! A site on each kind of store, and the tool on it.

use crate::cli::{Run, program, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::Outcome;
use qmail_lookup_tests::server::{mariadb, slapd};
use qmail_lookup_tests::site::{Site, trial};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A password that must not be seen anywhere.
pub(super) const PASSWORD: &str = "correct-horse-7";

/// A site, with its tool.
pub(super) struct Ground {
    pub(super) site: Site,
}

impl Ground {
    pub(super) fn args<'a>(&self, config: &'a str, args: &[&'a str]) -> Vec<&'a str> {
        [&["--config", config], args].concat()
    }

    pub(super) fn config(&self) -> String {
        self.site.config().display().to_string()
    }

    /// Runs the tool; neither of its outputs may show a password.
    pub(super) fn run_with(&self, args: &[&str], input: &str) -> Result<Run, Failed> {
        let config = self.config();
        let done = run_with(&self.args(&config, args), input, &[])?;
        for secret in [PASSWORD, "open sesame"] {
            if done.out.contains(secret) || done.err.contains(secret) {
                return Err(format!("a password is shown by {args:?}: {done:#?}").into());
            }
        }
        Ok(done)
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<Run, Failed> {
        self.run_with(args, "")
    }

    /// Lines of standard output.
    pub(super) fn lines(&self, args: &[&str]) -> Result<Vec<String>, Failed> {
        Ok(self.run(args)?.exits(0)?.out.lines().map(str::to_owned).collect())
    }

    /// Refused with findings of this rule, and then with --force made.
    pub(super) fn only_by_force(&self, args: &[&str], rule: &str) -> Outcome {
        let refused = self.run(args)?.exits(1)?.complains(&["refused", "--force"])?;
        refused.says(rule)?;
        let value = self.run(&[args, &["--json"]].concat())?.exits(1)?.json()?;
        let rules: Vec<&Value> =
            value["findings"].as_array().into_iter().flatten().map(|finding| &finding["rule"]).collect();
        if value["result"] != "refused" || !rules.iter().any(|found| *found == rule) {
            return Err(format!("{rule} expected: {value}").into());
        }
        self.run(&[args, &["--force"]].concat())?.exits(0).map(drop)
    }

    /// Path of a home that is there.
    pub(super) fn home(&self, name: &str) -> String {
        self.site.path("homes").join(name).display().to_string()
    }

    /// The tool at a terminal of its own.
    pub(super) fn at_a_terminal(&self, args: &[&str]) -> Result<Terminal, Failed> {
        self.shell_at_a_terminal("", args, "")
    }

    /// As [`Ground::at_a_terminal`], with commands of a shell before and after it.
    pub(super) fn shell_at_a_terminal(&self, before: &str, args: &[&str], after: &str) -> Result<Terminal, Failed> {
        let config = self.config();
        let words = [&[program()?.display().to_string()][..], &self.args(&config, args).map_owned()].concat();
        let tool = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let line = format!("{before}{tool}{after}");
        let mut command = Command::new("timeout");
        command.args(["30", "script", "-qec", &line, "/dev/null"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "dumb").env("SHELL", "/bin/sh");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        Ok(Terminal { child, shown: String::new() })
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for Vec<&str> {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&word| word.to_owned()).collect()
    }
}

/// A program at a terminal.
pub(super) struct Terminal {
    child: Child,
    pub(super) shown: String,
}

impl Terminal {
    /// Reads until `text` is shown, for half a minute at most: `timeout` ends the program then.
    pub(super) fn until(&mut self, text: &str) -> Outcome {
        let out = self.child.stdout.as_mut().ok_or("no standard output")?;
        let mut more = [0; 256];
        while !self.shown.contains(text) {
            match out.read(&mut more)? {
                0 => return Err(format!("{text:?} is not shown: {:?}", self.shown).into()),
                n => self.shown.push_str(&String::from_utf8_lossy(more.get(..n).unwrap_or_default())),
            }
        }
        Ok(())
    }

    /// Types as a person does: the program shows what it asks for a moment before it hides what is typed.
    pub(super) fn types(&mut self, line: &str) -> Outcome {
        self.sends(format!("{line}\n").as_bytes())
    }

    /// As [`Terminal::types`], of any bytes.
    pub(super) fn sends(&mut self, bytes: &[u8]) -> Outcome {
        std::thread::sleep(Duration::from_millis(300));
        let keys = self.child.stdin.as_mut().ok_or("no standard input")?;
        Ok(keys.write_all(bytes)?)
    }

    /// Reads to the end. Gives what was shown, and the exit status.
    pub(super) fn end(mut self) -> Result<(String, Option<i32>), Failed> {
        let mut rest = Vec::new();
        if let Some(out) = self.child.stdout.as_mut() {
            out.read_to_end(&mut rest)?;
        }
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        Ok((self.shown, self.child.wait()?.code()))
    }
}

/// Waits until a child reads its standard input.
pub(super) fn until_it_reads(child: &Child) -> Outcome {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        // The number of read(2), and the descriptor 0.
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", child.id())).unwrap_or_default();
        if call.starts_with("0 0x0 ") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("it does not read its standard input".into())
}

/// The tool, begun with its standard input open.
pub(super) fn begin(ground: &Ground, args: &[&str]) -> Result<Child, Failed> {
    let config = ground.config();
    let mut command = Command::new(program()?);
    command.args(ground.args(&config, args)).env_clear().env("PATH", "/usr/bin:/bin");
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// What came of it, with this on standard input.
pub(super) fn end(mut child: Child, input: impl AsRef<[u8]>) -> Result<Run, Failed> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_ref())?;
    }
    let done = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Run { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
}

type Check = fn(&Ground) -> Outcome;

pub(super) fn on_sqlite(name: &str, more: &'static str, check: Check) -> Trial {
    trial(&format!("editing::sqlite::{name}"), move || check(&Ground { site: Site::sqlite(more)? }))
}

fn on_mariadb(name: &str, more: &'static str, check: Check) -> Option<Trial> {
    // Without a server the other trials say so.
    mariadb::missing()
        .is_none()
        .then(|| trial(&format!("editing::mariadb::{name}"), move || check(&Ground { site: Site::mariadb(more)? })))
}

/// A trial on SQLite and on MariaDB.
pub(super) fn on_sql(name: &str, more: &'static str, check: Check) -> Vec<Trial> {
    [on_sqlite(name, more, check)].into_iter().chain(on_mariadb(name, more, check)).collect()
}

/// A trial on each kind of store.
pub(super) fn on_each(name: &str, more: &'static str, check: Check) -> Vec<Trial> {
    let mut trials = on_sql(name, more, check);
    trials.extend(on_slapd(name, more, check));
    trials
}

/// A trial on a directory.
pub(super) fn on_slapd(name: &str, more: &'static str, check: Check) -> Vec<Trial> {
    let run = move || check(&Ground { site: Site::ldap(more)? });
    slapd::missing().is_none().then(|| trial(&format!("editing::slapd::{name}"), run)).into_iter().collect()
}
