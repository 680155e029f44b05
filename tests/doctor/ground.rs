//! A site where doctor finds nothing wrong, and what it says of it.

use libtest_mimic::Failed;
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{ALIAS, Daemon, Site, dropin, host_row, program};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A site, its daemon, and a stand-in for its qmail-send.
pub(super) struct Ground {
    pub(super) site: Site,
    pub(super) daemon: Option<Daemon>,
    pub(super) send: Option<Send>,
}

/// A script of the name qmail-send that works in the queue and takes signals.
pub(super) struct Send(Child);

impl Drop for Send {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Send {
    /// Starts it after `preparation`, a command of the shell.
    pub(super) fn start(site: &Site, preparation: &str) -> Result<Self, Failed> {
        let program = site.path("q/bin/qmail-send");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{preparation} && exec \"$0\"")]).arg(&program);
        command.current_dir(site.path("q/queue")).stdin(Stdio::null()).stdout(Stdio::null());
        let child = Self(command.spawn()?);
        let name = format!("/proc/{}/comm", child.0.id());
        for _ in 0..500 {
            if std::fs::read_to_string(&name)? == "qmail-send\n" && site.path("q/ready").exists() {
                return Ok(child);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err("the stand-in for qmail-send does not start".into())
    }
}

impl Ground {
    pub(super) fn sqlite(more: &str) -> Result<Self, Failed> {
        Self::of(Site::sqlite(more)?)
    }

    pub(super) fn mariadb(more: &str) -> Result<Self, Failed> {
        Self::of(Site::mariadb(more)?)
    }

    pub(super) fn ldap(more: &str) -> Result<Self, Failed> {
        let site = Site::ldap(more)?;
        site.remove(&host_row(".wild.test"))?;
        let broken = ["broken", "0", "0", "/", "x", "Password", "N"].map(|cell| Some(cell.into()));
        site.remove(&TableRow::from_cells(Table::Mailbox, broken))?;
        Self::lay_out(site)
    }

    fn of(site: Site) -> Result<Self, Failed> {
        // Rows that doctor has something to say about.
        site.sql("DELETE FROM mailbox WHERE username = 'broken'; DELETE FROM rcpthosts WHERE host = '.wild.test'")?;
        Self::lay_out(site)
    }

    fn lay_out(site: Site) -> Result<Self, Failed> {
        site.script("q/bin/qmail-local.stock", "exit 111")?;
        let ready = site.path("q/ready").display().to_string();
        site.script("q/bin/qmail-send", &format!("trap : HUP ALRM\n: >{ready}\nwhile :; do sleep 0.2; done"))?;
        site.script("q/bin/qmail-lspawn", "exit 111")?;
        for name in ["q/queue", "q/queue/local", "q/queue/todo", "q/alias", "q/users"] {
            std::fs::create_dir(site.path(name))?;
        }
        let daemon = Some(site.start()?);
        let send = Some(Send::start(&site, ":")?);
        let ground = Self { site, daemon, send };
        ground.users(&ground.site.path("q/alias"), "")?;
        ground.run("qmail-lookup --config CONFIG sync")?;
        Ok(ground)
    }

    /// What doctor says.
    pub(super) fn ask(&self, options: &[&str]) -> Result<Said, Failed> {
        let done = self.doctor()?.arg("--json").args(options).output()?;
        Said::read(done.status.code(), &done.stdout, &done.stderr)
    }

    /// doctor, who finds the users of this site in the system.
    pub(super) fn doctor(&self) -> Result<Command, Failed> {
        let mut command = Command::new("unshare");
        let mounted = "mount --bind \"$0\" /etc/passwd && exec \"$@\"";
        command.args(["-m", "/bin/sh", "-c", mounted]).arg(self.site.path("passwd"));
        command.arg(program("qmail-lookup")?).arg("--config").arg(self.site.config()).arg("doctor");
        command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        Ok(command)
    }

    /// Writes the users of the system, with this home for who stands for the alias user; and these, too.
    pub(super) fn users(&self, alias_home: &Path, more: &str) -> Outcome {
        let system = std::fs::read_to_string("/etc/passwd")?;
        let user = |line: &str| {
            let mut fields: Vec<_> = line.split(':').map(str::to_owned).collect();
            if fields.first().is_some_and(|name| name == ALIAS) {
                fields[5] = alias_home.display().to_string();
            }
            fields.join(":") + "\n"
        };
        Ok(std::fs::write(self.site.path("passwd"), system.lines().map(user).collect::<String>() + more)?)
    }

    /// Fails unless all is well.
    pub(super) fn is_well(&self, what: &str) -> Outcome {
        let said = self.ask(&[])?;
        ensure(said.code == Some(0), format!("{what}: not well: {said:#?}"))
    }

    /// Runs a command that doctor has printed, as root would.
    pub(super) fn run(&self, command: &str) -> Outcome {
        let (tool, drops) = (program("qmail-lookup")?, dropin("qmail-getpw")?);
        let folder = |path: &Path| path.parent().map(|path| path.display().to_string()).unwrap_or_default();
        let mut command = command.replace("CONFIG", &self.site.config().display().to_string());
        if command.ends_with(" install") {
            command.push_str(&format!(" --programs {}", folder(&drops)));
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).env_clear().stdin(Stdio::null());
        shell.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", folder(&tool)));
        let done = shell.output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // sync is loud about an open relay, even when it has just ended that.
        let ended = done.status.success() || (command.ends_with(" sync") && done.status.code() == Some(1));
        ensure(ended, format!("{command}: {}{}", text(&done.stdout), text(&done.stderr)))
    }

    /// Fails unless this is the only thing that is wrong; gives the command that mends it.
    pub(super) fn finds(&self, what: &str, options: &[&str], question: &str) -> Result<String, Failed> {
        let said = self.ask(options)?;
        equal(what, said.code, Some(1)).map_err(|error| format!("{error:?}: {said:#?}"))?;
        match &said.wrong[..] {
            [(asked, _, mend)] if asked.contains(question) => Ok(mend.clone()),
            _ => Err(format!("{what}: only {question} expected: {said:#?}").into()),
        }
    }

    /// Breaks something, and fails unless doctor finds that alone, names a command that begins with `mend`, and that
    /// command mends it.
    pub(super) fn mends(&self, damage: &Damage<'_>) -> Outcome {
        let Damage { name, harm, options, question, mend } = damage;
        self.run(&self.filled(harm))?;
        let command = self.finds(name, options, question)?;
        let wanted = self.filled(mend);
        ensure(command.starts_with(&wanted), format!("{name}: `{command}` is not `{wanted}...`"))?;
        if command.ends_with(';') {
            self.site.sql(&command)?;
        } else {
            self.run(&command)?;
        }
        let said = self.ask(options)?;
        ensure(said.code == Some(0), format!("{name}: `{command}` does not mend it: {said:#?}"))
    }

    /// `Q` for qmail's home, `HOMES`, `CONFIG`.
    fn filled(&self, text: &str) -> String {
        let path = |name: &str| self.site.path(name).display().to_string();
        let text = text.replace("Q/", &format!("{}/", path("q"))).replace("HOMES", &path("homes"));
        text.replace("RUN", &path("run")).replace("CONFIG", &self.site.config().display().to_string())
    }
}

/// Something that is broken, and what is said of it.
pub(super) struct Damage<'a> {
    pub(super) name: &'a str,
    /// A command of the shell.
    pub(super) harm: &'a str,
    /// Options of doctor.
    pub(super) options: &'a [&'a str],
    /// Part of the question.
    pub(super) question: &'a str,
    /// What the command begins with.
    pub(super) mend: &'a str,
}

/// What doctor has said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    /// Question, what, and what to do.
    pub(super) wrong: Vec<(String, String, String)>,
    pub(super) unknown: Vec<(String, String, String)>,
    /// Questions that are answered by ok.
    pub(super) ok: Vec<String>,
}

impl Said {
    pub(super) fn read(code: Option<i32>, out: &[u8], err: &[u8]) -> Result<Self, Failed> {
        let err = String::from_utf8_lossy(err);
        let said: Value = serde_json::from_slice(out).map_err(|error| format!("{error}: {code:?} {err}"))?;
        let mut all = Self { code, wrong: Vec::new(), unknown: Vec::new(), ok: Vec::new() };
        for check in said["checks"].as_array().ok_or("no checks")? {
            let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            match check["result"].as_str() {
                Some("ok") => all.ok.push(text("question")),
                Some("wrong") => all.wrong.push((text("question"), text("what"), text("do"))),
                _ => all.unknown.push((text("question"), text("what"), text("do"))),
            }
        }
        Ok(all)
    }
}
