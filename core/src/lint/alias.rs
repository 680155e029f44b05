//! Table alias (rules K1, A2, A3, A6).

use super::judge::{bytes, finding, folded, misconfigured, unusable, words};
use super::{Finding, Judge, Repair, Severity};
use crate::alias::{AliasRow, instructions};
use crate::catalog::TableRow;
use crate::editor::Change;
use crate::key::{Ext, Username};
use crate::limits::{EXT_MAX, USERNAME_MAX};
use crate::settings::{AliasPaths, RuleSettings};
use std::collections::{HashMap, HashSet};

/// Most instructions of one set that are remembered, to find one that comes again.
const REMEMBERED_MAX: usize = 10_000;

/// A home that every path is below: for a name whose home is not known, so that only `..` leads out of it.
const ANY_HOME: &[u8] = b"/";

/// Judges table alias.
pub struct AliasJudge {
    settings: RuleSettings,
    homes: HashMap<Vec<u8>, Vec<u8>>,
    set: Set,
}

/// The set that is being read: its rows so far.
#[derive(Default)]
struct Set {
    key: (Vec<u8>, Vec<u8>),
    begun: bool,
    /// One of its rows is not blank.
    others: bool,
    /// The last row, if it is blank and so were all before it.
    blank: Option<AliasRow>,
    numbered: bool,
    unnumbered: bool,
    told: bool,
    instructions: HashSet<(Vec<u8>, Vec<u8>)>,
}

impl AliasJudge {
    /// A judge by these settings.
    #[must_use]
    pub fn new(settings: &RuleSettings) -> Self {
        Self { settings: settings.clone(), homes: HashMap::new(), set: Set::default() }
    }

    /// The names whose homes should be told before `rows` are judged: none, unless paths must be below the home.
    #[must_use]
    pub fn wants_homes(&self, rows: &[TableRow]) -> Vec<Username> {
        if self.settings.alias_paths == AliasPaths::Any {
            return Vec::new();
        }
        let owner = |row: &TableRow| match row {
            TableRow::Alias(row) if row.alias_username.as_deref() == Some(b"/") => Username::new(bytes(&row.username)),
            _ => None,
        };
        let names: HashSet<_> = rows.iter().filter_map(owner).collect();
        names.into_iter().collect()
    }

    /// Homes by name; those that were told before are forgotten.
    pub fn know_homes(&mut self, homes: impl IntoIterator<Item = (Username, Vec<u8>)>) {
        self.homes = homes.into_iter().map(|(name, home)| (name.as_bytes().to_vec(), home)).collect();
    }

    fn keys(alias: &AliasRow, row: &TableRow, out: &mut Vec<Finding>) {
        let repair = || words("correct the row's key, or delete the row");
        if Username::new(bytes(&alias.username)).is_none() {
            let why = format!("the username {}", unusable(bytes(&alias.username), USERNAME_MAX));
            out.push(finding(Severity::Warning, "K1", row, why, repair()));
        }
        if Ext::new(bytes(&alias.alias)).is_none() {
            let why = format!("the alias {}", unusable(bytes(&alias.alias), EXT_MAX));
            out.push(finding(Severity::Warning, "K1", row, why, repair()));
        }
    }

    fn instruction(&mut self, alias: &AliasRow, row: &TableRow, out: &mut Vec<Finding>) {
        let home = self.homes.get(&folded(&alias.username)).map_or(ANY_HOME, Vec::as_slice);
        let Err(bad) = instructions(std::slice::from_ref(alias), home, &self.settings) else { return };
        if !is_blank(alias) {
            let repair = match (bad.rule, split(alias)) {
                ("A2", Some(new)) => Repair::Change(Change::Replace { old: row.clone(), new: TableRow::Alias(new) }),
                _ => words(mend(bad.rule, alias)),
            };
            out.push(misconfigured(&bad, row, DEFERRED, repair));
        } else if self.set.others {
            out.push(misconfigured(&bad, row, DEFERRED, Repair::Change(Change::Delete(row.clone()))));
        } else {
            self.set.blank = Some(alias.clone());
        }
    }

    /// The last row was blank: without others it needs an instruction, beside them it is one too many.
    fn after_blank(&mut self, others: bool, out: &mut Vec<Finding>) {
        let Some(blank) = self.set.blank.take() else { return };
        let Err(bad) = blank.instruction(ANY_HOME, &self.settings) else { return };
        let row = TableRow::Alias(blank.clone());
        let change = if others {
            Change::Delete(row.clone())
        } else {
            let maildir =
                AliasRow { alias_username: Some(b".".to_vec()), alias_host: Some(b"/Maildir/".to_vec()), ..blank };
            Change::Replace { old: row.clone(), new: TableRow::Alias(maildir) }
        };
        out.push(misconfigured(&bad, &row, DEFERRED, Repair::Change(change)));
    }

    fn among_others(&mut self, alias: &AliasRow, row: &TableRow, out: &mut Vec<Finding>) {
        let set = &mut self.set;
        set.numbered |= alias.seq.is_some();
        set.unnumbered |= alias.seq.is_none();
        if set.numbered && set.unnumbered && !set.told {
            set.told = true;
            let why = "some rows of this set have a seq and some have none; those without come last";
            out.push(finding(Severity::Note, "A3", row, why, words("give each row of the set a seq")));
        }
        if is_blank(alias) {
            return;
        }
        set.others = true;
        let instruction = (bytes(&alias.alias_username).to_vec(), bytes(&alias.alias_host).to_vec());
        if set.instructions.contains(&instruction) {
            let why = "the same instruction twice in one set: its mail is delivered twice there";
            let repair = Repair::Change(Change::Delete(row.clone()));
            out.push(finding(Severity::Warning, "A3", row, why, repair));
        } else if set.instructions.len() < REMEMBERED_MAX {
            set.instructions.insert(instruction);
        }
    }
}

impl Judge for AliasJudge {
    fn row(&mut self, row: &TableRow, out: &mut Vec<Finding>) {
        let TableRow::Alias(alias) = row else { return };
        let key = (folded(&alias.username), folded(&alias.alias));
        let same = self.set.begun && self.set.key == key;
        self.after_blank(same, out);
        if !same {
            self.set = Set { key, begun: true, ..Set::default() };
        }
        Self::keys(alias, row, out);
        self.instruction(alias, row, out);
        self.among_others(alias, row, out);
    }

    fn end(&mut self, out: &mut Vec<Finding>) {
        self.after_blank(false, out);
    }
}

const DEFERRED: &str = "all mail of this set is deferred";

fn is_blank(alias: &AliasRow) -> bool {
    bytes(&alias.alias_username).is_empty() && bytes(&alias.alias_host).is_empty()
}

/// A dot-qmail line that was put into alias_username as a whole, as two cells; `None` if it is none, or not surely.
fn split(alias: &AliasRow) -> Option<AliasRow> {
    let line = bytes(&alias.alias_username);
    if line.len() < 2 || !bytes(&alias.alias_host).is_empty() {
        return None;
    }
    let (first, rest) = line.split_at(1);
    let (user, host) = match first {
        b"." | b"/" | b"|" => (first, rest),
        b"&" => {
            let at = rest.iter().rposition(|&byte| byte == b'@')?;
            (rest.get(..at)?, rest.get(at + 1..)?)
        }
        _ => return None,
    };
    let new = AliasRow { alias_username: Some(user.to_vec()), alias_host: Some(host.to_vec()), ..alias.clone() };
    new.instruction(ANY_HOME, &RuleSettings::default()).is_ok().then_some(new)
}

fn mend(rule: &str, alias: &AliasRow) -> &'static str {
    match (rule, bytes(&alias.alias_username)) {
        ("A3", _) => "put a whole number into seq",
        ("A6", _) => "delete the row, or give the mailbox's owner what the setting takes away",
        (_, b".") => "put the path below the home into alias_host: /Maildir/ for instance",
        (_, b"/") => "put the rest of the path into alias_host: home/iain/Mailbox for instance",
        (_, b"|") => "put the command into alias_host",
        (_, b"") => "put the user part of the address into alias_username",
        _ => "put the user part of an address into alias_username and its host into alias_host",
    }
}
