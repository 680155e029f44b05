//! Writing, in an order that no crash can spoil: what is accepted is never more than what qmail-send knows.

use super::home::Home;
use super::memory;
use super::pass::Pass;
use super::report::Report;
use crate::output::Failure;
use crate::qmail::{cdb, files, net, send};
use qmail_lookup_core::Host;
use qmail_lookup_core::sync::{HOST_MAX, List};
use qmail_lookup_core::sync::around::{Around, database, route};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_core::sync::gone::Memory;
use qmail_lookup_core::sync::plan::{Accepted, Plan};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Mode of a control file that is made. qmail-smtpd and qmail-send run as users of their own.
const MODE: u32 = 0o644;

/// Between the two signals. qmail-send can be about to wait for the next event when the first comes, and route one
/// message by what it has read before; the second ends that wait.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is to be done.
pub(super) struct Steps<'a> {
    pass: &'a Pass<'a>,
    home: &'a Home,
    around: &'a Around,
    before: &'a Memory,
    plan: Plan,
    virtualdomains: Option<Vec<u8>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(pass: &'a Pass<'a>, home: &'a Home, around: &'a Around, before: &'a Memory, plan: Plan) -> Self {
        let virtualdomains = around.virtualdomains.write(plan.routed.iter().map(route));
        Self { pass, home, around, before, plan, virtualdomains }
    }

    /// Takes them; a dry run says which there were.
    ///
    /// # Errors
    /// If one could not be taken: those behind it were not, and the next look begins with it.
    pub(super) async fn run(&self, report: &mut Report) -> Result<(), Failure> {
        let routes_change = self.virtualdomains != self.home.files.virtualdomains;
        let owed = self.before.owed || routes_change;
        let early = self.contents(&self.plan.early)?;
        let late = self.contents(&self.plan.late)?;
        if self.pass.dry_run {
            self.tell_differences(&late, routes_change, report);
            return Ok(());
        }
        memory::write(&self.pass.qmail, &self.meanwhile(owed))?;
        self.write_accepted(&early, self.home.database.as_ref(), report)?;
        report.done(&self.plan, closes);
        self.put_net(report);
        self.put("virtualdomains", self.virtualdomains.as_deref(), report)?;
        report.done(&self.plan, routes);
        if owed {
            self.tell().await?;
        }
        self.write_accepted(&late, early.database.as_ref(), report)?;
        report.done(&self.plan, opens);
        self.remove_net(report);
        memory::write(&self.pass.qmail, &self.plan.memory)
    }

    /// What is to be remembered until all is done: hosts that are going are not forgotten before they are gone.
    fn meanwhile(&self, owed: bool) -> Memory {
        let mut memory = Memory { owed, ..self.plan.memory.clone() };
        for (list, host) in &self.plan.removed {
            let (from, to) = match list {
                List::Virtualdomains => (&self.before.routed, &mut memory.routed),
                List::Rcpthosts => (&self.before.accepted, &mut memory.accepted),
            };
            to.extend(from.get(host).map(|missed| (host.clone(), *missed)));
        }
        memory
    }

    async fn tell(&self) -> Result<(), Failure> {
        let Pass { qmail, how, no_hup, .. } = self.pass;
        if *no_hup {
            let running = if qmail.join("queue").is_dir() { send::find(qmail)? } else { None };
            return running.map_or(Ok(()), |pid| {
                let what = format!("qmail-send runs (process {pid}), and has not read virtualdomains");
                Err(Failure::temporary(format!("{what}: nothing was added to rcpthosts; run sync without --no-hup")))
            });
        }
        send::tell(how, qmail, send::Word::Reread)?;
        tokio::time::sleep(BETWEEN).await;
        send::tell(how, qmail, send::Word::Reread)
    }

    /// rcpthosts and morercpthosts with these hosts.
    fn contents(&self, accepted: &Accepted) -> Result<Contents, Failure> {
        let lines = |marked: &Marked, hosts: &BTreeSet<Host>| marked.write(hosts.iter().map(Host::as_bytes));
        let Self { around, home, plan, .. } = self;
        let rcpthosts =
            if around.is_open && !plan.create { None } else { lines(&around.rcpthosts, &accepted.rcpthosts) };
        let morercpthosts = lines(&around.morercpthosts, &accepted.morercpthosts);
        let database = match (&morercpthosts, &home.database) {
            (Some(content), Some(keys)) if home.files.morercpthosts.is_none() && !keys.is_empty() => {
                let cdb = self.control("morercpthosts.cdb");
                let kept: BTreeSet<_> = database(content);
                if !keys.is_subset(&kept) {
                    let what = "is there, but not the file that it was made of, morercpthosts, which is needed now";
                    return Err(Failure::temporary(format!("{} {what}: write its hosts there", cdb.display())));
                }
                Some(kept)
            }
            (Some(content), _) => Some(database(content)),
            // Ours was the only line; or it was never ours.
            (None, keys) => keys.clone().filter(|_| home.files.morercpthosts.is_none()),
        };
        Ok(Contents { rcpthosts, morercpthosts, database })
    }

    /// The file that gains a host is written before one that loses it.
    /// The database holds `is`.
    fn write_accepted(
        &self,
        contents: &Contents,
        is: Option<&BTreeSet<Vec<u8>>>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.put("morercpthosts", contents.morercpthosts.as_deref(), report)?;
        let path = self.control("morercpthosts.cdb");
        let changed = match &contents.database {
            Some(hosts) if is == Some(hosts) => false,
            Some(hosts) => cdb::replace(&path, hosts.iter().map(Vec::as_slice)).map(|()| true)?,
            None => files::remove(&path)?,
        };
        if changed {
            report.wrote(path);
        }
        match contents.rcpthosts.as_deref() {
            Some(content) => self.put("rcpthosts", Some(content), report),
            // Nobody ever removes it.
            None => Ok(()),
        }
    }

    fn put(&self, name: &str, content: Option<&[u8]>, report: &mut Report) -> Result<(), Failure> {
        let path = self.control(name);
        let changed = match content {
            Some(content) => files::replace(&path, content, MODE)?,
            None => files::remove(&path)?,
        };
        if changed {
            report.wrote(path);
        }
        Ok(())
    }

    /// Hosts that have encoded recipients.
    fn net(&self) -> BTreeSet<Host> {
        let mut hosts = self.around.own_encoded();
        hosts.retain(|host| host.as_bytes().len() <= HOST_MAX);
        hosts.extend(self.plan.routed.iter().cloned());
        hosts
    }

    /// The net is for an accident; that it cannot be made must not stop anything.
    fn put_net(&self, report: &mut Report) {
        let hosts = self.net();
        if hosts.is_empty() {
            return;
        }
        let Some(alias) = &self.home.alias else {
            report.alarm("the alias user has no home: virtual hosts have no safety net (docs/sync.md)".to_owned());
            return;
        };
        if let Err(error) = net::put(alias, &hosts) {
            report.alarm(format!("not every virtual host has its safety net: {error}"));
        }
    }

    fn remove_net(&self, report: &mut Report) {
        let Some(alias) = &self.home.alias else { return };
        let keep = self.net();
        let removed = net::hosts(alias).and_then(|there| {
            let gone: BTreeSet<_> = there.difference(&keep).cloned().collect();
            if gone.is_empty() { Ok(()) } else { net::remove(alias, &gone) }
        });
        if let Err(error) = removed {
            report.alarm(format!("the safety net of hosts that are gone cannot be taken away: {error}"));
        }
    }

    fn tell_differences(&self, late: &Contents, routes_change: bool, report: &mut Report) {
        let files = &self.home.files;
        let changes = [
            ("virtualdomains", routes_change),
            ("morercpthosts", late.morercpthosts != files.morercpthosts),
            ("morercpthosts.cdb", self.home.damaged || late.database != self.home.database),
            ("rcpthosts", late.rcpthosts != files.rcpthosts),
        ];
        changes.iter().filter(|(_, changes)| *changes).for_each(|(name, _)| report.wrote(self.control(name)));
        [closes, routes, opens].iter().for_each(|part| report.done(&self.plan, part));
    }

    fn control(&self, name: &str) -> PathBuf {
        self.pass.qmail.join("control").join(name)
    }
}

/// The lines of a plan in the order in which they are written.
fn closes(list: List, added: bool) -> bool {
    list == List::Rcpthosts && !added
}

fn routes(list: List, _: bool) -> bool {
    list == List::Virtualdomains
}

fn opens(list: List, added: bool) -> bool {
    list == List::Rcpthosts && added
}

/// What two files are to hold, and the database of the second.
struct Contents {
    rcpthosts: Option<Vec<u8>>,
    morercpthosts: Option<Vec<u8>>,
    database: Option<BTreeSet<Vec<u8>>>,
}
