//! users/cdb comes before qmail-getpw: what it takes away from the rows.

use super::remarks::Remarks;
use crate::output::{Failure, text};
use crate::pages::Pages;
use crate::qmail::assigned;
use crate::session::Session;
use nix::unistd::{Uid, User};
use qmail_lookup_config::Right;
use qmail_lookup_core::lint::assigned::{AssignedJudge, Line};
use qmail_lookup_core::settings::RcpthostsOnly;
use qmail_lookup_core::{Table, TableRow};
use std::collections::BTreeSet;
use std::path::Path;

/// Looks at all lines. One pass over table mailbox, if there are any; and one over the hosts, if a line could take theirs.
pub(in crate::verbs) async fn judge(session: &Session, qmail: &Path, remarks: &mut Remarks) {
    let Some(Some(lines)) = remarks.known(assigned::read(qmail)) else { return };
    let mut judge = AssignedJudge::new(lines, session.config.rules.break_chars.as_bytes());
    if let Some(all) = judge.everybody() {
        let what = format!("users/cdb has the line {all} for everybody, so qmail-getpw is never run");
        remarks.refuse(what, "take it out of users/assign and run qmail-newu, or remove users/cdb");
        return;
    }
    if judge.is_empty() || remarks.known(read(session, &mut judge).await).is_none() {
        return;
    }
    let (mut taken, mut strangers) = judge.end();
    taken.sort_by_cached_key(|taken| (taken.table, taken.line.to_string()));
    for taken in taken {
        let help = "such mail waits; take the line out of users/assign and run qmail-newu, or the row out of the table";
        remarks.warn(taken.to_string(), help);
    }
    strangers.sort_by(|one, other| (&one.user, one.uid).cmp(&(&other.user, other.uid)));
    tell(strangers, session, remarks);
}

async fn read(session: &Session, judge: &mut AssignedJudge) -> Result<(), Failure> {
    let mut pages = Pages::begin(session, Table::Mailbox).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return hosts(session, judge).await;
        }
        for row in &page {
            if let TableRow::Mailbox(row) = row {
                judge.mailbox(&row.mailbox);
            }
        }
    }
}

/// Shows `judge` every host that can be virtual, if it asks for them.
///
/// # Errors
/// If the store cannot be read.
pub(in crate::verbs) async fn hosts(session: &Session, judge: &mut AssignedJudge) -> Result<(), Failure> {
    if !judge.asks_hosts() {
        return Ok(());
    }
    let is_local = session.config.rules.rcpthosts_only == RcpthostsOnly::Local;
    for table in [Some(Table::Virtual), is_local.then_some(Table::Rcpthosts)].into_iter().flatten() {
        let mut pages = Pages::begin(session, table).await?;
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                match row {
                    TableRow::Virtual(row) => judge.host(row.virtual_host.as_deref().unwrap_or_default()),
                    TableRow::Rcpthosts(row) => judge.host(row.host.as_deref().unwrap_or_default()),
                    TableRow::Mailbox(_) | TableRow::Alias(_) => (),
                }
            }
        }
    }
    Ok(())
}

/// Users of lines who are no mailboxes: each once.
fn tell(strangers: Vec<Line>, session: &Session, remarks: &mut Remarks) {
    let mut told = BTreeSet::new();
    for line in strangers {
        let (name, uid) = (text(&line.user), line.uid);
        if !told.insert((name.clone(), uid)) {
            continue;
        }
        let found = User::from_name(&name)
            .map_err(|error| std::io::Error::other(format!("user {name} cannot be looked up: {error}")));
        let Some(found) = remarks.known(found) else { continue };
        if found.is_some_and(|found| found.uid.as_raw() == uid) || may_deliver(session, uid) {
            continue;
        }
        let what = format!("users/cdb names {name}, who is no mailbox and no system user of uid {uid}: {line}");
        remarks.warn(what, format!("such mail waits; {}", by_files(uid)));
    }
}

/// Whether `[daemon.allow]` lets this uid deliver by files.
fn may_deliver(session: &Session, uid: u32) -> bool {
    let allow = session.config.daemon.allow.iter().filter(|(_, rights)| rights.contains(&Right::DeliverFiles));
    allow.into_iter().any(|(name, _)| User::from_name(name).ok().flatten().is_some_and(|user| user.uid.as_raw() == uid))
}

/// How it is let.
fn by_files(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => {
            format!("to have it delivered by files, put {} = [\"deliver_files\"] into [daemon.allow]", user.name)
        }
        Ok(None) | Err(_) => "make a system user of that uid, and give him deliver_files in [daemon.allow]".to_owned(),
    }
}
