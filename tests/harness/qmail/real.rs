//! An installed qmail, whose home `QL_TEST_QMAIL` names: its own qmail-start, qmail-queue and qmail-smtpd, its own users.
//! Nothing may be in its queue, and it must not run. Its folders control, alias and users and the two programs that ours
//! replace are kept in the site's folder meanwhile, and put back; mail that is left in its queue is removed.
//!
//! This part has not been run so far: no qmail was at hand. It is kept as small as can be.

use super::{Bounce, Qmail, Relayed};
use crate::check::{Outcome, ensure};
use crate::server::process::Process;
use crate::site::{ALIAS, ALIAS_EMPTY, QMAILD, QMAILP, Site};
use libtest_mimic::Failed;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// conf-split: folders in which a queue keeps messages.
pub(super) const SPLIT: u64 = 23;

/// There is one, and trials run side by side: true while one of them has it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What is put back.
const KEPT: [&str; 5] = ["control", "alias", "users", "bin/qmail-getpw", "bin/qmail-local"];

pub(super) struct Real {
    home: PathBuf,
    kept: PathBuf,
    log: PathBuf,
}

impl Qmail {
    /// The home of the qmail that is to be tested.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        std::env::var_os("QL_TEST_QMAIL").map(PathBuf::from)
    }

    /// That qmail with our programs and the site's control files, and a site that is configured for it. The site's daemon
    /// must not have been started yet, and the site must live longer.
    ///
    /// # Errors
    /// If there is none, it is in use, or something cannot be written.
    pub fn real(site: &Site) -> Result<Self, Failed> {
        let home = Self::installed().ok_or("QL_TEST_QMAIL is not set")?;
        while TAKEN.swap(true, Ordering::AcqRel) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let real = Real { kept: site.path("kept"), log: site.path("send.log"), home: home.clone() };
        ensure(real.files("mess").is_empty(), "its queue is not empty")?;
        let text = std::fs::read_to_string(site.config())?;
        let text = text.replace(&format!("\"{}\"", site.path("q").display()), &format!("\"{}\"", home.display()));
        let text = text.replace(&format!("\"{ALIAS}\""), "\"alias\"").replace(&format!("{QMAILP} ="), "qmailp =");
        std::fs::write(site.config(), text.replace(&format!("{QMAILD} ="), "qmaild ="))?;
        std::fs::write(&real.log, "")?;
        std::fs::set_permissions(&real.log, std::fs::Permissions::from_mode(0o666))?;
        let ours = site.path("q").display().to_string();
        shell(&format!(
            "mkdir {kept} && for name in {all}; do mkdir -p {kept}/$(dirname $name) && cp -a $name {kept}/$name || exit 1; done
             rm -f users/cdb alias/.qmail* && cp {ours}/control/* control/ && echo ':127.0.0.1:9' >control/smtproutes
             for name in qmail-getpw qmail-local; do
               cp -a bin/$name bin/$name.stock && cp {ours}/bin/$name bin/$name.new && mv bin/$name.new bin/$name || exit 1
             done",
            kept = real.kept.display(),
            all = KEPT.join(" "),
        ), &home)?;
        Ok(Self { homes: site.path("homes"), send: Mutex::new(None), real: Some(real), home })
    }
}

impl Real {
    /// qmail-start becomes qmail-send: its process id is that one's.
    pub(super) fn start(&self) -> Result<Process, Failed> {
        let logger = format!("exec cat >>{}", self.log.display());
        let arguments = [ALIAS_EMPTY, "/bin/sh", "-c", &logger].map(str::to_owned);
        Process::start(&self.home.join("bin/qmail-start"), &arguments)
    }

    /// What it is told by a signal it does within this time.
    pub(super) fn pause() {
        std::thread::sleep(Duration::from_secs(1));
    }

    pub(super) fn is_settled(&self) -> bool {
        let is_quiet = || {
            let log = self.text();
            let status = log.lines().rfind(|line| line.contains("status: local "));
            let none = status.is_none_or(|line| line.contains("local 0/") && line.contains("remote 0/"));
            none && self.files("todo").is_empty()
        };
        is_quiet() && {
            Self::pause();
            is_quiet()
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// By the log: the message is gone by then, so that the sender has to tell which it was.
    pub(super) fn bounces(&self) -> Result<Vec<Bounce>, Failed> {
        let log = self.text();
        let after = |start: &str| log.lines().find_map(|line| line.split_once(start)).map(|(_, rest)| rest.to_owned());
        let failures = log.lines().filter_map(|line| line.split_once(" delivery ")?.1.split_once(": failure: "));
        let bounce = |(number, text): (&str, &str)| {
            let started = after(&format!("starting delivery {number}: msg "))?;
            let (message, recipient) = started.split_once(" to local ")?;
            let info = after(&format!("info msg {message}: "))?;
            let sender = info.split_once('<')?.1.split_once('>')?.0.to_owned();
            let recipient = recipient.to_owned();
            Some(Bounce { sender, recipient, text: text.replace('_', " "), message: String::new() })
        };
        Ok(failures.filter_map(bounce).collect())
    }

    /// What waits to leave the machine.
    pub(super) fn relayed(&self) -> Result<Vec<Relayed>, Failed> {
        let text = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let mut all = Vec::new();
        for file in self.files("remote") {
            let below = |folder: &str| {
                let tail = file.strip_prefix(self.home.join("queue/remote")).unwrap_or(&file);
                text(self.home.join("queue").join(folder).join(tail))
            };
            let sender = below("info").trim_matches(['F', '\0']).to_owned();
            for recipient in text(file.clone()).split('\0').filter_map(|record| record.strip_prefix('T')) {
                let (sender, recipient) = (sender.clone(), recipient.to_owned());
                all.push(Relayed { sender, recipient, message: below("mess") });
            }
        }
        Ok(all)
    }

    /// The files of a folder of the queue.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let list = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let (folders, mut files): (Vec<_>, Vec<_>) =
            list(&self.home.join("queue").join(folder)).partition(|path| path.is_dir());
        files.extend(folders.iter().flat_map(|folder| list(folder)));
        files
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for folder in ["todo", "intd", "local", "remote", "bounce", "info", "mess"] {
            for file in self.files(folder) {
                drop(std::fs::remove_file(file));
            }
        }
        let kept = self.kept.display();
        // A program is replaced by a rename, folders one file at a time.
        drop(shell(&format!(
            "for name in qmail-getpw qmail-local; do cp -a {kept}/bin/$name bin/$name.new && mv bin/$name.new bin/$name; rm -f bin/$name.stock; done
             for name in control alias users; do find $name -mindepth 1 -delete; cp -a {kept}/$name/. $name/; done"
        ), &self.home));
        TAKEN.store(false, Ordering::Release);
    }
}

fn shell(commands: &str, folder: &Path) -> Outcome {
    let status = Command::new("/bin/sh").args(["-c", commands]).current_dir(folder).status()?;
    ensure(status.success(), format!("{status}: {commands}"))
}
