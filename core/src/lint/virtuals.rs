//! Table virtual (rules K1, V1 to V4, V6).

use super::hosts;
use super::judge::{bytes, finding, folded, misconfigured, unusable, words};
use super::{Finding, Judge, Repair, Severity};
use crate::catalog::TableRow;
use crate::editor::Change;
use crate::key::{Host, VirtualUser};
use crate::limits::USERNAME_MAX;
use crate::rules;
use crate::settings::{RuleSettings, VirtualPatterns};
use crate::virtuals::{VirtualRow, normal_pattern};
use std::collections::HashMap;

/// Most patterns of one host that are compared with each other.
const PATTERNS_MAX: usize = 10_000;

/// Judges table virtual.
pub struct VirtualJudge {
    settings: RuleSettings,
    wildcards: bool,
    host: PerHost,
}

/// The host that is being read.
#[derive(Default)]
struct PerHost {
    key: Option<Vec<u8>>,
    /// `None` if it can be no host.
    host: Option<Host>,
    /// The first row that is blank, and the first that is `%`.
    blank: Option<VirtualRow>,
    percent: Option<VirtualRow>,
    /// Without patterns: rows that would be some, and the first of them.
    unread: u64,
    first_unread: Option<VirtualRow>,
    /// With patterns: one matches every user.
    catches_all: bool,
    /// Patterns by what they match.
    patterns: HashMap<Vec<u8>, Vec<u8>>,
    /// The first row of the user part, or pattern, that is being read.
    rank: Option<VirtualRow>,
    disagrees: bool,
}

impl VirtualJudge {
    /// A judge by these settings; `wildcards` is `sync.wildcards`.
    #[must_use]
    pub fn new(settings: &RuleSettings, wildcards: bool) -> Self {
        Self { settings: settings.clone(), wildcards, host: PerHost::default() }
    }

    fn is_like(&self) -> bool {
        self.settings.virtual_patterns == VirtualPatterns::Like
    }

    /// The user part: usable as a key, or as a pattern.
    fn user(&mut self, stored: &VirtualRow, row: &TableRow, out: &mut Vec<Finding>) {
        let user = bytes(&stored.virtual_username);
        let is_like = self.is_like();
        let is_pattern = is_like && user.iter().any(|byte| matches!(byte, b'%' | b'_'));
        let here = &mut self.host;
        match user {
            b"" => _ = here.blank.get_or_insert_with(|| stored.clone()),
            b"%" => _ = here.percent.get_or_insert_with(|| stored.clone()),
            _ if !is_like && user.contains(&b'%') => {
                here.unread = here.unread.saturating_add(1);
                here.first_unread.get_or_insert_with(|| stored.clone());
            }
            _ => {}
        }
        if is_pattern {
            self.pattern(stored, row, out);
        } else if VirtualUser::new(user).is_none() {
            let why = format!("the user part {}", unusable(user, USERNAME_MAX));
            let repair = words("correct the row's virtual_username, or delete the row");
            out.push(finding(Severity::Warning, "K1", row, why, repair));
        }
    }

    fn pattern(&mut self, stored: &VirtualRow, row: &TableRow, out: &mut Vec<Finding>) {
        let pattern = folded(&stored.virtual_username);
        if pattern.iter().any(|byte| matches!(byte, 0 | b'\n')) {
            let why = "the pattern holds a NUL or a newline, so that no user part ever matches it";
            out.push(finding(Severity::Warning, "K1", row, why, Repair::Change(Change::Delete(row.clone()))));
            return;
        }
        let (normal, here) = (normal_pattern(&pattern), &mut self.host);
        here.catches_all |= normal == b"%";
        match here.patterns.get(&normal) {
            Some(first) if *first != pattern => {
                let first = crate::error::printable(first);
                let why = format!("the pattern {first} matches the same and comes before it: this row is never used");
                out.push(finding(Severity::Warning, "V2", row, why, Repair::Change(Change::Delete(row.clone()))));
            }
            None if here.patterns.len() < PATTERNS_MAX => _ = here.patterns.insert(normal, pattern),
            _ => {}
        }
    }

    /// The owner of the row, and whether those of its rank agree.
    fn owner(&mut self, stored: &VirtualRow, row: &TableRow, out: &mut Vec<Finding>) {
        let user = bytes(&stored.virtual_username);
        let Some(host) = &self.host.host else { return };
        match rules::agree(&[stored], host, user) {
            Err(bad) => {
                let repair = words("put the mailbox that gets the mail into username, or delete the row");
                out.push(misconfigured(&bad, row, DEFERRED, repair));
            }
            Ok((username, ext)) if username.as_bytes() == b"forward" => self.forward(&ext, row, out),
            Ok(_) => {}
        }
        let Some(first) = &self.host.rank else { return };
        match rules::agree(&[first, stored], host, user) {
            Err(bad) if bad.rule == "V3" => {
                if !std::mem::replace(&mut self.host.disagrees, true) {
                    let repair = words("decide which of the rows is right, and delete the others");
                    out.push(misconfigured(&bad, row, DEFERRED, repair));
                }
            }
            _ => {
                let why = "the same row twice; once is enough";
                out.push(finding(Severity::Note, "V3", row, why, Repair::Change(Change::Delete(row.clone()))));
            }
        }
    }

    fn forward(&self, ext: &[u8], row: &TableRow, out: &mut Vec<Finding>) {
        let Some(host) = &self.host.host else { return };
        let judged = rules::judge_target(ext, host, b"");
        match (self.settings.magic_forwarding, judged) {
            (true, Err(bad)) => {
                let repair = words("put the whole address to forward to into ext");
                out.push(misconfigured(&bad, row, DEFERRED, repair));
            }
            (false, Ok(())) => {
                let why = "owner forward with an address in ext is MAGIC FORWARDING, which is off: nothing is sent to \
                           that address";
                let repair = words("set rules.magic_forwarding = true, or put an alias row in its place");
                out.push(finding(Severity::Warning, "V6", row, why, repair));
            }
            _ => {}
        }
    }

    /// All rows of the host were read.
    fn leave(&mut self, out: &mut Vec<Finding>) {
        let mode = self.settings.virtual_patterns;
        let like = self.is_like();
        let here = std::mem::take(&mut self.host);
        let Some(host) = here.host else { return };
        if let Some(first) = here.first_unread {
            let which = match here.unread {
                1 => "the % in this row's user part is".to_owned(),
                rows => format!("{rows} rows of this host have a % in the user part, which is"),
            };
            let others = if here.blank.is_some() { "goes to the host's blank row" } else { "bounces" };
            let why = format!(
                "{which} a pattern only with rules.virtual_patterns = \"like\" (the FAQ's FUNKY QUERIES): mail for all \
                 that it was meant for {others}"
            );
            let repair = words("set rules.virtual_patterns = \"like\", or write a row for each user");
            out.push(finding(Severity::Warning, "V2", &TableRow::Virtual(first), why, repair));
        }
        let (leftover, covered, right) = if like {
            (here.blank, here.catches_all, &b"%"[..])
        } else {
            let covered = here.blank.is_some();
            (here.percent, covered, &b""[..])
        };
        let Some(old) = leftover else { return };
        let Err(bad) = rules::leftover(&[&old], &host, mode) else { return };
        let row = TableRow::Virtual(old.clone());
        if covered {
            let why = if like {
                "a blank row is no catch-all with patterns, and the host has one: this row is never used"
            } else {
                "without patterns this row is only for the user part %; the host has a blank row for all others"
            };
            let change = Change::Delete(row.clone());
            out.push(finding(Severity::Note, "V2", &row, why, Repair::Change(change)));
        } else {
            let new = TableRow::Virtual(VirtualRow { virtual_username: Some(right.to_vec()), ..old });
            let change = Change::Replace { old: row.clone(), new };
            let comes_of_it = "mail for every user of the host without a row of its own is deferred";
            out.push(misconfigured(&bad, &row, comes_of_it, Repair::Change(change)));
        }
    }
}

impl Judge for VirtualJudge {
    fn row(&mut self, row: &TableRow, out: &mut Vec<Finding>) {
        let TableRow::Virtual(stored) = row else { return };
        let key = folded(&stored.virtual_host);
        if self.host.key.as_ref() != Some(&key) {
            self.leave(out);
            let host = hosts::usable(row, out);
            if let Some(host) = &host {
                hosts::refused(host, row, self.wildcards, out);
            }
            self.host = PerHost { key: Some(key), host, ..PerHost::default() };
        } else if self.host.host.is_none() {
            hosts::usable(row, out);
        }
        if self.host.host.is_none() {
            return;
        }
        let same_rank = self
            .host
            .rank
            .as_ref()
            .is_some_and(|first| folded(&first.virtual_username) == folded(&stored.virtual_username));
        if !same_rank {
            self.host.rank = None;
            self.host.disagrees = false;
            self.user(stored, row, out);
        }
        self.owner(stored, row, out);
        if !same_rank {
            self.host.rank = Some(stored.clone());
        }
    }

    fn end(&mut self, out: &mut Vec<Finding>) {
        self.leave(out);
    }
}

const DEFERRED: &str = "its mail is deferred";
