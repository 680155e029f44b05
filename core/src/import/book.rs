//! Addresses of another system: who has a mailbox, what is sent on, which hosts are accepted; and the rows that say so.
//!
//! A mailbox is called by its address. An address without a mailbox is owned by a name that is none either, and the alias
//! user has the rows of that name (rule V4).

mod loops;

use super::hash::Stored;
use super::tally::Tally;
use crate::catalog::TableRow;
use crate::credential::CredentialRow;
use crate::key::{Ext, Host, Username, VirtualUser};
use crate::mailbox::Cell;
use crate::settings::VirtualPatterns;
use crate::virtuals::is_host_key;
use crate::{AliasRow, HostRow, VirtualRow, dotqmail};
use std::collections::{BTreeMap, BTreeSet};

/// What the other system's tables do not say.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// uid of every mailbox.
    pub uid: u32,
    /// gid of every mailbox.
    pub gid: u32,
    /// The alias user.
    pub alias_user: Vec<u8>,
    /// How the rows of table virtual will be read.
    pub patterns: VirtualPatterns,
}

/// A mailbox of the other system.
#[derive(Debug)]
pub struct NewMailbox<'a> {
    /// Part before the at sign; may be in any case.
    pub user: &'a [u8],
    /// Part behind it.
    pub host: &'a [u8],
    /// Home.
    pub home: &'a [u8],
    /// Its password; `None` if it has none.
    pub password: Option<Stored>,
    /// May not log in.
    pub is_suspended: bool,
    /// Where its mail goes: a line of a dot-qmail file.
    pub delivery: &'a [u8],
}

/// What is done with mail for an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// It goes to the mailbox of the address.
    Own,
    /// (alias_username, alias_host).
    Cells(Vec<u8>, Vec<u8>),
}

type Cells = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
struct Address {
    /// How the mailbox delivers, if there is one.
    mailbox: Option<Cells>,
    /// Instead of that; in the order of the file.
    targets: Vec<Target>,
    /// It had others, which no row can say.
    has_lost: bool,
}

#[derive(Debug, Default)]
struct Domain {
    is_accepted: bool,
    /// Its mail goes to another host.
    is_relayed: bool,
    /// By part before the at sign; the empty one stands for all others.
    addresses: BTreeMap<VirtualUser, Address>,
}

/// See the module.
#[derive(Debug)]
pub struct Book {
    given: Given,
    domains: BTreeMap<Host, Domain>,
    /// Domains that have the addresses of others too, in the order in which these count.
    doubles: BTreeMap<Host, Vec<Host>>,
    /// What could not be carried over.
    pub tally: Tally,
}

/// How a row defers (rule A2): an instruction without a path.
pub(super) const DEFERS: (&[u8], &[u8]) = (b".", b"");

impl Book {
    /// An empty one.
    #[must_use]
    pub fn new(given: Given) -> Self {
        Self { given, domains: BTreeMap::new(), doubles: BTreeMap::new(), tally: Tally::default() }
    }

    fn host(&mut self, host: &[u8]) -> Option<Host> {
        let key = Host::new(host).filter(|key| is_host_key(key.as_bytes()) && !key.as_bytes().starts_with(b"."));
        if key.is_none() {
            self.tally.add("no host can have this name (rule V1); left out", host);
        }
        key
    }

    /// The key of an address, its place, and the name that owns it; `None`, and told, if no mail can ever reach it.
    fn address(&mut self, user: &[u8], host: &[u8]) -> Option<(Username, &mut Address)> {
        let domain = self.host(host)?;
        let whole = [user, b"@", host].concat();
        let keys = VirtualUser::new(user).zip(Username::new(&whole).filter(|name| !name.as_bytes().starts_with(b"=")));
        let Some((user, name)) = keys else {
            self.tally
                .add("longer than 128 bytes, or with bytes that no key can have (rules K1, K3); left out", &whole);
            return None;
        };
        Some((name, self.domains.entry(domain).or_default().addresses.entry(user).or_default()))
    }

    /// A host that is accepted.
    pub fn accept(&mut self, host: &[u8]) {
        if let Some(host) = self.host(host) {
            self.domains.entry(host).or_default().is_accepted = true;
        }
    }

    /// A host that is accepted, and whose mail goes on to another host.
    pub fn relay(&mut self, host: &[u8]) {
        if let Some(host) = self.host(host) {
            let domain = self.domains.entry(host).or_default();
            (domain.is_accepted, domain.is_relayed) = (true, true);
        }
    }

    /// A host that has the addresses of `target` beside its own. Its own go first, then those of earlier targets.
    pub fn double(&mut self, host: &[u8], target: &[u8]) {
        if let (Some(host), Some(target)) = (self.host(host), self.host(target)) {
            self.doubles.entry(host).or_default().push(target);
        }
    }

    /// `host`, and those whose addresses it has too, the nearest first.
    fn nearest<'b>(&'b self, host: &'b Host) -> Vec<&'b Host> {
        let (mut way, mut known, mut next) = (vec![host], BTreeSet::from([host]), 0);
        while let Some(at) = way.get(next) {
            let further = self.doubles.get(*at).into_iter().flatten();
            let further: Vec<_> = further.filter(|host| known.insert(host)).collect();
            way.extend(further);
            next += 1;
        }
        way
    }

    /// A mailbox; gives its row.
    pub fn mailbox(&mut self, new: NewMailbox<'_>) -> Option<TableRow> {
        let whole = [new.user, b"@", new.host].concat();
        if new.user.is_empty() {
            self.tally.add("a mailbox without a name; left out", &whole);
            return None;
        }
        let delivery = dotqmail::cells(new.delivery);
        let (name, address) = self.address(new.user, new.host)?;
        if address.mailbox.is_some() {
            self.tally.add("a second mailbox of the same name, but for capitals; left out", &whole);
            return None;
        }
        let is_delivered = delivery.is_ok();
        address.mailbox = Some(delivery.unwrap_or_else(|_| (b".".to_vec(), b"/Maildir/".to_vec())));
        if !is_delivered {
            self.tally.add("its delivery cannot be said in a row; it is ./Maildir/ now", &whole);
        }
        match &new.password {
            None => self.tally.add("has no password; nobody can log in", &whole),
            Some(Stored { trouble: Some(why), .. }) => {
                self.tally
                    .add("the stored password is carried over, but cannot be verified: nobody can log in", &whole);
                self.tally.add(why, &whole);
            }
            Some(_) => {}
        }
        let mut row = CredentialRow::default();
        row.mailbox.username = cell(name.as_bytes());
        row.mailbox.uid = cell(self.given.uid.to_string().as_bytes());
        row.mailbox.gid = cell(self.given.gid.to_string().as_bytes());
        row.mailbox.home = cell(new.home);
        row.mailbox.suspended = cell(if new.is_suspended { b"Y" } else { b"N" });
        let (password, kind) = new.password.map_or((Vec::new(), "Password"), |stored| (stored.password, stored.kind));
        row.password = Some(crate::password::Secret::new(password));
        row.password_type = cell(kind.as_bytes());
        Some(TableRow::Mailbox(row))
    }

    /// One more place where mail for an address goes. An empty `user` stands for all that are not listed.
    pub fn target(&mut self, user: &[u8], host: &[u8], target: Target) {
        if let Some((_, address)) = self.address(user, host) {
            address.targets.push(target);
        }
    }

    /// One more place where mail for an address went, which no row can say. Who finds that tells it.
    pub fn lost(&mut self, user: &[u8], host: &[u8]) {
        if let Some((_, address)) = self.address(user, host) {
            address.has_lost = true;
        }
    }

    /// Accepts every host that has an address.
    pub fn accept_all(&mut self) {
        self.domains.values_mut().for_each(|domain| domain.is_accepted = true);
    }

    /// Forgets, and tells, the addresses of hosts that `is_here` does not know. Their mailboxes stay.
    pub fn keep_addresses(&mut self, is_here: impl Fn(&[u8]) -> bool) {
        for (host, domain) in &mut self.domains {
            if !is_here(host.as_bytes()) && !domain.addresses.is_empty() {
                domain.addresses.clear();
                self.tally.add("a domain that is not delivered to here; its addresses are left out", host.as_bytes());
            }
        }
    }

    /// True if it is the address of a mailbox.
    fn is_mailbox(&self, address: &[u8]) -> bool {
        let Some(at) = address.iter().rposition(|&b| b == b'@') else { return false };
        let (user, host) = (address.get(..at).unwrap_or_default(), address.get(at + 1..).unwrap_or_default());
        let domain = Host::new(host).and_then(|host| self.domains.get(&host));
        let own = domain.zip(VirtualUser::new(user)).and_then(|(domain, user)| domain.addresses.get(&user));
        own.is_some_and(|own| own.mailbox.is_some())
    }

    /// All rows but those of mailboxes, each put to `add`; and what could not be carried over.
    ///
    /// # Errors
    /// Whatever `add` returns.
    pub fn finish<E>(mut self, add: &mut dyn FnMut(TableRow) -> Result<(), E>) -> Result<Tally, E> {
        let mut tally = std::mem::take(&mut self.tally);
        self.tell_loops(&mut tally);
        // Who owns the addresses of a domain, for those that have the same.
        let mut owners: BTreeMap<&Host, BTreeMap<&VirtualUser, Vec<u8>>> = BTreeMap::new();
        for (host, domain) in &self.domains {
            if domain.is_accepted {
                add(TableRow::Rcpthosts(HostRow { host: cell(host.as_bytes()) }))?;
            }
            for (user, address) in &domain.addresses {
                let name = [user.as_bytes(), b"@", host.as_bytes()].concat();
                let Some(owner) = self.deliver(user, &name, address, &mut tally, add)? else { continue };
                add(self.virtual_row(host, user, &owner))?;
                owners.entry(host).or_default().insert(user, owner);
            }
            let has_none = !owners.contains_key(host) && !self.doubles.contains_key(host);
            if domain.is_accepted && !domain.is_relayed && has_none {
                let why = "a domain without any address: it stands in table rcpthosts only, and rules.rcpthosts_only says \
                           what becomes of its mail; give it an address, or take it out";
                tally.note(why, host.as_bytes());
            }
        }
        for host in self.doubles.keys() {
            let own = self.domains.get(host);
            if !own.is_some_and(|own| own.is_accepted) {
                add(TableRow::Rcpthosts(HostRow { host: cell(host.as_bytes()) }))?;
            }
            let mut known: BTreeSet<&VirtualUser> = own.into_iter().flat_map(|own| own.addresses.keys()).collect();
            let before = known.len();
            for near in self.nearest(host).into_iter().skip(1) {
                for (user, owner) in owners.get(near).into_iter().flatten() {
                    if known.insert(user) {
                        add(self.virtual_row(host, user, owner))?;
                    }
                }
            }
            if known.len() == before {
                tally.add("has the addresses of a domain that has none", host.as_bytes());
            }
        }
        Ok(tally)
    }

    fn virtual_row(&self, host: &Host, user: &VirtualUser, owner: &[u8]) -> TableRow {
        TableRow::Virtual(VirtualRow {
            virtual_host: cell(host.as_bytes()),
            virtual_username: cell(&pattern(user.as_bytes(), self.given.patterns)),
            username: cell(owner),
            ext: cell(b""),
        })
    }

    /// The alias rows of an address; gives the name that owns it, `None` if no mail can be delivered.
    fn deliver<E>(
        &self,
        user: &VirtualUser,
        name: &[u8],
        address: &Address,
        tally: &mut Tally,
        add: &mut dyn FnMut(TableRow) -> Result<(), E>,
    ) -> Result<Option<Vec<u8>>, E> {
        let mut cells: Vec<&Cells> = Vec::new();
        let (mut others, mut known, mut has_lost) = (Vec::new(), BTreeSet::new(), address.has_lost);
        for target in address.targets.iter().filter(|target| known.insert(*target)) {
            match (target, &address.mailbox) {
                (Target::Own, Some(own)) => cells.push(own),
                (Target::Own, None) => {
                    has_lost = true;
                    tally.add("is sent on to itself, and is no mailbox; left out", name);
                }
                (Target::Cells(user, host), _) => others.push((user.clone(), host.clone())),
            }
        }
        cells.extend(&others);
        let deferred = (DEFERS.0.to_vec(), DEFERS.1.to_vec());
        if cells.is_empty() && has_lost {
            if address.mailbox.is_some() {
                tally.add("is sent on to nobody any more: its mail goes to its own mailbox now", name);
            } else {
                // Not to the catch-all, and not back to the sender.
                tally.add(
                    "is sent on to nobody any more: its mail waits until its row in table alias says where to",
                    name,
                );
                cells.push(&deferred);
            }
        }
        let (username, ext): (&[u8], &[u8]) = match &address.mailbox {
            Some(own) => {
                if cells.is_empty() {
                    cells.push(own);
                }
                (name, b"")
            }
            // All mail of a domain for one mailbox needs nobody in between.
            None if user.as_bytes().is_empty() => match &cells[..] {
                [(user, host)] if self.is_mailbox(&[user, &b"@"[..], host].concat()) => {
                    return Ok(Some([user, &b"@"[..], host].concat().to_ascii_lowercase()));
                }
                _ => (&self.given.alias_user, name),
            },
            None => (&self.given.alias_user, name),
        };
        if cells.is_empty() {
            return Ok(None);
        }
        if Ext::new(ext).is_none() {
            tally.add("too long for a row of table alias; left out", name);
            return Ok(None);
        }
        for (alias_username, alias_host) in cells {
            add(TableRow::Alias(AliasRow {
                username: cell(username),
                alias: cell(ext),
                alias_username: cell(alias_username),
                alias_host: cell(alias_host),
                seq: None,
            }))?;
        }
        Ok(Some(name.to_vec()))
    }
}

fn cell(bytes: &[u8]) -> Cell {
    Some(bytes.to_vec())
}

/// The cell virtual_username that stands for just this user, or for all if it is blank.
fn pattern(user: &[u8], patterns: VirtualPatterns) -> Vec<u8> {
    let is_wild = |byte: &u8| matches!(byte, b'%' | b'_');
    match patterns {
        VirtualPatterns::Plain => user.to_vec(),
        VirtualPatterns::Like if user.is_empty() => b"%".to_vec(),
        VirtualPatterns::Like if user.iter().any(is_wild) => {
            let mark = |&byte: &u8| is_wild(&byte) || byte == b'\\';
            user.iter().flat_map(|byte| mark(byte).then_some(b'\\').into_iter().chain([*byte])).collect()
        }
        VirtualPatterns::Like => user.to_vec(),
    }
}
