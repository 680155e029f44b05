//! control/virtualdomains and control/rcpthosts as rows.

use super::assign::Assignments;
use super::{People, Told};
use crate::control::Control;
use crate::control::lines::{keys, pairs};
use crate::error::printable;
use crate::key::{Host, Username, VirtualUser, fold};
use crate::rcpthosts::HostRow;
use crate::settings::{RcpthostsOnly, RuleSettings, VirtualPatterns};
use crate::virtuals::{VirtualRow, is_host_key};
use std::collections::{BTreeMap, BTreeSet};

/// What decides beside the lines.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Which hosts are local, and all lines of control/virtualdomains.
    pub control: &'a Control,
    /// Whose names come before extensions.
    pub people: &'a People,
    /// What users/cdb gives to whom, before rows are asked.
    pub assignments: &'a Assignments,
    /// The rules that the rows are for.
    pub rules: &'a RuleSettings,
}

/// The local parts that control/virtualdomains puts before users and that are no mailboxes: rows of the alias user come
/// before whoever else gets their mail (rule V4).
#[must_use]
pub fn prepends(content: &[u8], people: &People) -> Vec<Vec<u8>> {
    let values: BTreeSet<_> = pairs(content).map(|(_, value)| fold(value)).collect();
    values.into_iter().filter(|value| !value.is_empty() && !people.mailboxes.contains_key(value)).collect()
}

/// Rows by host and user part; an owner and an ext each.
type Found = BTreeMap<(Vec<u8>, Vec<u8>), (Vec<u8>, Vec<u8>)>;

/// The rows that route as the lines do. A line that no row says is told; as long as it stands there it goes on deciding.
pub fn virtual_rows(content: &[u8], around: Around<'_>, told: &mut Told) -> Vec<VirtualRow> {
    let lines: BTreeMap<_, _> = pairs(content).collect();
    let mut found = Found::new();
    // Addresses come last: they replace what their host says.
    let (addresses, hosts): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(key, _)| key.contains(&b'@'));
    for (host, prepend) in hosts {
        // Our own, made by sync of rows that are in a store already.
        if prepend == [b"=", &host[..], b"="].concat() {
            continue;
        }
        let what = format!("control/virtualdomains, {}:{}", printable(&host), printable(prepend));
        match around.host(&host, prepend) {
            Ok(rows) => found.extend(rows),
            Err(why) => told.lose(&what, why),
        }
        if found.contains_key(&(host.clone(), around.all()))
            && let Some(why) = around.longer_names(prepend)
        {
            told.lose(what, why);
        }
    }
    for (address, prepend) in addresses {
        let what = format!("control/virtualdomains, {}:{}", printable(&address), printable(prepend));
        match around.address(&address, prepend) {
            Ok(rows) => {
                let last = rows.len().saturating_sub(1);
                for (at, (key, row)) in rows.into_iter().enumerate() {
                    // Its own row is the last; the host's may be there already.
                    if at == last {
                        found.insert(key, row);
                    } else {
                        found.entry(key).or_insert(row);
                    }
                }
            }
            Err(why) => told.lose(what, why),
        }
    }
    let row = |((host, user), (owner, ext))| VirtualRow {
        username: Some(owner),
        ext: Some(ext),
        virtual_username: Some(user),
        virtual_host: Some(host),
    };
    let rows: Vec<_> = found.into_iter().map(row).collect();
    let is_wild = |row: &&VirtualRow| row.virtual_host.as_ref().is_some_and(|host| host.starts_with(b"."));
    let wild = rows.iter().filter(is_wild).count();
    if wild > 0 {
        told.note(
            format!("control/virtualdomains, {wild} rows of hosts that begin with a dot"),
            "`sync` writes such hosts only with sync.wildcards = true: until then keep their lines",
        );
    }
    rows
}

type Rows = Vec<((Vec<u8>, Vec<u8>), (Vec<u8>, Vec<u8>))>;

impl Around<'_> {
    /// virtual_username of the catch-all (rule V2).
    fn all(&self) -> Vec<u8> {
        if self.rules.virtual_patterns == VirtualPatterns::Like { b"%".to_vec() } else { Vec::new() }
    }

    /// virtual_username of exactly this user part.
    fn exactly(&self, user: &[u8]) -> Result<Vec<u8>, String> {
        let key = VirtualUser::new(user).filter(|key| !key.as_bytes().is_empty());
        let key = key.ok_or("no row can have such a user part; the line goes on deciding")?;
        if self.rules.virtual_patterns == VirtualPatterns::Plain {
            return Ok(key.as_bytes().to_vec());
        }
        let escape = |&b: &u8| if matches!(b, b'%' | b'_' | b'\\') { vec![b'\\', b] } else { vec![b] };
        Ok(key.as_bytes().iter().flat_map(escape).collect())
    }

    fn owner(&self, prepend: &[u8]) -> Result<Vec<u8>, String> {
        let name = Username::new(prepend).filter(|name| !name.as_bytes().starts_with(b"="));
        let name = name.ok_or("its prepend can be no owner of rows; the line goes on deciding")?;
        if self.rules.magic_forwarding && name.as_bytes() == b"forward" {
            return Err("with rules.magic_forwarding an owner 'forward' means something else".to_owned());
        }
        Ok(name.as_bytes().to_vec())
    }

    fn key(&self, host: &[u8]) -> Result<Vec<u8>, String> {
        if self.control.is_local(host) {
            return Err("the host stands in control/locals, so that qmail never looks at the line".to_owned());
        }
        let bad = "no row can be for such a host; the line goes on deciding";
        if is_host_key(host) { Ok(host.to_vec()) } else { Err(bad.to_owned()) }
    }

    /// The catch-all of a host: PREPEND-USER is resolved as if it had been addressed (rule V4), unless PREPEND is a
    /// mailbox. Then it gets all, and users with longer names of that beginning need rows of their own.
    fn host(&self, host: &[u8], prepend: &[u8]) -> Result<Rows, String> {
        if prepend.is_empty() {
            return Err("no row says that a host is another machine's; the line has to stay".to_owned());
        }
        let (host, owner) = (self.key(host)?, self.owner(prepend)?);
        untaken(self.assignments.taker_below(prepend, self.people, &self.rules.alias_user))?;
        let mut rows = vec![((host.clone(), self.all()), (owner.clone(), b"@".to_vec()))];
        if self.people.mailboxes.contains_key(&owner) {
            for (name, user) in self.people.below(&owner, self.rules.break_chars.as_bytes()) {
                if self.people.mailboxes.contains_key(name)
                    && let Ok(user) = self.exactly(user)
                {
                    rows.push(((host.clone(), user), (name.to_vec(), Vec::new())));
                }
            }
        }
        Ok(rows)
    }

    /// What the rows of [`Self::host`] do not say.
    fn longer_names(&self, prepend: &[u8]) -> Option<String> {
        let owner = fold(prepend);
        let breaks = self.rules.break_chars.as_bytes();
        let longer = || self.people.below(&owner, breaks);
        let (name, _) = longer().next().filter(|_| self.people.mailboxes.contains_key(&owner))?;
        let others: Vec<_> = longer().filter(|(name, _)| self.people.others.contains_key(*name)).collect();
        let (name, prepend) = (printable(name), printable(&owner));
        Some(match others.first() {
            Some((other, _)) => format!("mail of {} goes to {prepend} here", printable(other)),
            None => format!("USER-EXT of {name}, and whoever else begins with {prepend}-, goes to {prepend} here"),
        })
    }

    /// The row of one address, last; before it those that its host needs, so that the rest of it goes where it went.
    fn address(&self, address: &[u8], prepend: &[u8]) -> Result<Rows, String> {
        let at = address.iter().rposition(|&b| b == b'@').unwrap_or_default();
        let (user, host) = (address.get(..at).unwrap_or_default(), address.get(at + 1..).unwrap_or_default());
        let host = self.key(host)?;
        if prepend.is_empty() {
            return Err("no row says that an address is another machine's; the line has to stay".to_owned());
        }
        // An address without a user part is the host's.
        let rest = self.control.virtual_domains.find(&[b"@", &host[..]].concat());
        let mut rows = match rest {
            Some((key, rest)) if !rest.is_empty() && rest != [b"=", key, b"="].concat() => self.host(&host, rest)?,
            _ => {
                return Err(format!(
                    "with a row for it all other mail of {} would bounce, which goes to another machine now; the line has \
                     to stay",
                    printable(&host)
                ));
            }
        };
        let (owner, queued) = (self.owner(prepend)?, [prepend, b"-", user].concat());
        untaken(self.assignments.taker_of(&queued, self.people, &self.rules.alias_user))?;
        let (owner, ext) = match self.people.owner(&queued, self.rules.break_chars.as_bytes()) {
            Some((name, ext)) if self.people.mailboxes.contains_key(&owner) && name != owner => {
                if !self.people.mailboxes.contains_key(&name) {
                    return Err(format!("it is mail of {}, who is no row", printable(&name)));
                }
                (name, ext)
            }
            _ => (owner, b"@".to_vec()),
        };
        rows.push(((host, self.exactly(user)?), (owner, ext)));
        Ok(rows)
    }
}

/// An error if a line of users/assign takes the mail that a row would be for.
fn untaken(line: Option<String>) -> Result<(), String> {
    let why = |line| format!("{line} gives mail of it to another than a row would; this line has to stay");
    line.map_or(Ok(()), |line| Err(why(line)))
}

/// What qmail-smtpd accepts mail for. `None` is a file that is not there.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// control/rcpthosts.
    pub first: Option<Vec<u8>>,
    /// control/morercpthosts, which only qmail-newmrh reads.
    pub text: Option<Vec<u8>>,
    /// The keys of control/morercpthosts.cdb.
    pub more: Option<Vec<Vec<u8>>>,
}

impl Accepted {
    /// Tells in what control/morercpthosts differs from what is in effect.
    fn tell(&self, told: &mut Told) {
        let text: BTreeSet<_> = keys(self.text.as_deref().unwrap_or_default()).collect();
        let more: BTreeSet<_> = self.more.iter().flatten().map(|host| fold(host)).collect();
        let (unread, unnamed): (Vec<_>, Vec<_>) = (text.difference(&more).collect(), more.difference(&text).collect());
        if let Some(host) = unread.first() {
            let why = "morercpthosts.cdb, which qmail-smtpd reads, does not have it: not accepted now, and no row; run \
                       qmail-newmrh, or take it out";
            told.lose(format!("control/morercpthosts, {}{}", printable(host), more_than_one(unread.len())), why);
        }
        if let Some(host) = unnamed.first().filter(|_| self.text.is_some()) {
            let why = "control/morercpthosts does not have it, but it is accepted, and so it is a row";
            told.note(format!("control/morercpthosts.cdb, {}{}", printable(host), more_than_one(unnamed.len())), why);
        }
    }
}

fn more_than_one(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}

/// The rows of the hosts that mail is accepted for.
pub fn rcpthosts(accepted: &Accepted, smtproutes: &[u8], around: Around<'_>, told: &mut Told) -> Vec<HostRow> {
    let Some(first) = &accepted.first else {
        told.lose(
            "control/rcpthosts",
            "there is none, so that qmail-smtpd accepts mail for every host: no row says this",
        );
        return Vec::new();
    };
    accepted.tell(told);
    let all: BTreeSet<_> = keys(first).chain(accepted.more.iter().flatten().map(|host| fold(host))).collect();
    let routes: BTreeSet<_> = pairs(smtproutes).map(|(host, _)| host).collect();
    let (mut rows, mut undecided) = (Vec::new(), Vec::new());
    for host in all {
        if Host::new(&host).is_none() {
            told.lose(format!("control/rcpthosts, {}", printable(&host)), "no row can be for such a host");
            continue;
        }
        let decided = around.control.is_local(&host)
            || routes.contains(&host)
            || around.control.virtual_domains.find(&[b"@", &host[..]].concat()).is_some();
        if !decided {
            undecided.push(printable(&host));
        }
        rows.push(HostRow { host: Some(host) });
    }
    if let Some(name) = undecided.first() {
        let what = format!("control/rcpthosts, {name}{}", more_than_one(undecided.len()));
        match around.rules.rcpthosts_only {
            RcpthostsOnly::Local => {
                told.lose(what, "it went to another machine, and rules.rcpthosts_only makes it local");
            }
            RcpthostsOnly::Ask => {
                told.note(what, "it goes to another machine: rules.rcpthosts_only = \"relay\" says so");
            }
            RcpthostsOnly::Relay => {}
        }
    }
    rows
}
