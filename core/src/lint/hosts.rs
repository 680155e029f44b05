//! Names of hosts, as tables virtual and rcpthosts hold them (rules K1, V1), and table rcpthosts.

use super::judge::{bytes, finding, folded, unusable, words};
use super::{Finding, Judge, Repair, Severity};
use crate::catalog::{Table, TableRow};
use crate::editor::Change;
use crate::key::{Host, fold};
use crate::limits::EXT_MAX;
use crate::rcpthosts::HostRow;
use crate::sync::HOST_MAX;
use crate::sync::hosts::Reason;
use crate::virtuals::is_host_key;

/// Judges a row's host. `None` if it can be none, which was then told.
pub(super) fn usable(row: &TableRow, out: &mut Vec<Finding>) -> Option<Host> {
    let cell = cell(row);
    let found = Host::new(cell).filter(|host| is_host_key(host.as_bytes()));
    if found.is_none() {
        let rule = if Host::new(cell).is_some() { "V1" } else { "K1" };
        let problem = match rule {
            "K1" => format!("the host {}", unusable(cell, EXT_MAX)),
            _ => Reason::NoHost.to_string(),
        };
        let severity = if row.table() == Table::Virtual { Severity::Error } else { Severity::Warning };
        let why = format!("{problem}; sync refuses it, and mail for it never comes here");
        out.push(finding(severity, rule, row, why, trimmed(row)));
    }
    found
}

/// What sync refuses of a host that is one: told once for each.
pub(super) fn refused(host: &Host, row: &TableRow, wildcards: bool, out: &mut Vec<Finding>) {
    let suffix = host.as_bytes().strip_prefix(b".");
    let (severity, reason, repair) = if !suffix.unwrap_or(host.as_bytes()).contains(&b'.') {
        (Severity::Warning, Reason::OneLabel, "give the whole name of the host, or delete its rows")
    } else if host.as_bytes().len() > HOST_MAX && row.table() == Table::Virtual {
        (Severity::Warning, Reason::TooLong, "give the host a shorter name, or delete its rows")
    } else if suffix.is_some() && !wildcards {
        let repair = "set sync.wildcards = true if that is meant, or name the hosts one by one";
        (Severity::Note, Reason::Wildcard, repair)
    } else {
        return;
    };
    out.push(finding(severity, "V1", row, format!("{reason}: sync refuses it"), words(repair)));
}

fn cell(row: &TableRow) -> &[u8] {
    match row {
        TableRow::Virtual(row) => bytes(&row.virtual_host),
        TableRow::Rcpthosts(row) => bytes(&row.host),
        TableRow::Mailbox(_) | TableRow::Alias(_) => &[],
    }
}

/// Without blanks around it and the dot at its end it may be one.
fn trimmed(row: &TableRow) -> Repair {
    let name = cell(row).trim_ascii();
    let name = name.strip_suffix(b".").unwrap_or(name).to_vec();
    let new = match row {
        TableRow::Virtual(row) => {
            let mut new = row.clone();
            new.virtual_host = Some(name.clone());
            TableRow::Virtual(new)
        }
        _ => TableRow::Rcpthosts(HostRow { host: Some(name.clone()) }),
    };
    if !is_host_key(&fold(&name)) {
        return words("give the name of a host, such as example.org, or delete the row");
    }
    Repair::Change(Change::Replace { old: row.clone(), new })
}

/// Judges table rcpthosts.
pub struct HostJudge {
    wildcards: bool,
    locals: Vec<Host>,
    last: Option<Vec<u8>>,
}

impl HostJudge {
    /// A judge; `wildcards` is `sync.wildcards`, and of `locals`, the hosts of control/locals, every name is right.
    #[must_use]
    pub fn new(wildcards: bool, locals: Vec<Host>) -> Self {
        Self { wildcards, locals, last: None }
    }
}

impl Judge for HostJudge {
    fn row(&mut self, row: &TableRow, out: &mut Vec<Finding>) {
        let TableRow::Rcpthosts(stored) = row else { return };
        let key = folded(&stored.host);
        if self.last.as_ref() == Some(&key) {
            let why = "the same host twice (case does not count); once is enough";
            out.push(finding(Severity::Note, "R1", row, why, Repair::Change(Change::Delete(row.clone()))));
            return;
        }
        self.last = Some(key);
        if let Some(host) = usable(row, out).filter(|host| !self.locals.contains(host)) {
            refused(&host, row, self.wildcards, out);
        }
    }

    fn end(&mut self, _: &mut Vec<Finding>) {}
}
