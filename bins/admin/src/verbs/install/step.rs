//! What is done, one change of qmail's home at a time.

use super::memory::{Before, Installed};
use super::source::Source;
use crate::output::{Failure, text};
use crate::qmail::{files, net, queue, send, swap};
use crate::verbs::uninstall::hosts;
use qmail_lookup_config::QmailSend;
use qmail_lookup_core::Host;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;

/// How often, and how long after one another, it is looked whether qmail-send has routed everything. It does so at once.
const ROUTED_LOOKS: u32 = 20;
const ROUTED_PAUSE: Duration = Duration::from_millis(500);

/// Before programs are given back that do not know the mailboxes.
const STOP: &str = "the hosts are out of qmail's control files, and the queue holds no mail for them; our programs are still \
    in place: with qmail's own a running qmail-send would bounce mail of mailboxes that are no system users. Stop \
    qmail-send, run `qmail-lookup uninstall --no-hup`, put the programs in place that know the mailboxes (if there are \
    any), and start qmail-send; or run `qmail-lookup uninstall --running`";

/// Most hosts that are named at a time.
const NAMED_MAX: usize = 10;

/// One of them. Carrying it out twice is the same as once.
#[derive(Clone, Debug)]
pub(in crate::verbs) enum Step {
    /// Write down what was there before.
    Remember(Installed),
    /// Write a control file.
    Write(PathBuf, Before),
    /// Remove a control file.
    Remove(PathBuf),
    /// Keep this program as NAME.stock.
    Keep(PathBuf),
    /// Put one of ours at this path.
    Put(Source, PathBuf),
    /// Give NAME.stock its name back.
    GiveBack(PathBuf),
    /// Take the block of `sync` out of this control file, as it is then; if that leaves none, and `stays`, it is empty.
    Cut { path: PathBuf, stays: bool },
    /// Write the database of this list of hosts, without the block.
    Database(PathBuf),
    /// Wait until the queue holds no recipient of these hosts that is not routed yet.
    Routed(BTreeSet<Host>),
    /// Have qmail-send read its control files again.
    Tell(QmailSend),
    /// See that the queue holds no recipient of a virtual host.
    Delivered,
    /// See that qmail-send does not run; it does if it was `told` something.
    Stopped { told: bool },
    /// Remove the safety net from this home.
    RemoveNet(PathBuf),
    /// Remove what this tool remembers.
    Forget,
}

impl Step {
    /// Does it.
    ///
    /// # Errors
    /// If that fails. It names the file.
    pub(in crate::verbs) async fn carry_out(&self, qmail: &Path) -> Result<(), Failure> {
        match self {
            Self::Remember(installed) => installed.save(qmail)?,
            Self::Write(path, file) => file.put(path)?,
            Self::Remove(path) => drop(files::remove(path)?),
            Self::Keep(path) => swap::keep(path)?,
            Self::Put(source, path) => {
                // Without a stock program: as programs of a system are.
                let rights = swap::rights(path)?.unwrap_or((0, 0, 0o755));
                swap::put(&source.path, path, rights, |new| swap::run_idle(new, source.idle_status()))?;
            }
            Self::GiveBack(path) => swap::give_back(path)?,
            Self::Cut { path, stays } => hosts::cut(path, *stays)?,
            Self::Database(path) => hosts::database(path)?,
            Self::Routed(hosts) => routed(qmail, hosts).await?,
            Self::Tell(how) => send::reread(how, qmail).await?,
            Self::Delivered => {
                let held = queue::read(qmail)?.encoded;
                if !held.is_empty() {
                    let what = "the queue holds mail for virtual hosts, which only our programs can deliver";
                    let help = "let qmail-send deliver it, and run uninstall again then; until then all else stays";
                    return Err(Failure::temporary(format!("{what}: {}; {help}", named(&held))));
                }
            }
            Self::Stopped { told } => {
                if *told || send::running(qmail)?.is_some() {
                    return Err(Failure::temporary(STOP));
                }
            }
            Self::RemoveNet(home) => net::remove(home, &net::hosts(home)?)?,
            Self::Forget => forget(&files::memory(qmail))?,
        }
        Ok(())
    }
}

async fn routed(qmail: &Path, hosts: &BTreeSet<Host>) -> Result<(), Failure> {
    for look in 1..=ROUTED_LOOKS {
        let held = queue::Held { unrouted: queue::read(qmail)?.unrouted, ..queue::Held::default() };
        let waiting: BTreeSet<_> = hosts.iter().filter(|host| held.needs(host)).cloned().collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if look == ROUTED_LOOKS {
            let what = "the queue holds mail that qmail-send has not routed yet, for";
            let help =
                "without the hosts' lines it would be sent away; see that qmail-send runs, and run uninstall again";
            return Err(Failure::temporary(format!("{what} {}; {help}", named(&waiting))));
        }
        sleep(ROUTED_PAUSE).await;
    }
    Ok(())
}

/// The folder, its lock last: from then on another process can have one of its own.
fn forget(memory: &Path) -> std::io::Result<()> {
    for name in ["sync.json", "installed.json"] {
        files::remove(&memory.join(name))?;
    }
    std::fs::remove_dir_all(memory)
}

/// Some hosts, and how many more there are.
pub(in crate::verbs) fn named(hosts: &BTreeSet<Host>) -> String {
    let names: Vec<_> = hosts.iter().take(NAMED_MAX).map(|host| text(host.as_bytes())).collect();
    let more = hosts.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remember(_) => write!(f, "write down what is there now"),
            Self::Write(path, _) => write!(f, "write {}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::Keep(path) => write!(f, "keep {} as {}", path.display(), swap::stock(path).display()),
            Self::Put(source, path) => write!(f, "put {} at {}", source.path.display(), path.display()),
            Self::GiveBack(path) => write!(f, "rename {} to {}", swap::stock(path).display(), path.display()),
            Self::Cut { path, .. } => write!(f, "take the hosts of sync out of {}", path.display()),
            Self::Database(path) => write!(f, "take the hosts of sync out of {}", hosts::cdb_of(path).display()),
            Self::Routed(hosts) => write!(f, "wait until qmail-send has routed all mail for {}", named(hosts)),
            Self::Tell(_) => write!(f, "send qmail-send HUP, twice"),
            Self::Delivered => write!(f, "go on only if the queue holds no mail for virtual hosts"),
            Self::Stopped { .. } => write!(f, "go on only if qmail-send does not run"),
            Self::RemoveNet(home) => write!(f, "remove the files .qmail-=HOST=-default from {}", home.display()),
            Self::Forget => write!(f, "remove what is written down"),
        }
    }
}
