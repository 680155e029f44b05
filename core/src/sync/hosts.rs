//! Which hosts of tables virtual and rcpthosts are wanted in the control files, and why the others are not (rules V1, V7,
//! R1).

use super::around::Around;
use super::{Choices, HOST_MAX, is_among};
use crate::catalog::Table;
use crate::key::{Host, fold};
use crate::rcpthosts::candidates;
use crate::settings::RcpthostsOnly;
use crate::virtuals::is_host_key;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// The host cells of both tables, folded, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Of table virtual.
    pub virtuals: BTreeSet<Vec<u8>>,
    /// Of table rcpthosts.
    pub rcpthosts: BTreeSet<Vec<u8>>,
}

impl Rows {
    /// Takes a row's host cell; NULL is empty.
    pub fn add(&mut self, table: Table, cell: Option<&[u8]>) {
        let hosts = match table {
            Table::Virtual => &mut self.virtuals,
            Table::Rcpthosts => &mut self.rcpthosts,
            Table::Mailbox | Table::Alias => return,
        };
        let folded = fold(cell.unwrap_or_default());
        // A host has many rows in table virtual.
        if !hosts.contains(&folded) {
            hosts.insert(folded);
        }
    }
}

/// Why a host is not written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// There is none.
    Empty,
    /// It is no host name (rule V1).
    NoHost,
    /// It is one label, or what stands behind its dot is.
    OneLabel,
    /// It begins with a dot, and `sync.wildcards` is off.
    Wildcard,
    /// `sync.deny` has it.
    Denied,
    /// It is longer than [`HOST_MAX`].
    TooLong,
    /// control/locals has it, and comes first.
    Local,
    /// It is control/me.
    Me,
    /// smtproutes has it.
    Relayed,
    /// virtualdomains has a line of the administrator's for it, with this prepend.
    OwnLine(Vec<u8>),
    /// It begins with a dot, and this host, of what is named, is below it.
    Covers(Host, &'static str),
}

impl Reason {
    /// True if a control file says so, which somebody may have changed without a thought for the tables.
    fn is_of_control_file(&self) -> bool {
        match self {
            Self::Local | Self::Me | Self::Relayed => true,
            Self::Covers(_, whose) => whose.starts_with("control/"),
            _ => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host is empty"),
            Self::NoHost => f.write_str("not a host name: letters, digits, - and _, in labels between dots"),
            Self::OneLabel => f.write_str("a host of one label"),
            Self::Wildcard => f.write_str("it stands for every host below it, and sync.wildcards is off"),
            Self::Denied => f.write_str("sync.deny has it"),
            Self::TooLong => write!(f, "longer than {HOST_MAX} bytes"),
            Self::Local => f.write_str("control/locals has it, so that no row of table virtual counts"),
            Self::Me => f.write_str("it is control/me"),
            Self::Relayed => f.write_str("control/smtproutes has it"),
            Self::OwnLine(prepend) => {
                let prepend = String::from_utf8_lossy(prepend);
                write!(f, "control/virtualdomains has a line for it outside the block, which counts (`{prepend}`)")
            }
            Self::Covers(host, whose) => write!(f, "{host} of {whose} is below it"),
        }
    }
}

/// A row that is not written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Where it stands.
    pub table: Table,
    /// Its host cell, folded.
    pub host: Vec<u8>,
    /// Why.
    pub reason: Reason,
}

/// What the tables want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Hosts that belong into the block of virtualdomains.
    pub routed: BTreeSet<Host>,
    /// Hosts that mail is accepted for.
    pub accepted: BTreeSet<Host>,
    /// Those of them that are on their way to another host: table virtual does not know them, and
    /// `rules.rcpthosts_only` is "relay".
    pub relayed: BTreeSet<Host>,
    /// Rows that are not written.
    pub refused: BTreeSet<Refused>,
    /// Rows that would be refused by what a control file says, if their host were new. It is in the block, mail for it is
    /// delivered, and that goes on.
    pub kept: BTreeSet<Refused>,
    /// Hosts of table rcpthosts only, until `rules.rcpthosts_only` says what they are (rule V7).
    pub undecided: BTreeSet<Host>,
    /// Virtual hosts that virtualdomains has already, outside the block.
    pub own: BTreeSet<Host>,
    /// Virtual hosts that no mail from outside is accepted for.
    pub unaccepted: BTreeSet<Host>,
}

impl Wanted {
    /// Judges the rows.
    #[must_use]
    pub fn judge(rows: &Rows, around: &Around, choices: &Choices) -> Self {
        Judge::new(around, choices).judge(rows)
    }
}

struct Judge<'a> {
    around: &'a Around,
    choices: &'a Choices,
    /// Every suffix that begins with a dot, of hosts that no row may take in by such a suffix; with the host, and whose
    /// it is. Those that matter to both tables, and those that only virtual routing would take away from others.
    below: HashMap<Vec<u8>, (Host, &'static str)>,
    below_routed: HashMap<Vec<u8>, (Host, &'static str)>,
}

impl<'a> Judge<'a> {
    fn new(around: &'a Around, choices: &'a Choices) -> Self {
        let (mut below, mut below_routed) = (HashMap::new(), HashMap::new());
        let note = |map: &mut HashMap<_, _>, host: &Host, whose| {
            for suffix in candidates(host.as_bytes()).into_iter().skip(1) {
                map.insert(suffix.as_bytes().to_vec(), (host.clone(), whose));
            }
        };
        choices.deny.iter().for_each(|host| note(&mut below, host, "sync.deny"));
        choices.except.iter().for_each(|host| note(&mut below, host, "sync.except"));
        let relayed = around.relayed.iter().map(|key| (key, "control/smtproutes"));
        let me = around.me.iter().filter(|me| !around.locals.contains(*me)).map(|key| (key, "control/me"));
        for (key, whose) in relayed.chain(me) {
            if let Some(host) = Host::new(key) {
                note(&mut below_routed, &host, whose);
            }
        }
        Self { around, choices, below, below_routed }
    }

    fn judge(&self, rows: &Rows) -> Wanted {
        let mut wanted = Wanted::default();
        let mut unroutable = HashMap::new();
        for raw in &rows.virtuals {
            let reason = match self.host(raw, Table::Virtual) {
                Ok(None) => continue,
                Ok(Some(host)) => match self.no_route(&host) {
                    None => {
                        wanted.routed.insert(host);
                        continue;
                    }
                    Some(Reason::OwnLine(value)) if value == super::around::prepend(raw) => {
                        wanted.own.insert(host);
                        continue;
                    }
                    Some(reason) if reason.is_of_control_file() && self.around.routed.contains(&host) => {
                        refuse(&mut wanted.kept, Table::Virtual, raw, reason);
                        wanted.routed.insert(host);
                        continue;
                    }
                    Some(reason) => reason,
                },
                Err(reason) => reason,
            };
            refuse(&mut wanted.refused, Table::Virtual, raw, reason.clone());
            unroutable.insert(raw.as_slice(), reason);
        }
        let mut local = BTreeSet::new();
        for raw in &rows.rcpthosts {
            let mut refuse = |reason| refuse(&mut wanted.refused, Table::Rcpthosts, raw, reason);
            match self.host(raw, Table::Rcpthosts) {
                Err(reason) => refuse(reason),
                Ok(None) => {}
                Ok(Some(host)) if self.around.has_way(&host, &wanted.routed) => drop(wanted.accepted.insert(host)),
                Ok(Some(host)) => {
                    // Rule V7 is for hosts that table virtual says nothing of.
                    let keys = candidates(host.as_bytes());
                    let virtually = keys.iter().find_map(|key| unroutable.get(key.as_bytes()));
                    match (virtually, self.choices.rcpthosts_only, self.no_route(&host)) {
                        (Some(reason), ..) => refuse(reason.clone()),
                        (None, RcpthostsOnly::Ask, _) => drop(wanted.undecided.insert(host)),
                        (None, RcpthostsOnly::Relay, _) => {
                            wanted.relayed.insert(host.clone());
                            wanted.accepted.insert(host);
                        }
                        (None, RcpthostsOnly::Local, Some(reason)) => refuse(reason),
                        (None, RcpthostsOnly::Local, None) => {
                            local.insert(host.clone());
                            wanted.accepted.insert(host);
                        }
                    }
                }
            }
        }
        let virtuals = wanted.routed.iter().chain(&wanted.own);
        let unaccepted: BTreeSet<_> =
            virtuals.filter(|host| !self.is_accepted(host, &wanted.accepted)).cloned().collect();
        wanted.routed.append(&mut local);
        Wanted { unaccepted, ..wanted }
    }

    /// The host of a cell, by what counts for both tables; `None` if it is another machine's.
    fn host(&self, raw: &[u8], table: Table) -> Result<Option<Host>, Reason> {
        if raw.is_empty() {
            return Err(Reason::Empty);
        }
        let host = Host::new(raw).filter(|host| is_host_key(host.as_bytes())).ok_or(Reason::NoHost)?;
        let Choices { only, except, deny, wildcards, .. } = self.choices;
        if (!only.is_empty() && !is_among(&host, only)) || is_among(&host, except) {
            return Ok(None);
        }
        let suffix = host.as_bytes().strip_prefix(b".");
        let ours = table == Table::Rcpthosts && (self.around.is_local(&host) || self.around.is_me(&host));
        if !ours && !suffix.unwrap_or(host.as_bytes()).contains(&b'.') {
            return Err(Reason::OneLabel);
        }
        if is_among(&host, deny) {
            return Err(Reason::Denied);
        }
        if suffix.is_some() && !wildcards {
            return Err(Reason::Wildcard);
        }
        if let Some((below, whose)) = self.below.get(host.as_bytes()) {
            return Err(Reason::Covers(below.clone(), whose));
        }
        Ok(Some(host))
    }

    /// Why `host` can have no line in the block of virtualdomains.
    fn no_route(&self, host: &Host) -> Option<Reason> {
        let key = host.as_bytes();
        if let Some(value) = self.around.own_routes.get(key) {
            Some(Reason::OwnLine(value.clone()))
        } else if self.around.is_local(host) {
            Some(Reason::Local)
        } else if self.around.is_me(host) {
            Some(Reason::Me)
        } else if self.around.relayed.contains(key) {
            Some(Reason::Relayed)
        } else if key.len() > HOST_MAX {
            Some(Reason::TooLong)
        } else {
            let (below, whose) = self.below_routed.get(key)?;
            Some(Reason::Covers(below.clone(), whose))
        }
    }

    fn is_accepted(&self, host: &Host, accepted: &BTreeSet<Host>) -> bool {
        candidates(host.as_bytes()).iter().any(|key| accepted.contains(key) || self.around.accepts_by_own_line(key))
    }
}

fn refuse(refused: &mut BTreeSet<Refused>, table: Table, host: &[u8], reason: Reason) {
    refused.insert(Refused { table, host: host.to_vec(), reason });
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
