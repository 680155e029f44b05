//! vpopmail's tables.

use super::book::{Book, Given, NewMailbox, Target};
use super::hash::Stored;
use super::tally::Tally;
use crate::alias::without_trailing_blanks;
use crate::catalog::TableRow;
use crate::dotqmail;
use std::collections::{BTreeMap, BTreeSet};

/// A row of table vpopmail.
#[derive(Clone, Copy, Debug, Default)]
pub struct User<'a> {
    /// pw_name.
    pub name: &'a [u8],
    /// pw_domain.
    pub domain: &'a [u8],
    /// pw_passwd: a hash of crypt(3).
    pub hash: &'a [u8],
    /// pw_clear_passwd.
    pub clear: &'a [u8],
    /// pw_gid: what the user may not do, one bit each.
    pub bits: &'a [u8],
    /// pw_dir.
    pub dir: &'a [u8],
    /// pw_shell: the quota.
    pub quota: &'a [u8],
}

const NO_POP: u64 = 0x02;
const NO_IMAP: u64 = 0x08;

/// What else the bits mean.
const BITS: [(u64, &str); 13] = [
    (0x01, "may not change the password (pw_gid 0x1); not carried over"),
    (0x04, "may not use webmail (pw_gid 0x4); not carried over"),
    (0x10, "mail is refused (pw_gid 0x10); not carried over, mail is delivered"),
    (0x20, "may not relay (pw_gid 0x20); not carried over"),
    (0x40, "may not dial in (pw_gid 0x40); not carried over"),
    (0x80, "the site's own mark 0 (pw_gid 0x80); not carried over"),
    (0x100, "the site's own mark 1 (pw_gid 0x100); not carried over"),
    (0x200, "the site's own mark 2 (pw_gid 0x200); not carried over"),
    (0x400, "the site's own mark 3 (pw_gid 0x400); not carried over"),
    (0x800, "may not send by SMTP (pw_gid 0x800); not carried over"),
    (0x1000, "administrator of the domain (pw_gid 0x1000); not carried over"),
    (0x2000, "the limits of the domain do not count (pw_gid 0x2000); not carried over"),
    (!0x3FFF, "a setting of the spam filter or of delivery (pw_gid from 0x4000 on); not carried over"),
];

const ONE_PROTOCOL: &str = "one of POP and IMAP is off (pw_gid 0x2, 0x8); not carried over, both are open";

const NO_HASH: &str = "pw_passwd is blank, so that nobody got in by the password itself; pw_clear_passwd is left out";

/// pw_gid: a number with a sign, of which -1 is all bits.
fn bits(cell: &[u8]) -> Option<u64> {
    let number: i64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
    Some(u64::from_ne_bytes(number.to_ne_bytes()))
}

/// vpopmail's rows on their way into ours.
#[derive(Debug)]
pub struct Vpopmail {
    book: Book,
    /// Address of each home.
    homes: BTreeMap<Vec<u8>, Vec<u8>>,
    domains: BTreeSet<Vec<u8>>,
    /// Rows of table valias, in the order of the file.
    lines: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Vpopmail {
    /// None yet.
    #[must_use]
    pub fn new(given: Given) -> Self {
        Self { book: Book::new(given), homes: BTreeMap::new(), domains: BTreeSet::new(), lines: Vec::new() }
    }

    fn domain(&mut self, domain: &[u8]) {
        if self.domains.insert(domain.to_ascii_lowercase()) {
            self.book.accept(domain);
        }
    }

    /// A user; gives the row of table mailbox.
    pub fn user(&mut self, user: User<'_>) -> Option<TableRow> {
        let address = [user.name, b"@", user.domain].concat();
        let (mut notes, mut losses) = (Vec::new(), Vec::new());
        let bits = if user.bits.is_empty() { Some(0) } else { bits(user.bits) };
        let set = bits.unwrap_or_default();
        losses.extend(BITS.iter().filter(|(bit, _)| set & bit != 0).map(|(_, why)| *why));
        let closed = [NO_POP, NO_IMAP].iter().filter(|bit| set & *bit != 0).count();
        match (bits, closed) {
            (None, _) => losses.push("pw_gid is no number, so that it is not known what is allowed: suspended now"),
            (_, 0) => {}
            (_, 1) => losses.push(ONE_PROTOCOL),
            _ => notes.push("POP and IMAP are off (pw_gid 0x2, 0x8): suspended now"),
        }
        if !user.quota.is_empty() && user.quota != b"NOQUOTA" {
            losses.push("has a quota (pw_shell); not carried over");
        }
        let password = (!user.hash.is_empty()).then(|| Stored::crypted(user.hash));
        match (user.hash, user.clear) {
            (_, b"") => {}
            (b"", _) => losses.push(NO_HASH),
            _ => losses.push("pw_clear_passwd is left out; the hash is there"),
        }
        if !user.dir.starts_with(b"/") {
            losses.push(
                "pw_dir is blank or no absolute path: its mail waits, and nobody can log in, until it has a home",
            );
        }
        self.domain(user.domain);
        let home = if user.dir.len() > 1 { user.dir.strip_suffix(b"/").unwrap_or(user.dir) } else { user.dir };
        let row = self.book.mailbox(NewMailbox {
            user: user.name,
            host: user.domain,
            home,
            password,
            is_suspended: bits.is_none() || closed == 2,
            delivery: b"./Maildir/",
        })?;
        losses.into_iter().for_each(|why| self.book.tally.add(why, &address));
        notes.into_iter().for_each(|why| self.book.tally.note(why, &address));
        self.homes.insert(home.to_vec(), address.to_ascii_lowercase());
        Some(row)
    }

    /// A row of table valias: `line` is one of a dot-qmail file.
    pub fn valias(&mut self, alias: &[u8], domain: &[u8], line: &[u8]) {
        self.domain(domain);
        self.lines.push((alias.to_vec(), domain.to_vec(), line.to_vec()));
    }

    /// A row of table aliasdomains.
    pub fn alias_domain(&mut self, alias: &[u8], domain: &[u8]) {
        if !alias.eq_ignore_ascii_case(domain) {
            self.book.double(alias, domain);
        }
    }

    /// All rows but those of mailboxes, each put to `add`; and what could not be carried over.
    ///
    /// # Errors
    /// Whatever `add` returns.
    pub fn finish<E>(mut self, add: &mut dyn FnMut(TableRow) -> Result<(), E>) -> Result<Tally, E> {
        for (alias, domain, line) in std::mem::take(&mut self.lines) {
            self.line(&alias, &domain, &line);
        }
        for domain in &self.domains {
            let why = "what happens to mail for unknown users stands in the domain's .qmail-default, not in the database: \
                       unless that is bounce-no-mailbox, add a row (virtual add @DOMAIN ...)";
            self.book.tally.add(why, domain);
        }
        if !self.homes.is_empty() {
            let why = "a .qmail file in a user's home (forwards, vacation) does not count beside the row that was made for \
                       ./Maildir/; look for them and add their lines as rows";
            self.book.tally.add(why, b"all users");
        }
        self.book.finish(add)
    }

    fn line(&mut self, alias: &[u8], domain: &[u8], line: &[u8]) {
        let address = [alias, b"@", domain].concat();
        let line = without_trailing_blanks(line).trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            // A line that delivers nothing; whoever has no other got nothing.
            return self.book.lost(alias, domain);
        }
        let (user, host) = match dotqmail::cells(line) {
            Ok(cells) => cells,
            Err(why) => {
                self.book.lost(alias, domain);
                self.book.tally.add("a line of valias cannot be a row; left out", &address);
                self.book.tally.add(why, &address);
                return;
            }
        };
        let home = line.strip_suffix(b"/Maildir/").and_then(|home| self.homes.get(home));
        let target = match (&user[..], home) {
            (b"/", Some(owner)) if owner.eq_ignore_ascii_case(&address) => Target::Own,
            (b"/", Some(owner)) => cells_of(owner),
            (b".", _) => {
                self.book.lost(alias, domain);
                let why = "a line of valias names a path relative to the domain's directory; left out";
                return self.book.tally.add(why, &address);
            }
            (b"|" | b"/", _) => {
                let why = "a line of valias is a program or a path: it is used by the alias user, or by the mailbox of \
                           the address, and no longer by vpopmail's; look whether it still works";
                self.book.tally.add(why, &address);
                Target::Cells(user, host)
            }
            _ if [&user[..], b"@", &host].concat().eq_ignore_ascii_case(&address) => Target::Own,
            _ => Target::Cells(user, host),
        };
        self.book.target(alias, domain, target);
    }
}

fn cells_of(address: &[u8]) -> Target {
    let at = address.iter().rposition(|&b| b == b'@').unwrap_or(address.len());
    let (user, host) = (address.get(..at).unwrap_or_default(), address.get(at + 1..).unwrap_or_default());
    Target::Cells(user.to_vec(), host.to_vec())
}

/// The domain whose name the table of one domain has: names of tables hold `_` for dots and dashes, so that it is found in
/// the home of a user, below `domains/`.
#[must_use]
pub fn domain_of<'d>(table: &str, dir: &'d [u8]) -> Option<&'d [u8]> {
    let munged = |part: &[u8]| -> Vec<u8> {
        part.iter().map(|&b| if matches!(b, b'.' | b'-') { b'_' } else { b.to_ascii_lowercase() }).collect()
    };
    dir.split(|&b| b == b'/').find(|part| part.contains(&b'.') && munged(part) == table.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        users: &[User<'_>],
        lines: &[[&str; 3]],
        doubles: &[[&str; 2]],
    ) -> (Vec<String>, Vec<(String, &'static str)>) {
        let given = Given { uid: 500, gid: 600, alias_user: b"alias".to_vec(), ..Given::default() };
        let mut all = Vpopmail::new(given);
        let mut rows = Vec::new();
        // As in a dump: valias comes before vpopmail.
        lines.iter().for_each(|[alias, domain, line]| all.valias(alias.as_bytes(), domain.as_bytes(), line.as_bytes()));
        doubles.iter().for_each(|[alias, domain]| all.alias_domain(alias.as_bytes(), domain.as_bytes()));
        rows.extend(users.iter().filter_map(|user| all.user(*user)));
        let mut add = |row| {
            rows.push(row);
            Ok::<_, ()>(())
        };
        let tally = all.finish(&mut add).unwrap();
        let show = |row: &TableRow| {
            let cells: Vec<_> = row.cells().into_iter().flatten().map(String::from_utf8_lossy).collect();
            format!("{} {}", row.table(), cells.join("|"))
        };
        (rows.iter().map(show).collect(), tally.list().map(|kind| (kind.about, kind.why)).collect())
    }

    fn user<'a>(name: &'a str, bits: &'a str) -> User<'a> {
        User {
            name: name.as_bytes(),
            domain: b"Example.com",
            hash: b"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            bits: bits.as_bytes(),
            dir: b"/v/domains/example.com/u",
            quota: b"NOQUOTA",
            ..User::default()
        }
    }

    #[test]
    fn a_user_is_a_mailbox_with_a_delivery_and_an_address() {
        let (rows, _) = of(&[user("Joe", "0")], &[], &[]);
        assert_eq!(
            rows,
            [
                "mailbox joe@example.com|500|600|/v/domains/example.com/u|$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1|Crypt-Password|N",
                "rcpthosts example.com",
                "alias joe@example.com||.|/Maildir/",
                "virtual example.com|joe|joe@example.com|",
            ]
        );
    }

    #[test]
    fn only_both_protocols_off_suspend_and_each_bit_is_told() {
        for (bits, suspended) in [
            ("0", "N"),
            ("", "N"),
            ("2", "N"),
            ("8", "N"),
            ("10", "Y"),
            ("65535", "Y"),
            ("-1", "Y"),
            ("-9", "N"),
            ("x", "Y"),
        ] {
            let (rows, _) = of(&[user("joe", bits)], &[], &[]);
            assert!(rows[0].ends_with(&format!("|{suspended}")), "{bits} {rows:?}");
        }
        let told = |bits: &str| of(&[user("joe", bits)], &[], &[]).1.len() - of(&[user("joe", "0")], &[], &[]).1.len();
        for bit in 0..16 {
            assert_eq!(told(&(1_u32 << bit).to_string()), 1, "bit {bit}");
        }
        assert_eq!((told("16"), told("10"), told("x"), told("-1")), (1, 1, 1, BITS.len() + 1));
    }

    #[test]
    fn without_a_hash_nobody_gets_in_and_only_what_is_written_is_told() {
        let clear = User { hash: b"", clear: b"secret", dir: b"", ..user("joe", "0") };
        let (rows, told) = of(&[clear], &[], &[]);
        assert!(rows[0].ends_with("|600|||Password|N"), "{rows:?}");
        for word in ["pw_passwd is blank", "pw_dir is blank", "no password"] {
            assert!(told.iter().any(|(what, why)| what == "joe@Example.com" && why.contains(word)), "{told:?}");
        }
        let (rows, told) = of(&[user("joe", "0"), user("Joe", "10")], &[], &[]);
        assert!(rows.iter().filter(|row| row.starts_with("mailbox")).count() == 1 && rows[0].ends_with("|N"));
        assert!(told.iter().any(|(_, why)| why.contains("second mailbox")), "{told:?}");
        assert!(!told.iter().any(|(_, why)| why.contains("suspended")), "{told:?}");
    }

    #[test]
    fn lines_take_the_place_of_the_delivery_or_belong_to_the_alias_user() {
        let lines = [
            ["joe", "example.com", "&other@example.org"],
            ["joe", "example.com", "/v/domains/example.com/u/Maildir/"],
            ["sales", "example.com", "joe@example.com"],
            ["sales", "example.com", "# nothing"],
            ["bin", "example.com", "|/bin/prog x"],
            ["rel", "example.com", "./Mailbox"],
            ["self", "example.com", "self@example.com"],
            ["near", "example.com", "/v/domains/example.com/u/Maildir/"],
        ];
        let (rows, told) = of(&[user("joe", "0")], &lines, &[["example.net", "example.com"]]);
        let of = |table: &str| rows.iter().filter(|row| row.starts_with(table)).map(String::as_str).collect::<Vec<_>>();
        assert_eq!(
            of("alias"),
            [
                "alias alias|bin@example.com|||/bin/prog x",
                "alias joe@example.com||.|/Maildir/",
                "alias joe@example.com||other|example.org",
                "alias alias|near@example.com|joe|example.com",
                "alias alias|rel@example.com|.|",
                "alias alias|sales@example.com|joe|example.com",
                "alias alias|self@example.com|.|",
            ]
        );
        let users = ["bin", "joe", "near", "rel", "sales", "self"];
        let want = |host: &str| users.map(|user| format!("virtual {host}|{user}|{user}@example.com|"));
        assert_eq!(of("virtual"), [want("example.com"), want("example.net")].concat());
        assert_eq!(of("rcpthosts"), ["rcpthosts example.com", "rcpthosts example.net"]);
        assert!(told.iter().any(|(what, why)| what == "rel@example.com" && why.contains("relative")), "{told:?}");
        assert!(told.iter().any(|(what, why)| what == "self@example.com" && why.contains("itself")), "{told:?}");
    }

    #[test]
    fn the_domain_of_a_table_of_its_own_stands_in_the_homes() {
        let of = |table: &str, dir: &'static str| domain_of(table, dir.as_bytes());
        assert_eq!(of("my_site_org", "/v/domains/0/my-site.org/A/joe"), Some(&b"my-site.org"[..]));
        assert_eq!(of("my_site_org", "/v/domains/other.org/joe"), None);
    }
}
