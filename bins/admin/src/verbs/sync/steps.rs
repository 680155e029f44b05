//! Writing, in an order that no crash can spoil: what is accepted is never more than what qmail-send knows.

use super::control::Control;
use super::home::Home;
use super::memory;
use super::pass::Pass;
use super::report::Report;
use crate::output::Failure;
use crate::qmail::{cdb, net, send};
use qmail_lookup_config::QmailSend;
use qmail_lookup_core::Host;
use qmail_lookup_core::control::lines::keys;
use qmail_lookup_core::sync::around::{Around, database, route};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_core::sync::gone::Memory;
use qmail_lookup_core::sync::plan::{Accepted, Plan};
use qmail_lookup_core::sync::{HOST_MAX, List};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// What is to be done.
pub(super) struct Steps<'a> {
    pub(super) pass: &'a Pass<'a>,
    pub(super) around: &'a Around,
    pub(super) before: &'a Memory,
    pub(super) plan: &'a Plan,
    /// What keeps qmail-send from reading what it is told to.
    pub(super) unreadable: Option<String>,
    pub(super) alias: Option<PathBuf>,
    pub(super) control: Control,
    pub(super) cdb: Cdb,
}

/// morercpthosts.cdb.
pub(super) struct Cdb {
    /// Its keys; `None` if there is none, or a damaged one.
    pub(super) keys: Option<BTreeSet<Vec<u8>>>,
    pub(super) is_damaged: bool,
}

/// What two files are to hold, and the database of the second.
struct Contents {
    rcpthosts: Option<Vec<u8>>,
    morercpthosts: Option<Vec<u8>>,
    database: Option<BTreeSet<Vec<u8>>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        pass: &'a Pass<'a>,
        (home, control): (Home, Control),
        around: &'a Around,
        before: &'a Memory,
        plan: &'a Plan,
        unreadable: Option<String>,
    ) -> Self {
        let cdb = Cdb { keys: home.database, is_damaged: home.damaged };
        Self { pass, around, before, plan, unreadable, alias: home.alias, control, cdb }
    }

    /// Takes them; a dry run says which there were.
    ///
    /// # Errors
    /// If one could not be taken: those behind it were not, and the next look begins with it.
    pub(super) async fn run(mut self, report: &mut Report) -> Result<(), Failure> {
        self.check_database()?;
        let virtualdomains = self.around.virtualdomains.write(self.plan.routed.iter().map(route));
        let early = self.contents(&self.plan.early);
        let late = self.contents(&self.plan.late);
        let routes_change = virtualdomains.as_deref() != self.control.content("virtualdomains");
        if self.pass.dry_run {
            self.tell_differences(&late, routes_change, report);
            return Ok(());
        }
        let owed = self.before.owed || routes_change || self.gains(&late);
        self.remember(&self.meanwhile(owed))?;
        self.put_closing(early, report)?;
        report.done(self.plan, closes);
        self.put_net(report);
        self.put("virtualdomains", virtualdomains, report)?;
        report.done(self.plan, routes);
        if owed {
            self.tell(report).await?;
        }
        self.put_opening(late, report)?;
        report.done(self.plan, opens);
        self.remove_net(report);
        // Nobody knows that qmail was stopped all the time.
        self.remember(&Memory { owed: owed && self.pass.no_hup, ..self.plan.memory.clone() })
    }

    fn remember(&self, memory: &Memory) -> Result<(), Failure> {
        memory::write(&self.pass.qmail, memory, &self.control.wrote)
    }

    /// True if any host would be accepted that is not now, whoever has written its line: qmail-send may not have read yet
    /// what says where its mail goes.
    fn gains(&self, late: &Contents) -> bool {
        let now: HashSet<_> = self.control.content("rcpthosts").into_iter().flat_map(keys).collect();
        let is_new =
            |key: &Vec<u8>| !now.contains(key) && !self.cdb.keys.as_ref().is_some_and(|keys| keys.contains(key));
        late.rcpthosts.iter().flat_map(|content| keys(content)).any(|key| is_new(&key))
            || late.database.iter().flatten().any(is_new)
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

    /// Has qmail-send read virtualdomains and locals.
    ///
    /// # Errors
    /// If it has perhaps not.
    async fn tell(&self, report: &mut Report) -> Result<(), Failure> {
        let Pass { qmail, how, no_hup, .. } = self.pass;
        if let Some(what) = &self.unreadable {
            return Err(Failure::temporary(format!("{what}; nothing was added to rcpthosts")));
        }
        if !no_hup {
            return send::reread(how, qmail).await;
        }
        if let QmailSend::Command(command) = how {
            let what = format!("qmail-send is told by `{command}`, so that it is not known whether it runs");
            report.note(format!("{what}: --no-hup is for while it does not"));
        }
        send::running(qmail)?.map_or(Ok(()), |pid| {
            let what = format!("qmail-send runs (process {pid}), and has not read virtualdomains");
            Err(Failure::temporary(format!("{what}: nothing was added to rcpthosts; run sync without --no-hup")))
        })
    }

    /// # Errors
    /// If morercpthosts.cdb has hosts of which nobody knows whether they may go.
    fn check_database(&self) -> Result<(), Failure> {
        let source = self.control.content("morercpthosts");
        let path = self.control.path("morercpthosts.cdb").display().to_string();
        if self.cdb.is_damaged && source.is_none() {
            let what =
                "is damaged, or no constant database, and the file that it was made of, morercpthosts, is not there";
            return Err(Failure::temporary(format!(
                "{path} {what}: write that, and run qmail-newmrh; nothing was written"
            )));
        }
        let untouched = source.is_none() && self.plan.late.morercpthosts.is_empty();
        if self.pass.yes || untouched {
            return Ok(());
        }
        let made: HashSet<_> = source.into_iter().flat_map(keys).collect();
        let lost: Vec<_> = self.cdb.keys.iter().flatten().filter(|key| !made.contains(*key)).collect();
        let Some(first) = lost.first() else { return Ok(()) };
        let (first, count) = (String::from_utf8_lossy(first), lost.len());
        let what =
            format!("has {count} hosts that the file it is made of, morercpthosts, has not; the first is {first}");
        let help = "write its hosts there; or, if they may go, run qmail-newmrh, or sync --yes";
        Err(Failure::temporary(format!("{path} {what}: {help}; nothing was written")))
    }

    /// rcpthosts and morercpthosts with these hosts, and the database.
    fn contents(&self, accepted: &Accepted) -> Contents {
        let lines = |marked: &Marked, hosts: &BTreeSet<Host>| marked.write(hosts.iter().map(Host::as_bytes));
        let around = self.around;
        let rcpthosts =
            if around.is_open && !self.plan.create { None } else { lines(&around.rcpthosts, &accepted.rcpthosts) };
        let morercpthosts = lines(&around.morercpthosts, &accepted.morercpthosts);
        let database = match &morercpthosts {
            Some(content) => Some(database(content)),
            // Ours was the only line; or it was never ours.
            None => self.cdb.keys.clone().filter(|_| self.control.content("morercpthosts").is_none()),
        };
        Contents { rcpthosts, morercpthosts, database }
    }

    /// What may be written before qmail-send was told: no file gains a host, and the database loses one before
    /// morercpthosts does, which is what it is compared with.
    fn put_closing(&mut self, contents: Contents, report: &mut Report) -> Result<(), Failure> {
        let Contents { rcpthosts, morercpthosts, mut database } = contents;
        // Nobody ever removes it.
        if rcpthosts.is_some() {
            self.put("rcpthosts", rcpthosts, report)?;
        }
        match (&self.cdb.keys, &mut database) {
            (Some(now), Some(keys)) => keys.retain(|key| now.contains(key)),
            (None, Some(_)) => return self.put("morercpthosts", morercpthosts, report),
            (_, None) => (),
        }
        self.put_database(database, report)?;
        self.put("morercpthosts", morercpthosts, report)
    }

    /// The file that gains a host is written before one that loses it.
    fn put_opening(&mut self, contents: Contents, report: &mut Report) -> Result<(), Failure> {
        self.put("morercpthosts", contents.morercpthosts, report)?;
        self.put_database(contents.database, report)?;
        if contents.rcpthosts.is_some() { self.put("rcpthosts", contents.rcpthosts, report) } else { Ok(()) }
    }

    fn put_database(&mut self, keys: Option<BTreeSet<Vec<u8>>>, report: &mut Report) -> Result<(), Failure> {
        if !self.cdb.is_damaged && self.cdb.keys == keys {
            return Ok(());
        }
        let content = keys.as_ref().map(|keys| cdb::content(keys.iter().map(Vec::as_slice))).transpose()?;
        self.put("morercpthosts.cdb", content, report)?;
        self.cdb = Cdb { keys, is_damaged: false };
        Ok(())
    }

    fn put(&mut self, name: &'static str, content: Option<Vec<u8>>, report: &mut Report) -> Result<(), Failure> {
        if self.control.put(name, content)? {
            report.wrote(self.control.path(name));
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
        let Some(alias) = &self.alias else {
            report.alarm("the alias user has no home: virtual hosts have no safety net (docs/sync.md)".to_owned());
            return;
        };
        if let Err(error) = net::put(alias, &hosts) {
            report.alarm(format!("not every virtual host has its safety net: {error}"));
        }
    }

    fn remove_net(&self, report: &mut Report) {
        let Some(alias) = &self.alias else { return };
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
        let is = |name| self.control.content(name);
        let changes = [
            ("virtualdomains", routes_change),
            ("morercpthosts", late.morercpthosts.as_deref() != is("morercpthosts")),
            ("morercpthosts.cdb", self.cdb.is_damaged || late.database != self.cdb.keys),
            ("rcpthosts", late.rcpthosts.as_deref() != is("rcpthosts")),
        ];
        changes.iter().filter(|(_, changes)| *changes).for_each(|(name, _)| report.wrote(self.control.path(name)));
        [closes, routes, opens].iter().for_each(|part| report.done(self.plan, part));
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
