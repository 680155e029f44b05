//! Looks at the homes of mailboxes as qmail-getpw and qmail-local do (rule G3).

use super::Lint;
use super::ask::{AT_ONCE, Ask};
use super::dwelling::{Dwelling, Flaw};
use super::machine::{blocking, path};
use super::targets::KEYS;
use crate::home::SILENT_MAX;
use crate::output::Failure;
use crate::path_repair::{Mend, Owner};
use futures_util::stream::{self, StreamExt};
use nix::unistd::User;
use qmail_lookup_core::alias::instructions;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::AliasKey;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::settings::HomeTrouble;
use qmail_lookup_core::{AliasRow, Ext, Instruction, Mailbox, Table, TableRow};
use std::sync::Arc;

/// Most findings of missing homes that wait for one that is there.
const HELD_MAX: usize = 1000;

/// A mailbox and the maildirs of its default delivery.
struct Home {
    mailbox: Mailbox,
    maildirs: Vec<Vec<u8>>,
}

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    if lint.options.no_homes {
        return Ok(());
    }
    let ask = Ask::new(lint)?;
    let looker = looker()?;
    let (mut silent, mut skipped) = (0_u64, 0_u64);
    let mut missing = Missing::default();
    let mut pages = lint.pages(Table::Mailbox, "looking at homes").await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        let rules = &ask.lookup.settings;
        // Bad rows are reported by themselves.
        let mailboxes = page.iter().filter_map(|row| match row {
            TableRow::Mailbox(row) => row.mailbox.validate(rules).ok(),
            TableRow::Alias(_) | TableRow::Virtual(_) | TableRow::Rcpthosts(_) => None,
        });
        for some in mailboxes.collect::<Vec<_>>().chunks(KEYS) {
            let homes = with_maildirs(&ask, some).await?;
            if silent >= SILENT_MAX {
                skipped = skipped.saturating_add(u64::try_from(homes.len()).unwrap_or(u64::MAX));
                continue;
            }
            let mut looks = stream::iter(homes).map(|home| look(&ask, home, looker)).buffered(AT_ONCE);
            while let Some((mailbox, flaws)) = looks.next().await {
                silent = silent.saturating_add(u64::from(flaws.is_none()));
                let flaws =
                    flaws.unwrap_or_else(|| vec![(Flaw::Silent, Mend::Words("mend the file server".to_owned()))]);
                let is_there = !flaws.iter().any(|(flaw, _)| matches!(flaw, Flaw::Missing | Flaw::Silent));
                let findings: Vec<Finding> = flaws.into_iter().map(|flaw| finding(&ask, &mailbox, flaw)).collect();
                missing.take(findings, is_there).into_iter().for_each(|finding| lint.report.push(finding));
            }
        }
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
    missing.rest().into_iter().for_each(|finding| lint.report.push(finding));
    if skipped > 0 {
        lint.report.push(Finding {
            severity: Severity::Warning,
            rule: "G3",
            table: Table::Mailbox,
            key: String::new(),
            why: format!("{silent} homes did not answer, so {skipped} more were not looked at"),
            repair: Repair::Words("mend the file server, and run this again".to_owned()),
        });
    }
    Ok(())
}

/// Findings of the first homes, while all of them are missing: then it is rather their file system that is.
#[derive(Default)]
struct Missing {
    held: Vec<Finding>,
    /// One home is there.
    some: bool,
    /// None of very many was there.
    none: bool,
}

impl Missing {
    /// Takes the findings of the next home, and returns those that can be told now.
    fn take(&mut self, findings: Vec<Finding>, is_there: bool) -> Vec<Finding> {
        self.some |= is_there;
        self.held.extend(findings);
        if self.some {
            return std::mem::take(&mut self.held);
        }
        self.none |= self.held.len() >= HELD_MAX;
        if self.none { self.in_words() } else { Vec::new() }
    }

    /// What is left at the end.
    fn rest(mut self) -> Vec<Finding> {
        if self.held.len() > 1 { self.in_words() } else { self.held }
    }

    fn in_words(&mut self) -> Vec<Finding> {
        let mut held = std::mem::take(&mut self.held);
        for finding in &mut held {
            if matches!(finding.repair, Repair::Command(_)) {
                let text = "no home that was looked at is there: is their file system mounted?";
                finding.repair = Repair::Words(text.to_owned());
            }
        }
        held
    }
}

/// Who looks at homes before a delivery: qmailp, if this machine has him.
fn looker() -> Result<Option<Owner>, Failure> {
    let found = User::from_name("qmailp")
        .map_err(|error| Failure::temporary(format!("cannot ask the system for user qmailp: {error}")))?;
    Ok(found.map(|user| Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// The maildirs that the rows of the blank alias name, for each mailbox.
async fn with_maildirs(ask: &Ask, mailboxes: &[Mailbox]) -> Result<Vec<Home>, Failure> {
    let blank = Ext::new(b"");
    let key = |mailbox: &Mailbox| Some(AliasKey { username: mailbox.username.clone(), alias: blank.clone()? });
    let keys: Vec<AliasKey> = mailboxes.iter().filter_map(key).collect();
    let rows = if keys.is_empty() { Vec::new() } else { ask.lookup.alias.aliases(&keys, ask.by()).await? };
    let home = |mailbox: &Mailbox| {
        let is_his = |row: &&AliasRow| {
            mailbox.username.matches(row.username.as_deref()) && row.alias.as_deref().unwrap_or_default().is_empty()
        };
        let set: Vec<AliasRow> = rows.iter().filter(is_his).cloned().collect();
        let read = instructions(&set, &mailbox.home, &ask.lookup.settings).unwrap_or_default();
        let maildirs = read.into_iter().filter_map(|one| match one {
            Instruction::Maildir(path) => Some(path),
            Instruction::Program(_) | Instruction::Mbox(_) | Instruction::Forward(_) => None,
        });
        Home { mailbox: mailbox.clone(), maildirs: maildirs.collect() }
    };
    Ok(mailboxes.iter().map(home).collect())
}

/// What is wrong with a home; `None` if its file system does not answer.
async fn look(ask: &Ask, home: Home, looker: Option<Owner>) -> (Mailbox, Option<Vec<(Flaw, Mend)>>) {
    let Home { mailbox, maildirs } = home;
    let owner = Owner { uid: mailbox.uid, gid: mailbox.gid };
    let rules = Arc::clone(&ask.lookup.settings);
    let dwelling = Dwelling { path: path(&mailbox.home).to_path_buf(), owner, looker, rules };
    let flaws = blocking(move || dwelling.flaws(&maildirs)).await;
    (mailbox, flaws)
}

fn finding(ask: &Ask, mailbox: &Mailbox, (flaw, mend): (Flaw, Mend)) -> Finding {
    let Mailbox { uid, gid, home, .. } = mailbox;
    let rules = &ask.lookup.settings;
    let shown = printable(home);
    let by = |policy| match policy {
        HomeTrouble::Defer => (Severity::Error, "its mail waits"),
        HomeTrouble::Alias => (Severity::Warning, "the alias user gets its mail"),
    };
    let waits = (Severity::Error, "its mail waits");
    let ((severity, comes), what) = match flaw {
        Flaw::Missing => (by(rules.home_missing), format!("its home {shown} does not exist")),
        Flaw::NoDirectory => (waits, format!("its home {shown} is no directory")),
        Flaw::Owner(found) => {
            let what = format!("its home {shown} is owned by {}:{}, and not by {uid}:{gid}", found.uid, found.gid);
            (by(rules.home_mismatch), what)
        }
        Flaw::Closed { directory, who } => {
            let directory = printable(directory.as_os_str().as_encoded_bytes());
            (waits, format!("{directory} on the way to its home cannot be searched by uid {}", who.uid))
        }
        Flaw::OthersWrite => (waits, format!("others may write in its home {shown}")),
        Flaw::GroupWrites => {
            let comes = (Severity::Warning, "whoever is in that group can redirect its mail");
            (comes, format!("group {gid} may write in its home {shown}"))
        }
        Flaw::Sticky => (waits, format!("its home {shown} is sticky, as while its owner edits his files")),
        Flaw::NoMaildir(maildir) => (waits, format!("{} of its default delivery is no maildir", printable(&maildir))),
        Flaw::Unseen(why) => {
            let comes = (Severity::Warning, "nobody knows what its mail does");
            (comes, format!("its home {shown} cannot be looked at: {why}"))
        }
        Flaw::Silent => (waits, format!("its home {shown} does not answer")),
    };
    Finding {
        severity,
        rule: "G3",
        table: Table::Mailbox,
        key: mailbox.username.to_string(),
        why: format!("{what}: {comes}"),
        repair: mend.into(),
    }
}
