//! Table mailbox (rules K1, K3, P3, V6, A6).

use super::judge::{Count, about, bytes, finding, folded, key_of, misconfigured, text, unusable, words};
use super::passwords::Passwords;
use super::{Finding, Judge, Repair, Severity};
use crate::catalog::{Table, TableRow};
use crate::credential::CredentialRow;
use crate::editor::Change;
use crate::error::printable;
use crate::key::Username;
use crate::limits::USERNAME_MAX;
use crate::mailbox::{Cell, Standing};
use crate::settings::{RuleSettings, SuspendedMail};
use std::collections::{BTreeMap, HashMap};

/// Longest name that the stock qmail-getpw looks at. Unit: bytes. Source: `GETPW_USERLEN` of qmail-getpw.c is 32, with
/// the NUL.
const STOCK_NAME_MAX: usize = 31;

/// Most different values of column suspended, and most uids, that are told apart.
const VALUES_MAX: usize = 20;
const UIDS_MAX: usize = 65_536;

/// Longest value of column suspended that is shown. Unit: bytes.
const SHOWN_MAX: usize = 20;

/// Judges table mailbox.
pub struct MailboxJudge {
    settings: RuleSettings,
    passwords: Option<Passwords>,
    /// There was a row.
    any: bool,
    /// The rows with the key of the last one.
    group: Option<Group>,
    /// The last key that could be asked for.
    usable: Option<Username>,
    long: Count,
    /// By the value of column suspended; `None` for all that came when there were too many.
    suspended: BTreeMap<Option<Vec<u8>>, Count>,
    uids: Uids,
}

/// Rows of one name.
struct Group {
    first: CredentialRow,
    /// How many more are as the first.
    same: u64,
    /// One of them is not. A statement that names no password could take that one for the first.
    differs: bool,
}

impl MailboxJudge {
    /// A judge by these settings. `with_passwords` is false if logins are decided elsewhere than by comparing what is
    /// stored, so that nothing can be said about it.
    #[must_use]
    pub fn new(settings: &RuleSettings, with_passwords: bool) -> Self {
        Self {
            // That they are not known is one fault, not one of each row.
            settings: RuleSettings { deny_unknown: None, ..settings.clone() },
            passwords: with_passwords.then(Passwords::default),
            any: false,
            group: None,
            usable: None,
            long: Count::default(),
            suspended: BTreeMap::new(),
            uids: Uids::default(),
        }
    }

    fn name(&mut self, credential: &CredentialRow, row: &TableRow, out: &mut Vec<Finding>) {
        let raw = bytes(&credential.mailbox.username);
        let Some(name) = Username::new(raw) else {
            let why = format!("the name {}: no mail and no login ever gets here", unusable(raw, USERNAME_MAX));
            out.push(finding(Severity::Error, "K1", row, why, self.trimmed(credential, row)));
            return;
        };
        if self.settings.magic_forwarding && name.as_bytes() == b"forward" {
            let why = "with rules.magic_forwarding there must be no mailbox named forward; all mail of virtual rows \
                       whose owner is forward is deferred";
            let repair = words("give the mailbox another name, or set rules.magic_forwarding = false");
            out.push(finding(Severity::Error, "V6", row, why, repair));
        }
        if raw.len() > STOCK_NAME_MAX {
            self.long.add(row);
        }
        self.usable = Some(name);
    }

    /// Without the blanks at its end the name may be one, if no other row has it.
    fn trimmed(&self, credential: &CredentialRow, row: &TableRow) -> Repair {
        let name = bytes(&credential.mailbox.username).trim_ascii_end();
        // Rows come in the order of their keys: nothing usable stands between `iain` and `iain `.
        match Username::new(name).filter(|name| self.usable.as_ref() != Some(name)) {
            Some(_) => {
                let mut new = credential.clone();
                new.mailbox.username = Some(name.to_vec());
                Repair::Change(Change::Replace { old: row.clone(), new: TableRow::Mailbox(new) })
            }
            None => words("give the row a name of 1 to 128 printable ASCII characters without blanks, or delete it"),
        }
    }

    /// Looks whether an earlier row has the same key.
    fn twice(&mut self, credential: &CredentialRow, row: &TableRow, out: &mut Vec<Finding>) {
        let key = folded(&credential.mailbox.username);
        match &mut self.group {
            Some(group) if folded(&group.first.mailbox.username) == key => {
                let first = &group.first;
                if first == credential {
                    group.same = group.same.saturating_add(1);
                    return;
                }
                let case = if first.mailbox.username == credential.mailbox.username {
                    String::new()
                } else {
                    format!(" ({} and {}: case does not count)", text(&first.mailbox.username), key_of(row))
                };
                group.differs = true;
                let why = format!("more than one row has this name{case}; {REFUSED}");
                out.push(finding(Severity::Error, "K3", row, why, words(DECIDE)));
            }
            _ => {
                self.leave(out);
                self.group = Some(Group { first: credential.clone(), same: 0, differs: false });
            }
        }
    }

    /// All rows of a name were read.
    fn leave(&mut self, out: &mut Vec<Finding>) {
        let Some(Group { first, same, differs }) = self.group.take() else { return };
        let row = TableRow::Mailbox(first);
        for _ in 0..same {
            let repair = if differs { words(DECIDE) } else { Repair::Change(Change::Delete(row.clone())) };
            out.push(finding(Severity::Error, "K3", &row, format!("the same row twice; {REFUSED}"), repair));
        }
    }

    fn standing(&mut self, cell: &Cell, row: &TableRow) {
        if Standing::read(cell.as_deref()) == Standing::Active {
            return;
        }
        let known = self.suspended.contains_key(cell) || self.suspended.len() < VALUES_MAX;
        let value = if known { cell.clone() } else { None };
        self.suspended.entry(value).or_default().add(row);
    }

    fn suspensions(&self, out: &mut Vec<Finding>) {
        let mail = match self.settings.suspended_mail {
            SuspendedMail::Deliver => "their mail is delivered as ever",
            SuspendedMail::Defer => "their mail is deferred",
            SuspendedMail::Bounce => "their mail bounces",
        };
        for (value, count) in &self.suspended {
            let Some(who) = count.words("user", "users") else { continue };
            let (severity, says) = match value.as_deref() {
                Some(b"Y" | b"y") => (Severity::Note, "suspended".to_owned()),
                Some(Standing::BOUNCED) => (Severity::Note, "suspended, and their mail bounces".to_owned()),
                Some(other) if may_be_shown(other) => {
                    (Severity::Warning, format!("locked out by the value '{}' of column suspended", printable(other)))
                }
                Some(other) => {
                    let what = format!("locked out by a value of {} bytes of column suspended", other.len());
                    (Severity::Warning, format!("{what}, which may be another column's and is not shown"))
                }
                None => (Severity::Warning, "locked out by further values of column suspended".to_owned()),
            };
            let why = format!("{who}: {says}; only N and NULL mean active. They cannot log in, and {mail}");
            let repair = match severity {
                Severity::Note => "none, if that is meant",
                _ => "set suspended to N in the rows of those who may log in, to Y in the others",
            };
            out.push(about(severity, "P3", Table::Mailbox, why, repair));
        }
    }
}

impl Judge for MailboxJudge {
    fn row(&mut self, row: &TableRow, out: &mut Vec<Finding>) {
        let TableRow::Mailbox(credential) = row else { return };
        let mailbox = &credential.mailbox;
        self.any = true;
        self.name(credential, row, out);
        if Username::new(bytes(&mailbox.username)).is_some() {
            self.twice(credential, row, out);
            match mailbox.validate(&self.settings) {
                Ok(valid) => self.uids.add(valid.uid, row),
                Err(mut bad) => {
                    if bad.column == "uid" && is_zero(&mailbox.uid) {
                        bad.problem = format!("0 is root, {}", bad.problem);
                    }
                    let repair = words(mend(bad.column));
                    out.push(misconfigured(&bad, row, REFUSED, repair));
                }
            }
        }
        self.standing(&mailbox.suspended, row);
        if let Some(passwords) = &mut self.passwords {
            passwords.judge(credential, row, out);
        }
    }

    fn end(&mut self, out: &mut Vec<Finding>) {
        self.leave(out);
        if !self.any {
            let why = "there is no mailbox at all: a store that lost its rows looks like that, so it is not believed; all \
                       mail is deferred, and nobody can log in";
            let repair = "bring the rows back, or add the first mailbox";
            out.push(about(Severity::Error, "K4", Table::Mailbox, why, repair));
        }
        if let Some(who) = self.long.words("name", "names") {
            let why = format!(
                "{who} of more than {STOCK_NAME_MAX} bytes; qmail's own qmail-getpw, if it comes back, looks at no such name"
            );
            out.push(about(Severity::Note, "G4", Table::Mailbox, why, "none needed while qmail-lookup is installed"));
        }
        self.suspensions(out);
        out.extend(self.uids.finding());
        if let Some(passwords) = &self.passwords {
            passwords.end(out);
        }
    }
}

const REFUSED: &str = "its mail is deferred, and its owner cannot log in";
const DECIDE: &str = "decide which of the rows is right, and delete the others";

/// What to say once, before any row, if the denied ids are not all known.
#[must_use]
pub fn deny_unknown(settings: &RuleSettings) -> Option<Finding> {
    let why = settings.deny_unknown.as_ref()?;
    let why = format!("which ids are denied is not known: {why}; no row is believed until it is");
    let repair = "make the system's user database answer, and ask again";
    Some(about(Severity::Error, "K3", Table::Mailbox, why, repair))
}

/// Not what could be a password, if somebody has exchanged two columns.
fn may_be_shown(value: &[u8]) -> bool {
    let is_word = value.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-');
    value.len() <= SHOWN_MAX && is_word || matches!(value, [b'0'..=b'9'])
}

fn is_zero(cell: &Cell) -> bool {
    let digits = bytes(cell);
    !digits.is_empty() && digits.iter().all(|&digit| digit == b'0')
}

fn mend(column: &str) -> &'static str {
    match column {
        "uid" | "gid" => {
            "give the row the uid and gid of a user or group that is there for mail only, and chown the home to it"
        }
        "home" => "put the home's whole path into the row, from / on",
        _ => "give the row another name",
    }
}

/// Mailboxes by uid.
#[derive(Default)]
struct Uids {
    counts: HashMap<u32, u64>,
    /// There were more uids than are told apart.
    cut: bool,
    /// The uid that most mailboxes share, how many, and one of them.
    most: Option<(u32, u64, String)>,
}

impl Uids {
    fn add(&mut self, uid: u32, row: &TableRow) {
        if self.counts.len() >= UIDS_MAX && !self.counts.contains_key(&uid) {
            self.cut = true;
            return;
        }
        let count = self.counts.entry(uid).or_default();
        *count = count.saturating_add(1);
        if *count > self.most.as_ref().map_or(1, |(_, most, _)| *most) {
            self.most = Some((uid, *count, key_of(row)));
        }
    }

    fn finding(&self) -> Option<Finding> {
        let (uid, most, name) = self.most.as_ref()?;
        let shared: Vec<_> = self.counts.values().filter(|&&count| count > 1).collect();
        let all: u64 = shared.iter().copied().sum();
        let at_least = if self.cut { "at least " } else { "" };
        let why = format!(
            "{at_least}{all} mailboxes share {} with others; most of them, {most}, have uid {uid} ({name} for instance). \
             Programs and paths of one can reach the mail of all with its uid",
            if shared.len() == 1 { "their uid".to_owned() } else { format!("one of {} uids", shared.len()) },
        );
        let repair = "none, if one administrator writes all alias rows; else give each mailbox a uid of its own, or set \
                      rules.alias_programs = \"deny\" and rules.alias_paths = \"home\"";
        Some(about(Severity::Note, "A6", Table::Mailbox, why, repair))
    }
}
