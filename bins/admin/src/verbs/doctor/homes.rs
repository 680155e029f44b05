//! Homes and maildirs, tried with the uid and gid that will need them.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT};
use super::ids::{Ids, follow};
use super::questions::{ALIAS, MAILDIR};
use super::rows::Sample;
use crate::home;
use qmail_lookup_config::quoted;
use qmail_lookup_core::getpw::HomeCheck;
use qmail_lookup_core::{Deadline, Mailbox};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Mode bits with which qmail-local delivers nothing.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// What came of all of them.
#[derive(Default)]
struct Found {
    homes: Vec<Outcome>,
    maildirs: Vec<Outcome>,
    without: usize,
}

pub(super) async fn run(host: &Host<'_>, sample: &Sample, report: &mut Report) {
    if !matches!(sample, Sample::Rows(..)) {
        sample.rows(ALIAS, report);
        sample.rows(MAILDIR, report);
        return;
    }
    if !host.is_root {
        report.unknown(ALIAS, NOT_ROOT, AS_ROOT);
        return report.unknown(MAILDIR, NOT_ROOT, AS_ROOT);
    }
    let mut found = Found::default();
    // What the rules refuse is the rows', and is told there.
    let rules = &host.session.config.rules;
    let mailboxes = sample.rows(ALIAS, report).iter().filter_map(|row| row.mailbox.validate(rules).ok());
    for mailbox in mailboxes {
        look(host, &mailbox, &mut found).await;
    }
    report.all(ALIAS, found.homes, format!("homes belong to the uid and gid of their rows ({})", sample.many()));
    let without = match found.without {
        0 => String::new(),
        count => format!("; {count} have no Maildir, which only who reads mail there needs"),
    };
    report.all(MAILDIR, found.maildirs, format!("every Maildir can be reached and written by its user{without}"));
}

async fn look(host: &Host<'_>, mailbox: &Mailbox, found: &mut Found) {
    let ids = Ids { uid: mailbox.uid, gid: mailbox.gid };
    let home = PathBuf::from(OsStr::from_bytes(&mailbox.home));
    let (name, shown) = (&mailbox.username, quoted(&home));
    let own = format!("{}:{}", ids.uid, ids.gid);
    match home::look(mailbox, Deadline::after(host.session.config.deadline)).await {
        HomeCheck::Fine => {}
        HomeCheck::Missing => {
            let mend = format!("install -d -m 0700 -o {} -g {} {shown}", ids.uid, ids.gid);
            return found.homes.push(Outcome::wrong(format!("mailbox {name}: {shown} is not there"), mend));
        }
        HomeCheck::OtherOwner => {
            let what = format!("mailbox {name}: {shown} does not belong to uid and gid {own} of its row");
            return found.homes.push(Outcome::wrong(what, format!("chown {own} {shown}")));
        }
        HomeCheck::CannotExamine => {
            let why = format!("mailbox {name}: {shown} cannot be looked at");
            return found.homes.push(Outcome::Unknown { why, mend: format!("ls -ld {shown}") });
        }
    }
    match maildir(ids, &home).await {
        Maildir::Fine => {}
        Maildir::Absent if host.options.user.is_none() => found.without += 1,
        Maildir::Absent => {
            let what = format!("mailbox {name}: {shown} holds no Maildir");
            found.maildirs.push(Outcome::wrong(what, make(ids, &home)));
        }
        Maildir::Wrong(what, mend) => found.maildirs.push(Outcome::wrong(format!("mailbox {name}: {what}"), mend)),
        Maildir::Unknown(why) => {
            let why = format!("mailbox {name}: {why}");
            found.maildirs.push(Outcome::Unknown { why, mend: format!("ls -ld {shown}/Maildir") });
        }
    }
}

enum Maildir {
    Fine,
    Absent,
    Wrong(String, String),
    Unknown(String),
}

async fn maildir(ids: Ids, home: &Path) -> Maildir {
    match ids.obstacle(home, "x").await {
        Ok(None) => {}
        Ok(Some(obstacle)) => return Maildir::Wrong(obstacle.what(), obstacle.mend()),
        Err(error) => return Maildir::Unknown(error.to_string()),
    }
    let (shown, mode) = match follow(home).await {
        Ok(way) => (quoted(home), way.end.mode),
        Err(error) => return Maildir::Unknown(error.to_string()),
    };
    if mode & OTHERS_WRITE != 0 {
        return Maildir::Wrong(format!("everybody can write to {shown}: its mail waits"), format!("chmod o-w {shown}"));
    }
    if mode & STICKY != 0 {
        return Maildir::Wrong(format!("{shown} is sticky: its mail waits"), format!("chmod -t {shown}"));
    }
    let maildir = home.join("Maildir");
    for (name, needs) in [("", "wx"), ("tmp", "rwx"), ("new", "rwx"), ("cur", "rwx")] {
        let folder = if name.is_empty() { maildir.clone() } else { maildir.join(name) };
        match ids.obstacle(&folder, needs).await {
            Ok(None) => {}
            Ok(Some(obstacle)) if obstacle.is_own() || !obstacle.path.starts_with(&maildir) => {
                return Maildir::Wrong(obstacle.what(), obstacle.mend());
            }
            Ok(Some(obstacle)) => {
                let mend = format!("chown -hR {}:{} {}", ids.uid, ids.gid, quoted(&maildir));
                return Maildir::Wrong(obstacle.what(), mend);
            }
            Err(error) if error.kind() == ErrorKind::NotFound && name.is_empty() => return Maildir::Absent,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Maildir::Wrong(format!("{} is not there", folder.display()), make(ids, home));
            }
            Err(error) => return Maildir::Unknown(format!("{}: {error}", folder.display())),
        }
    }
    Maildir::Fine
}

/// The command that makes a maildir, as its owner: what he has put in the way cannot lead root elsewhere.
fn make(ids: Ids, home: &Path) -> String {
    let maildir = home.join("Maildir");
    let folders = ["", "/tmp", "/new", "/cur"].map(|name| quoted(Path::new(&format!("{}{name}", maildir.display()))));
    let user = format!("setpriv --reuid={} --regid={} --clear-groups", ids.uid, ids.gid);
    format!("{user} mkdir -p -m 0700 {}", folders.join(" "))
}
