//! users/cdb comes before qmail-getpw: what it takes away from the rows.

use super::remarks::Remarks;
use crate::output::{Failure, text};
use crate::qmail::assigned::{self, Line};
use crate::session::Session;
use nix::unistd::{Uid, User};
use qmail_lookup_config::Right;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::mailbox::MailboxRow;
use qmail_lookup_core::{Deadline, Table, TableRow};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Rows at a time.
const BATCH: usize = 500;

/// Looks at all lines. One pass over table mailbox, if there are any.
pub(in crate::verbs) async fn judge(session: &Session, qmail: &Path, remarks: &mut Remarks) {
    let Some(Some(lines)) = remarks.known(assigned::read(qmail)) else { return };
    if let Some(all) = lines.iter().find(|line| line.is_prefix && line.name.is_empty()) {
        let what = format!("users/cdb has the line {} for everybody, so qmail-getpw is never run", all.shown());
        remarks.refuse(what, "take it out of users/assign and run qmail-newu, or remove users/cdb");
        return;
    }
    if lines.is_empty() {
        return;
    }
    let mut seen = Seen::of(&lines, session.config.rules.break_chars.as_bytes());
    if remarks.known(scan(session, |row| seen.mailbox(row)).await).is_some() {
        seen.tell(session, remarks);
    }
}

async fn scan(session: &Session, mut each: impl FnMut(&MailboxRow)) -> Result<(), Failure> {
    let by = || Deadline::after(session.config.deadline);
    let Some(catalog) = session.stores.mailbox.catalog() else { return Ok(()) };
    let mut scan = catalog.scan(Table::Mailbox, None, by()).await?;
    loop {
        let rows = scan.next(BATCH, by()).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            if let TableRow::Mailbox(row) = row {
                each(&row.mailbox);
            }
        }
    }
}

/// The lines, and what was found out about them.
struct Seen<'a> {
    exact: HashMap<&'a [u8], &'a Line>,
    prefix: HashMap<&'a [u8], &'a Line>,
    breaks: &'a [u8],
    /// By what the line shows: the mailboxes whose mail it gives to another uid, the first of them by name.
    taken: BTreeMap<String, (Vec<u8>, usize)>,
    /// Users of lines, with their uids; those that are mailboxes are taken out.
    strangers: BTreeMap<(Vec<u8>, u32), &'a Line>,
}

impl<'a> Seen<'a> {
    fn of(lines: &'a [Line], breaks: &'a [u8]) -> Self {
        let of = |is_prefix| move |line: &&Line| line.is_prefix == is_prefix;
        let named = |line: &'a Line| (line.name.as_slice(), line);
        Self {
            exact: lines.iter().filter(of(false)).map(named).collect(),
            prefix: lines.iter().filter(of(true)).map(named).collect(),
            breaks,
            taken: BTreeMap::new(),
            strangers: lines.iter().map(|line| ((line.user.clone(), line.uid), line)).collect(),
        }
    }

    /// The line by which qmail-lspawn finds `local`.
    fn find(&self, local: &[u8]) -> Option<&'a Line> {
        let prefixes = || (1..=local.len()).rev().filter_map(|end| self.prefix.get(local.get(..end)?));
        self.exact.get(local).or_else(|| prefixes().next()).copied()
    }

    fn mailbox(&mut self, row: &MailboxRow) {
        let (name, digits) =
            (fold(row.username.as_deref().unwrap_or_default()), row.uid.as_deref().unwrap_or_default());
        let uid: Option<u32> = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        if let Some(uid) = uid {
            self.strangers.remove(&(name.clone(), uid));
        }
        let with_extension = self.breaks.first().map(|&byte| [&name[..], &[byte]].concat());
        for local in [Some(&name), with_extension.as_ref()].into_iter().flatten() {
            if let Some(line) = self.find(local)
                && Some(line.uid) != uid
            {
                self.taken.entry(line.shown()).or_insert((name.clone(), 0)).1 += 1;
                return;
            }
        }
    }

    fn tell(self, session: &Session, remarks: &mut Remarks) {
        for (line, (first, count)) in self.taken {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            let what = format!("users/cdb gives mail of mailbox {}{more} to another: {line}", text(&first));
            remarks.warn(what, "such mail waits; take the line out of users/assign, or the row out of table mailbox");
        }
        for ((user, uid), line) in self.strangers {
            let name = text(&user);
            let found = User::from_name(&name)
                .map_err(|error| std::io::Error::other(format!("user {name} cannot be looked up: {error}")));
            let Some(found) = remarks.known(found) else { continue };
            if found.is_some_and(|found| found.uid.as_raw() == uid) || may_deliver(session, uid) {
                continue;
            }
            let what =
                format!("users/cdb names {name}, who is no mailbox and no system user of uid {uid}: {}", line.shown());
            let help = format!("such mail waits; {}", by_files(uid));
            remarks.warn(what, help);
        }
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
