//! A site with qmails of their own, as their makers left them: stand-ins for the stock programs, and control files.

use crate::cli::Run;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::site::{self, Site, dropin, example, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The two programs that are put in place.
pub(super) const BOTH: [&str; 2] = ["qmail-local", "qmail-getpw"];

/// What control/virtualdomains of a qmail here holds.
pub(super) const VIRTUALDOMAINS: &str = "# mine\nmine.test:bob\n";

/// What control/lookupsocket held before; without an end of line.
pub(super) const OLD_SOCKET: &str = "/run/old.sock";

/// A trial on a SQLite site without further settings.
pub(super) fn trial(name: &str, run: impl FnOnce(&Ground) -> Outcome + Send + 'static) -> Trial {
    with_settings(name, "", run)
}

/// The same with `more` in its configuration.
pub(super) fn with_settings(
    name: &str,
    more: &'static str,
    run: impl FnOnce(&Ground) -> Outcome + Send + 'static,
) -> Trial {
    site::trial(&format!("install::{name}"), move || run(&Ground { site: Site::sqlite(more)? }))
}

/// See the module.
pub(super) struct Ground {
    pub(super) site: Site,
}

impl Ground {
    /// A qmail below this name.
    pub(super) fn qmail(&self, name: &str) -> Result<Qmail<'_>, Failed> {
        let qmail = Qmail { site: &self.site, home: self.site.path(name) };
        for folder in ["", "bin", "control", "users", "queue", "queue/todo", "queue/local", "alias"] {
            std::fs::create_dir(qmail.path(folder))?;
            std::fs::set_permissions(qmail.path(folder), std::fs::Permissions::from_mode(0o755))?;
        }
        for name in ["qmail-lspawn", "qmail-send", "qmail-smtpd"] {
            qmail.script(name, "exit 111")?;
        }
        qmail.script("qmail-getpw", "printf 'sysuser\\0001234\\0001234\\000/sys\\000\\000\\000'")?;
        // A program that nobody but root can read, as qmail's are.
        copy(&example("nothing")?, &qmail.bin("qmail-local"))?;
        std::fs::set_permissions(qmail.bin("qmail-local"), std::fs::Permissions::from_mode(0o711))?;
        for (name, text) in [
            ("me", "mail.test\n"),
            ("locals", "mail.test\n"),
            ("rcpthosts", "mail.test"),
            ("virtualdomains", VIRTUALDOMAINS),
            ("lookupsocket", OLD_SOCKET),
        ] {
            std::fs::write(qmail.control(name), text)?;
        }
        std::fs::set_permissions(qmail.control("lookupsocket"), std::fs::Permissions::from_mode(0o600))?;
        Ok(qmail)
    }
}

/// One of them.
pub(super) struct Qmail<'a> {
    pub(super) site: &'a Site,
    pub(super) home: PathBuf,
}

impl Qmail<'_> {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub(super) fn bin(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    pub(super) fn control(&self, name: &str) -> PathBuf {
        self.home.join("control").join(name)
    }

    /// Writes a program; what stood there is replaced as by `make setup`: in place.
    pub(super) fn script(&self, name: &str, body: &str) -> Outcome {
        std::fs::write(self.bin(name), format!("#!/bin/sh\n{body}\n"))?;
        Ok(std::fs::set_permissions(self.bin(name), std::fs::Permissions::from_mode(0o755))?)
    }

    /// `qmail-lookup VERB --qmail HOME ...` below `wrapper`, if it is given.
    pub(super) fn run_below(&self, wrapper: &[OsString], verb: &str, more: &[&str]) -> Result<Run, Failed> {
        let mut words = wrapper.to_vec();
        words.push(program("qmail-lookup")?.into());
        words.extend(["--config".into(), self.site.config().into(), verb.into(), "--qmail".into()]);
        words.push(self.home.clone().into());
        if verb == "install" && !more.contains(&"--programs") {
            words.extend(["--programs".into(), programs()?.into()]);
        }
        words.extend(more.iter().map(OsString::from));
        let (first, rest) = words.split_first().ok_or("no words")?;
        let mut command = Command::new(first);
        command.args(rest).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let done = command.output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Run { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
    }

    /// `qmail-lookup install`.
    pub(super) fn install(&self, more: &[&str]) -> Result<Run, Failed> {
        self.run_below(&[], "install", more)
    }

    /// `qmail-lookup uninstall`, while qmail is stopped.
    pub(super) fn uninstall(&self, more: &[&str]) -> Result<Run, Failed> {
        self.run_below(&[], "uninstall", &[&["--no-hup"], more].concat())
    }

    /// What stands in the home, each with all that can be seen of it.
    pub(super) fn snapshot(&self) -> Result<BTreeMap<String, Entry>, Failed> {
        let mut found = BTreeMap::new();
        gather(&self.home, &self.home, &mut found)?;
        Ok(found)
    }

    /// Whose program stands there: whether its content is that of ours.
    pub(super) fn is_ours(&self, name: &str) -> Result<bool, Failed> {
        Ok(std::fs::read(self.bin(name))? == std::fs::read(dropin(name)?)?)
    }

    /// Fails unless this uid can run it.
    pub(super) fn runs(&self, name: &str, uid: u32) -> Outcome {
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()];
        let mut command = Command::new("setpriv");
        command.args(ids).arg("--").arg(self.bin(name)).stdin(Stdio::null()).current_dir("/");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let code = command.status()?.code();
        // setpriv ends with 126 and 127 if it cannot run it.
        ensure(!matches!(code, None | Some(126 | 127)), format!("{name} cannot be run by {uid}: {code:?}"))
    }
}

/// What can be seen of a file, a folder, or a symlink. Of folders only the mode counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) inode: u64,
    pub(super) changed: i64,
    pub(super) content: Vec<u8>,
}

impl Entry {
    /// Without what a file that was written anew cannot have.
    pub(super) fn content_and_rights(self) -> Self {
        Self { inode: 0, changed: 0, ..self }
    }
}

fn gather(home: &Path, folder: &Path, found: &mut BTreeMap<String, Entry>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is = std::fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(home)?.display().to_string();
        let mut entry =
            Entry { mode: is.mode(), owner: (is.uid(), is.gid()), inode: 0, changed: 0, content: Vec::new() };
        if is.is_dir() {
            gather(home, &path, found)?;
        } else {
            (entry.inode, entry.changed) = (is.ino(), is.mtime_nsec() + is.mtime() * 1_000_000_000);
            entry.content = if is.is_symlink() {
                std::fs::read_link(&path)?.into_os_string().into_encoded_bytes()
            } else {
                std::fs::read(&path)?
            };
        }
        found.insert(name, entry);
    }
    Ok(())
}

/// Fails with the names of what differs.
pub(super) fn same(what: &str, got: &BTreeMap<String, Entry>, want: &BTreeMap<String, Entry>) -> Outcome {
    let names: std::collections::BTreeSet<_> = got.keys().chain(want.keys()).collect();
    let differ: Vec<_> = names.into_iter().filter(|name| got.get(*name) != want.get(*name)).collect();
    let shown =
        |entry: Option<&Entry>| entry.map(|e| (format!("{:o}", e.mode), e.owner, e.inode, e.changed, e.content.len()));
    let detail: Vec<_> = differ.iter().map(|name| (shown(got.get(*name)), shown(want.get(*name)))).collect();
    ensure(differ.is_empty(), format!("{what}: these differ (got, want): {differ:?} {detail:?}"))
}

/// The folder of the static drop-ins.
pub(super) fn programs() -> Result<PathBuf, Failed> {
    Ok(dropin("qmail-local")?.parent().ok_or("no folder")?.to_owned())
}

/// Copies a program by another process: a file that a thread of this one has open for writing cannot be run.
pub(super) fn copy(from: &Path, to: &Path) -> Outcome {
    let copied = Command::new("cp").arg(from).arg(to).status()?;
    ensure(copied.success(), format!("{} cannot be copied", from.display()))
}

/// The texts of a JSON result's list: of steps, or of the `what` of refusals and warnings.
pub(super) fn texts(run: &Run, list: &str) -> Result<Vec<String>, Failed> {
    let json = run.json()?;
    let text = |value: &Value| value.as_str().or_else(|| value["what"].as_str()).map(str::to_owned);
    Ok(json[list].as_array().ok_or_else(|| format!("no {list}: {run:?}"))?.iter().filter_map(text).collect())
}

/// strace with these options, its log in `log`.
pub(super) fn strace(log: &Path, options: &[&str]) -> Vec<OsString> {
    let fixed = ["strace", "-f", "-b", "execve", "-qq", "-o"].map(OsString::from);
    let options = options.iter().map(OsStr::new).map(OsStr::to_owned);
    fixed.into_iter().chain([log.into()]).chain(options).collect()
}
