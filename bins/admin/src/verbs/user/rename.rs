//! `user rename`.
//!
//! Where one store holds all rows, all of them change in one transaction. Elsewhere copies come first, so that at each
//! step both names, or the one that is asked for, get their mail as before; what stops in between goes on when it is run
//! again.

use crate::cli;
use crate::editing::rows::{Others, by, editor, is_no_canary, is_of_a_longer_name, mailbox, of_key, others, store};
use crate::editing::{Plan, carry_out, finish, review, tell_daemon};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::qmail::files;
use crate::session::Session;
use qmail_lookup_config::control;
use qmail_lookup_core::alias::without_trailing_blanks;
use qmail_lookup_core::control::{Control, first_line};
use qmail_lookup_core::editing::{belongs_to, of_owner, renamed};
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::{Change, CredentialRow, Numbering, Table, TableRow, Username};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most rows of others that are named one by one.
const NAMED: usize = 3;

/// What is left to do, row by row: those that are copied already are only deleted.
struct Left {
    mailbox: Option<TableRow>,
    aliases: Vec<TableRow>,
    virtuals: Vec<TableRow>,
    /// The copies that are there.
    copies: Vec<TableRow>,
}

pub(super) async fn run(
    session: &Session,
    name: &Username,
    new: &Username,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if name == new {
        return Err(Failure::usage(format!("{name} is its name already")));
    }
    let is_one = is_one_transaction(session);
    let (row, taken) = (mailbox(session, name).await?, mailbox(session, new).await?);
    if let Some(row) = &row {
        is_valid(session, row, new)?;
    }
    if taken.is_some() && is_one {
        return Err(already(new));
    }
    if !edit.force {
        is_no_canary(session, name)?;
    }
    let (others, there) = (others(session, name).await?, others(session, new).await?);
    let Others { aliases, virtuals, forwards } = others;
    let names = Names::of(session, name, new)?.with_longer(session, &aliases).await?;
    let left = Left { mailbox: row.map(TableRow::Mailbox), aliases, virtuals, copies: there.aliases };
    match (&left.mailbox, taken.map(TableRow::Mailbox)) {
        (None, Some(_)) if !is_one && left.is_only_copied(&names) => {}
        (None, _) => return Err(Failure::refused(format!("there is no mailbox {name}"))),
        (Some(_), None) => {
            let is_ours = |row: &TableRow| !is_one && left.aliases.iter().any(|old| is_copy(row, old, &names));
            let orphans = left.copies.iter().filter(|row| !is_ours(row)).count();
            if orphans + there.virtuals.len() > 0 && !edit.force {
                return Err(orphaned(new, orphans, there.virtuals.len()));
            }
        }
        (Some(row), Some(copy)) if renamed(row, new) == copy => {}
        (Some(_), Some(_)) => return Err(already(new)),
    }
    let theirs: Vec<String> = forwards.iter().filter(|row| !name.matches(of_owner(row))).map(key_of).collect();
    let count = theirs.len();
    let mut remarks = Vec::new();
    if count > 0 {
        remarks.push(format!("{count} row(s) of table alias forward to {name} or its extensions still"));
    }
    let hint = (count > 0).then(|| {
        let mut named: Vec<String> = theirs.into_iter().take(NAMED).collect();
        named.extend((count > NAMED).then(|| format!("{} more", count - NAMED)));
        let what =
            format!("other users' rows of table alias forward to {name} or its extensions: {}", named.join(", "));
        ("dangling", format!("{what}; delete them first, or rename with --force and correct them then"))
    });
    let done = format!(
        "mailbox {name} is {new} now, with {} row(s) of table alias and {} of table virtual",
        left.aliases.len(),
        left.virtuals.len()
    );
    let plan = Plan {
        changes: left.changes(session, &names).await?,
        beside: [forwards, left.virtuals.clone()].concat(),
        renamed: Some((name.to_string(), new.to_string())),
        done,
        remarks,
        hint,
        ..Plan::default()
    };
    if let Some(exit) = review(session, &plan, edit, output).await? {
        return Ok(exit);
    }
    if is_one {
        carry_out(session, &plan.changes).await?;
    } else if let Err(failure) = in_steps(session, &left, &names).await {
        // The first half may be made.
        tell_daemon(session, output).await;
        return Err(halfway(session, name, new, failure).await);
    }
    finish(session, &plan, output).await
}

fn already(new: &Username) -> Failure {
    Failure::refused(format!("there is a mailbox {new} already; nothing was changed"))
}

fn orphaned(new: &Username, aliases: usize, virtuals: usize) -> Failure {
    let what =
        format!("there is no mailbox {new}, but {aliases} row(s) of table alias and {virtuals} of table virtual");
    Failure::refused(format!(
        "{what} of that name, which would become its own; nothing was changed (--force takes them)"
    ))
}

/// --force does not make a row that the rules never use.
fn is_valid(session: &Session, row: &CredentialRow, new: &Username) -> Result<(), Failure> {
    let before = row.mailbox.validate(&session.config.rules);
    let TableRow::Mailbox(row) = renamed(&TableRow::Mailbox(row.clone()), new) else { return Ok(()) };
    match row.mailbox.validate(&session.config.rules) {
        Err(bad) if bad.column == "username" || before.is_ok() => Err(Failure::refused(format!(
            "mailbox {new}: column {}: {}; nothing was changed ({})",
            bad.column, bad.problem, bad.rule
        ))),
        _ => Ok(()),
    }
}

/// True if all or nothing will be changed. A directory makes one change after the other.
fn is_one_transaction(session: &Session) -> bool {
    let stores = &session.stores;
    let is_same = |other| Arc::ptr_eq(&stores.mailbox, other);
    is_same(&stores.alias) && is_same(&stores.virtuals) && !is_directory(session, Table::Mailbox)
}

fn is_directory(session: &Session, table: Table) -> bool {
    store(session, table).kind() == "ldap"
}

/// Two names of a mailbox, and what tells its forwards to itself.
struct Names<'a> {
    old: &'a Username,
    new: &'a Username,
    breaks: &'a [u8],
    control: Control,
    /// What qmail puts behind a forward without host.
    bare_host: Option<Vec<u8>>,
    /// User parts, in lower case, that are a longer name's although they begin with the old one.
    longer: BTreeSet<Vec<u8>>,
}

impl<'a> Names<'a> {
    fn of(session: &'a Session, old: &'a Username, new: &'a Username) -> Result<Self, Failure> {
        let qmail = &session.config.qmail;
        let unreadable = |error: std::io::Error| Failure::temporary(error.to_string());
        let control = control::control(qmail).map_err(unreadable)?;
        let mut bare_host = None;
        for name in ["envnoathost", "me"] {
            let content = files::read(&qmail.join("control").join(name)).map_err(unreadable)?;
            bare_host = bare_host.or_else(|| first_line(&content.unwrap_or_default()).map(fold));
        }
        Ok(Self {
            old,
            new,
            breaks: session.config.rules.break_chars.as_bytes(),
            control,
            bare_host,
            longer: BTreeSet::new(),
        })
    }

    /// Finds out which forwards of `aliases` are to somebody whose name only begins with the old one.
    async fn with_longer(mut self, session: &Session, aliases: &[TableRow]) -> Result<Self, Failure> {
        let mut known = BTreeMap::new();
        for row in aliases {
            let TableRow::Alias(row) = row else { continue };
            let user = fold(row.alias_username.as_deref().unwrap_or_default());
            if belongs_to(&user, self.old, self.breaks)
                && is_of_a_longer_name(session, &user, self.old, &mut known).await?
            {
                self.longer.insert(user);
            }
        }
        Ok(self)
    }

    /// The row under the new name. What its own sets forward to the old name, or an extension of it, on a host that is
    /// local goes to the new one.
    fn renamed(&self, row: &TableRow) -> TableRow {
        let mut row = renamed(row, self.new);
        if let TableRow::Alias(row) = &mut row
            && let Some(user) = &row.alias_username
            && belongs_to(user, self.old, self.breaks)
            && !self.longer.contains(&fold(user))
            && self.is_local(row.alias_host.as_deref().unwrap_or_default())
        {
            let rest = user.get(self.old.as_bytes().len()..).unwrap_or_default();
            row.alias_username = Some([self.new.as_bytes(), rest].concat());
        }
        row
    }

    fn is_local(&self, host: &[u8]) -> bool {
        match without_trailing_blanks(host) {
            [] => self.bare_host.as_deref().is_some_and(|host| self.control.is_local(host)),
            host => self.control.is_local(host),
        }
    }
}

/// True if `row` is `old` under its new name. Numbers are the table's.
fn is_copy(row: &TableRow, old: &TableRow, names: &Names<'_>) -> bool {
    without_number(row.clone()) == without_number(names.renamed(old))
}

fn without_number(row: TableRow) -> TableRow {
    match row {
        TableRow::Alias(mut row) => {
            row.seq = None;
            TableRow::Alias(row)
        }
        row => row,
    }
}

fn replaced(old: &TableRow, names: &Names<'_>) -> Change {
    Change::Replace { old: old.clone(), new: names.renamed(old) }
}

impl Left {
    fn copy_of(&self, old: &TableRow, names: &Names<'_>) -> Option<&TableRow> {
        self.copies.iter().find(|row| is_copy(row, old, names))
    }

    /// True if nothing is left but rows of table alias that have been copied.
    fn is_only_copied(&self, names: &Names<'_>) -> bool {
        let all = self.aliases.iter().all(|old| self.copy_of(old, names).is_some());
        self.virtuals.is_empty() && !self.aliases.is_empty() && all
    }

    /// What it comes to, each row once.
    async fn changes(&self, session: &Session, names: &Names<'_>) -> Result<Vec<Change>, Failure> {
        let alias = |old: &TableRow| match self.copy_of(old, names) {
            Some(_) => Change::Delete(old.clone()),
            None => replaced(old, names),
        };
        let mut changes: Vec<Change> = self.aliases.iter().map(alias).collect();
        changes.extend(self.virtuals.iter().map(|old| replaced(old, names)));
        if let Some(old) = &self.mailbox {
            let is_there = of_key(session, Table::Mailbox, names.new.as_bytes()).await?.contains(&names.renamed(old));
            changes.push(if is_there { Change::Delete(old.clone()) } else { replaced(old, names) });
        }
        Ok(changes)
    }
}

/// Copies, and lets the addresses lead to them; then puts the old rows, with whatever other columns they have, in the
/// place of their copies.
async fn in_steps(session: &Session, left: &Left, names: &Names<'_>) -> Result<(), Failure> {
    let numbering = editor(session, Table::Alias)?.numbering(by(session)).await?;
    let copy = |old: &TableRow| match numbering {
        // Its number is taken as long as the old row is there.
        Numbering::Unique => without_number(names.renamed(old)),
        _ => names.renamed(old),
    };
    let missing = left.aliases.iter().filter(|old| left.copy_of(old, names).is_none());
    let mut changes: Vec<Change> = missing.map(|old| Change::Insert(copy(old))).collect();
    let there = of_key(session, Table::Mailbox, names.new.as_bytes()).await?;
    // Without addresses nobody asks for the new name yet.
    if let Some(old) = left.mailbox.as_ref().filter(|_| there.is_empty() && !left.virtuals.is_empty()) {
        changes.push(Change::Insert(names.renamed(old)));
    }
    changes.extend(left.virtuals.iter().map(|old| replaced(old, names)));
    carry_out(session, &changes).await?;

    let mut changes = Vec::new();
    if let Some(old) = &left.mailbox {
        let there = of_key(session, Table::Mailbox, names.new.as_bytes()).await?;
        changes.extend(there.into_iter().filter(|row| *row == names.renamed(old)).map(Change::Delete));
        changes.push(replaced(old, names));
    }
    let mut copies = of_key(session, Table::Alias, names.new.as_bytes()).await?;
    for old in &left.aliases {
        // A directory makes one change after the other: without its copy there would be none for a moment.
        if is_directory(session, Table::Alias) {
            changes.push(Change::Delete(old.clone()));
            continue;
        }
        if let Some(at) = copies.iter().position(|row| is_copy(row, old, names)) {
            changes.push(Change::Delete(copies.remove(at)));
        }
        changes.push(replaced(old, names));
    }
    carry_out(session, &changes).await.map_err(|failure| failure.after("copies were made; the last step failed"))
}

/// The trouble, with words on what there is now.
async fn halfway(session: &Session, name: &Username, new: &Username, failure: Failure) -> Failure {
    let is_there = |found: Result<Option<CredentialRow>, Failure>| found.map(|row| row.is_some());
    let again = format!("`user rename {name} {new}` goes on from there");
    let (old, copy) = (mailbox(session, name).await, mailbox(session, new).await);
    match (is_there(old), is_there(copy)) {
        (Ok(true), Ok(true)) => {
            failure.after(&format!("mailboxes {name} and {new} are both there now, with one password; {again}"))
        }
        (Ok(false), Ok(true)) => {
            failure.after(&format!("mailbox {name} is {new} now, but rows of it are left; {again}"))
        }
        (Ok(true), Ok(false)) => failure.after(&format!("mailbox {name} has its old name still; {again}")),
        _ => failure.after(&format!(
            "whether mailboxes {name} and {new} are both there now, with one password, is not known; {again}"
        )),
    }
}
