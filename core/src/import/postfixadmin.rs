//! postfixadmin's tables.

use super::book::{Book, Given, NewMailbox, Target};
use super::hash::Stored;
use super::tally::Tally;
use crate::catalog::TableRow;
use crate::dotqmail;
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// A row of table mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<'a> {
    /// username: the address.
    pub address: &'a [u8],
    /// password, with or without `{SCHEME}`.
    pub password: &'a [u8],
    /// maildir, made absolute: what ends in a slash is a maildir, all else is an mbox.
    pub path: &'a [u8],
    /// active.
    pub is_active: bool,
}

/// A row of table domain.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// backupmx.
    pub is_backup: bool,
    /// active.
    pub is_active: bool,
}

/// True if a column active or backupmx says yes.
#[must_use]
pub fn is_yes(cell: &[u8]) -> bool {
    matches!(cell.to_ascii_lowercase().as_slice(), b"1" | b"t" | b"true" | b"y" | b"yes" | b"\x01")
}

/// postfixadmin's rows on their way into ours. They come in any order.
#[derive(Debug)]
pub struct Postfixadmin {
    book: Book,
    /// Name, and whether mail is delivered here. `None` if there is no such table.
    domains: Option<BTreeMap<Vec<u8>, bool>>,
    /// Address and where it is sent on to, of those that are active.
    aliases: Vec<(Vec<u8>, Vec<u8>)>,
    doubles: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Postfixadmin {
    /// None yet.
    #[must_use]
    pub fn new(given: Given) -> Self {
        Self { book: Book::new(given), domains: None, aliases: Vec::new(), doubles: Vec::new() }
    }

    /// A mailbox; gives its row.
    pub fn mailbox(&mut self, new: Mailbox<'_>) -> Option<TableRow> {
        let Some((user, host)) = split(new.address) else {
            self.book.tally.add("a mailbox whose username is no address; left out", new.address);
            return None;
        };
        let (home, delivery) = place(new.path);
        let row = self.book.mailbox(NewMailbox {
            user,
            host,
            home,
            password: (!new.password.is_empty()).then(|| Stored::with_scheme(new.password)),
            is_suspended: !new.is_active,
            delivery: &delivery,
        })?;
        if !new.is_active {
            self.book.tally.note("not active: suspended now; its mail goes by rules.suspended_mail", new.address);
        }
        Some(row)
    }

    /// A row of table alias.
    pub fn alias(&mut self, address: &[u8], goto: &[u8], is_active: bool) {
        if is_active {
            self.aliases.push((address.to_vec(), goto.to_vec()));
        } else {
            self.book.tally.add("an alias that is not active; left out", address);
        }
    }

    /// A row of table domain.
    pub fn domain(&mut self, domain: Domain<'_>) {
        let domains = self.domains.get_or_insert_default();
        let name = domain.name.to_ascii_lowercase();
        // The row that stands for the administrators of all domains.
        if name == b"all" {
            return;
        }
        let tally = &mut self.book.tally;
        if !domain.is_active {
            tally.add("a domain that is not active; its addresses are left out, its mailboxes stay", domain.name);
        } else if domain.is_backup {
            let why = "a domain that is kept for another host (backupmx): it stands in table rcpthosts only, and \
                       rules.rcpthosts_only must be \"relay\" for it";
            tally.note(why, domain.name);
        }
        match (domain.is_active, domain.is_backup) {
            (true, true) => self.book.relay(domain.name),
            (true, false) => self.book.accept(domain.name),
            (false, _) => {}
        }
        domains.insert(name, domain.is_active && !domain.is_backup);
    }

    /// A row of table alias_domain.
    pub fn alias_domain(&mut self, alias: &[u8], target: &[u8], is_active: bool) {
        if is_active {
            self.doubles.push((alias.to_vec(), target.to_vec()));
        } else {
            self.book.tally.add("a domain alias that is not active; left out", alias);
        }
    }

    /// All rows but those of mailboxes, each put to `add`; and what could not be carried over.
    ///
    /// # Errors
    /// Whatever `add` returns.
    pub fn finish<E>(mut self, add: &mut dyn FnMut(TableRow) -> Result<(), E>) -> Result<Tally, E> {
        for (address, goto) in std::mem::take(&mut self.aliases) {
            self.goto(&address, &goto);
        }
        for (alias, target) in std::mem::take(&mut self.doubles) {
            if self.is_here(&alias) {
                self.book.double(&alias, &target);
            } else {
                self.book.tally.add("a domain alias whose domain is not active or not there; left out", &alias);
            }
        }
        let here = std::mem::take(&mut self.domains);
        match here {
            None => self.book.accept_all(),
            Some(domains) => self.book.keep_addresses(|host| domains.get(host).is_some_and(|is_here| *is_here)),
        }
        self.book.finish(add)
    }

    fn is_here(&self, host: &[u8]) -> bool {
        let known = |domains: &BTreeMap<Vec<u8>, bool>| domains.get(&host.to_ascii_lowercase()).copied();
        self.domains.as_ref().is_none_or(|domains| known(domains).unwrap_or(false))
    }

    fn goto(&mut self, address: &[u8], goto: &[u8]) {
        let Some((user, host)) = split(address) else {
            return self.book.tally.add("an alias whose address has no host; left out", address);
        };
        let targets = goto.split(|b| matches!(b, b',' | b'\n' | b'\r')).map(<[u8]>::trim_ascii);
        let targets: Vec<_> = targets.filter(|target| !target.is_empty()).collect();
        if let ([only], b"") = (&targets[..], user)
            && let Some(domain) = only.strip_prefix(b"@")
        {
            // Every address of the one domain is the same address of the other.
            return self.doubles.push((host.to_vec(), domain.to_vec()));
        }
        if targets.is_empty() {
            self.book.tally.add("an alias that is sent on to nobody; left out", address);
        }
        for target in targets {
            if target.eq_ignore_ascii_case(address) {
                self.book.target(user, host, Target::Own);
            } else if is_vacation(target, address) {
                self.book.lost(user, host);
                self.book.tally.add("sends vacation messages; not carried over", address);
            } else {
                match dotqmail::cells(&[b"&", target].concat()) {
                    Ok((username, host_part)) => self.book.target(user, host, Target::Cells(username, host_part)),
                    Err(why) => {
                        self.book.lost(user, host);
                        self.book.tally.add("is sent on to what cannot be a row; that one is left out", address);
                        self.book.tally.add(why, address);
                    }
                }
            }
        }
    }
}

/// True if `target` is what makes postfixadmin's vacation program answer for `address`: `user#host@autoreply.host`.
fn is_vacation(target: &[u8], address: &[u8]) -> bool {
    let mark: Vec<u8> = address.iter().map(|&b| if b == b'@' { b'#' } else { b.to_ascii_lowercase() }).collect();
    split(target).is_some_and(|(user, _)| user.eq_ignore_ascii_case(&mark))
}

fn split(address: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = address.iter().rposition(|&b| b == b'@')?;
    Some((address.get(..at)?, address.get(at + 1..)?))
}

/// Home and delivery for the path of a maildir or an mbox.
fn place(path: &[u8]) -> (&[u8], Vec<u8>) {
    let Some(maildir) = path.strip_suffix(b"/") else {
        let cut = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
        let (home, file) = path.split_at_checked(cut).unwrap_or_default();
        return (home, [b".", file].concat());
    };
    match maildir.strip_suffix(b"/Maildir") {
        Some(home) => (home, b"./Maildir/".to_vec()),
        None => (maildir, b"./".to_vec()),
    }
}
