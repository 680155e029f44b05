//! Looks at the homes of mailboxes as qmail-getpw and qmail-local do (rule G3).

use super::Lint;
use super::ask::{AT_ONCE, Ask};
use super::dwelling::{Dwelling, Flaw, Person};
use super::machine::{blocking, path};
use super::targets::KEYS;
use super::words::quoted;
use crate::output::Failure;
use futures_util::stream::{self, StreamExt};
use nix::unistd::User;
use qmail_lookup_core::alias::instructions;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::AliasKey;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::settings::HomeTrouble;
use qmail_lookup_core::{AliasRow, Ext, Instruction, Mailbox, Table, TableRow};

/// After so many homes that did not answer the others are not looked at: each of them holds a thread.
const SILENT_MAX: u64 = 64;

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
            let mut looks = stream::iter(homes).map(|home| look(home, looker)).buffered(AT_ONCE);
            while let Some((mailbox, flaws)) = looks.next().await {
                silent = silent.saturating_add(u64::from(flaws.is_none()));
                for finding in findings(&ask, &mailbox, flaws.unwrap_or_else(|| vec![Flaw::Silent])) {
                    lint.report.push(finding);
                }
            }
        }
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
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

/// Who looks at homes before a delivery: qmailp, if this machine has him.
fn looker() -> Result<Option<Person>, Failure> {
    let found = User::from_name("qmailp")
        .map_err(|error| Failure::temporary(format!("cannot ask the system for user qmailp: {error}")))?;
    Ok(found.map(|user| Person { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
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
async fn look(home: Home, looker: Option<Person>) -> (Mailbox, Option<Vec<Flaw>>) {
    let Home { mailbox, maildirs } = home;
    let owner = Person { uid: mailbox.uid, gid: mailbox.gid };
    let dwelling = Dwelling { path: path(&mailbox.home).to_path_buf(), owner, looker };
    let flaws = blocking(move || dwelling.flaws(&maildirs)).await;
    (mailbox, flaws)
}

fn findings(ask: &Ask, mailbox: &Mailbox, flaws: Vec<Flaw>) -> Vec<Finding> {
    flaws.into_iter().map(|flaw| finding(ask, mailbox, flaw)).collect()
}

fn finding(ask: &Ask, mailbox: &Mailbox, flaw: Flaw) -> Finding {
    let Mailbox { uid, gid, home, .. } = mailbox;
    let rules = &ask.lookup.settings;
    let shown = printable(home);
    // A file name that is no text cannot be written into a command.
    let command = |command: String, path: &[u8]| match quoted(path) {
        Some(path) => Repair::Command(format!("{command} {path}")),
        None => Repair::Words(format!("{command}, for {}", printable(path))),
    };
    let by = |policy| match policy {
        HomeTrouble::Defer => (Severity::Error, "its mail waits"),
        HomeTrouble::Alias => (Severity::Warning, "the alias user gets its mail"),
    };
    let waits = (Severity::Error, "its mail waits");
    let ((severity, comes), what, repair) = match flaw {
        Flaw::Missing => {
            let make = command(format!("install -d -m 0700 -o {uid} -g {gid}"), home);
            (by(rules.home_missing), format!("its home {shown} does not exist"), make)
        }
        Flaw::NoDirectory => {
            (waits, format!("its home {shown} is no directory"), Repair::Words("correct column home".to_owned()))
        }
        Flaw::Owner(found) => {
            let what = format!("its home {shown} is owned by {}:{}, and not by {uid}:{gid}", found.uid, found.gid);
            (by(rules.home_mismatch), what, command(format!("chown {uid}:{gid}"), home))
        }
        Flaw::Closed { directory, who } => {
            let what = format!("{} on the way to its home cannot be searched by uid {}", directory.display(), who.uid);
            let directory = directory.as_os_str().as_encoded_bytes();
            let change = if directory == home { "chmod u+x" } else { "chmod a+x" };
            (waits, what, command(change.to_owned(), directory))
        }
        Flaw::OthersWrite => {
            (waits, format!("others may write in its home {shown}"), command("chmod o-w".into(), home))
        }
        Flaw::GroupWrites => {
            let comes = (Severity::Warning, "whoever is in that group can redirect its mail");
            (comes, format!("group {gid} may write in its home {shown}"), command("chmod g-w".into(), home))
        }
        Flaw::Sticky => {
            let what = format!("its home {shown} is sticky, as while its owner edits his files");
            (waits, what, command("chmod -t".into(), home))
        }
        Flaw::NoMaildir(maildir) => {
            let what = format!("{} of its default delivery is no maildir", printable(&maildir));
            let make = format!("setpriv --reuid={uid} --regid={gid} --clear-groups maildirmake");
            (waits, what, command(make, &maildir))
        }
        Flaw::Unseen(why) => {
            let comes = (Severity::Warning, "nobody knows what its mail does");
            (
                comes,
                format!("its home {shown} cannot be looked at: {why}"),
                Repair::Words("run this as root".to_owned()),
            )
        }
        Flaw::Silent => {
            let what = format!("its home {shown} does not answer");
            (waits, what, Repair::Words("mend the file server".to_owned()))
        }
    };
    Finding {
        severity,
        rule: "G3",
        table: Table::Mailbox,
        key: mailbox.username.to_string(),
        why: format!("{what}: {comes}"),
        repair,
    }
}
