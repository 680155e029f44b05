//! users/cdb beside the tables: qmail-lspawn finds a recipient there before it asks qmail-getpw.

use super::{Finding, Repair, Severity};
use crate::catalog::Table;
use crate::error::printable;
use crate::key::{Username, fold};
use crate::mailbox::MailboxRow;
use crate::rules::candidates;
use crate::virtuals::{Encoded, is_host_key};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// A line of users/assign as it stands in users/cdb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The local part, or what it begins with; in lower case.
    pub name: Vec<u8>,
    /// True for `+` lines: every local part that begins so.
    pub is_prefix: bool,
    /// Who gets the mail.
    pub user: Vec<u8>,
    /// As whom it is delivered.
    pub uid: u32,
}

/// As users/assign has it, as far as it is kept here; bytes that are no text are escaped.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_prefix { '+' } else { '=' };
        write!(f, "{kind}{}:{}:{}:", printable(&self.name), printable(&self.user), self.uid)
    }
}

/// A line that gives mail of mailboxes, or of virtual hosts, to another than the rows do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The line.
    pub line: Line,
    /// [`Table::Mailbox`] or [`Table::Virtual`].
    pub table: Table,
    /// The first mailbox or virtual host that loses mail, folded.
    pub first: Vec<u8>,
    /// How many there are.
    pub count: usize,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.table == Table::Mailbox { "mailbox" } else { "virtual host" };
        let more = if self.count > 1 { format!(" and {} more", self.count - 1) } else { String::new() };
        write!(f, "users/cdb gives mail of {kind} {}{more} to another: {}", printable(&self.first), self.line)
    }
}

impl Taken {
    /// The same as a finding of lint.
    #[must_use]
    pub fn finding(&self) -> Finding {
        Finding {
            severity: Severity::Warning,
            rule: "assigned",
            table: self.table,
            key: printable(&self.first),
            why: format!("{self}: he delivers it, or it waits, whatever the row says"),
            repair: Repair::Words(
                "take the line out of users/assign, and run qmail-newu; or remove the row".to_owned(),
            ),
        }
    }
}

/// Judges the lines, while the tables are read.
pub struct AssignedJudge {
    lines: Vec<Line>,
    breaks: Vec<u8>,
    exact: HashMap<Vec<u8>, usize>,
    prefixes: HashMap<Vec<u8>, usize>,
    /// Lines by each mailbox whose name, or extension, theirs is (rule G1).
    owners: HashMap<Vec<u8>, Vec<usize>>,
    /// Lines by the user that they name.
    users: HashMap<Vec<u8>, Vec<usize>>,
    /// Lines by the virtual host whose recipients they name.
    hosts: HashMap<Vec<u8>, Vec<usize>>,
    found: Vec<Found>,
    last_host: Vec<u8>,
}

/// What was found out about a line.
#[derive(Clone, Debug, Default)]
struct Found {
    /// The longest mailbox that owns the line's name (rule G2), and whether the line gives the mail to it.
    owner: Option<(Vec<u8>, bool)>,
    /// Those whose names begin with the line's, and hosts: the first, and how many.
    mailboxes: Count,
    hosts: Count,
    /// True if its user is a mailbox of its uid.
    is_mailbox: bool,
}

type Count = Option<(Vec<u8>, usize)>;

fn add(count: &mut Count, name: &[u8]) {
    count.get_or_insert_with(|| (name.to_vec(), 0)).1 += 1;
}

impl AssignedJudge {
    /// A judge of these lines. A line for everybody takes no mail from anybody here: see [`Self::everybody`].
    #[must_use]
    pub fn new(lines: Vec<Line>, break_chars: &[u8]) -> Self {
        let mut judge = Self {
            found: vec![Found::default(); lines.len()],
            breaks: break_chars.to_vec(),
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            owners: HashMap::new(),
            users: HashMap::new(),
            hosts: HashMap::new(),
            last_host: Vec::new(),
            lines,
        };
        for (at, line) in judge.lines.iter().enumerate() {
            let name = fold(&line.name);
            for candidate in candidates(&name, break_chars) {
                // What begins with a mailbox's whole name is not its own, unless a break character follows.
                if candidate.ext_at.is_some() || !line.is_prefix {
                    judge.owners.entry(candidate.name.as_bytes().to_vec()).or_default().push(at);
                }
            }
            judge.users.entry(fold(&line.user)).or_default().push(at);
            if let Some(encoded) = Encoded::decode(&name)
                && !(line.is_prefix && encoded.user.is_empty())
            {
                judge.hosts.entry(encoded.host.as_bytes().to_vec()).or_default().push(at);
            }
            match line.is_prefix {
                true if name.is_empty() => false,
                true => judge.prefixes.insert(name, at).is_some(),
                false => judge.exact.insert(name, at).is_some(),
            };
        }
        judge
    }

    /// The line with an empty prefix: with it qmail-getpw is never run.
    #[must_use]
    pub fn everybody(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.is_prefix && line.name.is_empty())
    }

    /// True if there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// True if a line could take recipients of virtual hosts.
    #[must_use]
    pub fn asks_hosts(&self) -> bool {
        self.lines.iter().any(|line| line.name.starts_with(b"="))
    }

    /// The line by whose prefix qmail-lspawn finds `local`.
    fn prefix(&self, local: &[u8]) -> Option<usize> {
        (1..=local.len()).rev().find_map(|end| self.prefixes.get(local.get(..end)?)).copied()
    }

    /// Takes a row of table mailbox.
    pub fn mailbox(&mut self, row: &MailboxRow) {
        let name = fold(row.username.as_deref().unwrap_or_default());
        if Username::new(&name).is_none() {
            return;
        }
        let uid = row.uid.as_deref().and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
        for &at in self.users.get(&name).into_iter().flatten() {
            if let (Some(line), Some(found)) = (self.lines.get(at), self.found.get_mut(at)) {
                found.is_mailbox |= Some(line.uid) == uid;
            }
        }
        let agrees = |line: &Line| fold(&line.user) == name && Some(line.uid) == uid;
        for &at in self.owners.get(&name).into_iter().flatten() {
            let (Some(line), Some(found)) = (self.lines.get(at), self.found.get_mut(at)) else { continue };
            if found.owner.as_ref().is_none_or(|(owner, _)| owner.len() <= name.len()) {
                found.owner = Some((name.clone(), agrees(line)));
            }
        }
        let whole = if self.exact.contains_key(&name) { None } else { self.prefix(&name) };
        let extended = self.breaks.iter().map(|&byte| self.prefix(&[&name[..], &[byte]].concat()));
        let lines: BTreeSet<usize> = extended.flatten().chain(whole).collect();
        for at in lines {
            let (Some(line), Some(found)) = (self.lines.get(at), self.found.get_mut(at)) else { continue };
            if line.name.len() <= name.len() && !agrees(line) {
                add(&mut found.mailboxes, &name);
            }
        }
    }

    /// Takes a virtual host, as its rows have it. Rows of one host come one after the other.
    pub fn host(&mut self, host: &[u8]) {
        let host = fold(host);
        if host == self.last_host || !is_host_key(&host) {
            return;
        }
        let inside = self.hosts.get(&host).into_iter().flatten().copied();
        let around = self.prefix(&[b"=", &host[..], b"=-"].concat());
        let lines: BTreeSet<usize> = inside.chain(around).collect();
        for at in lines {
            if let Some(found) = self.found.get_mut(at) {
                add(&mut found.hosts, &host);
            }
        }
        self.last_host = host;
    }

    /// What the tables, read to their ends, and the lines contradict each other in; and the lines whose user is no
    /// mailbox of the line's uid.
    #[must_use]
    pub fn end(self) -> (Vec<Taken>, Vec<Line>) {
        let (mut taken, mut strangers) = (Vec::new(), Vec::new());
        for (line, mut found) in self.lines.into_iter().zip(self.found) {
            if let Some((owner, false)) = &found.owner {
                add(&mut found.mailboxes, owner);
            }
            for (table, count) in [(Table::Mailbox, found.mailboxes), (Table::Virtual, found.hosts)] {
                let of = |(first, count)| Taken { line: line.clone(), table, first, count };
                taken.extend(count.map(of));
            }
            if !found.is_mailbox {
                strangers.push(line);
            }
        }
        (taken, strangers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let fields: Vec<_> = text.get(1..).unwrap().split(':').collect();
        let [name, user, uid] = fields[..] else { panic!("{text}") };
        let is_prefix = text.starts_with('+');
        Line { name: name.into(), is_prefix, user: user.into(), uid: uid.parse().unwrap() }
    }

    const MAILBOXES: [(&str, u32); 6] =
        [("iain", 1), ("Iain-Sanity", 2), ("bob", 3), ("bob-jones", 4), ("bob-smith", 5), ("bobby", 6)];

    /// `mailbox bob 2` for each line that takes something, by lines and then tables.
    fn taken(lines: &[&str]) -> Vec<String> {
        let mut judge = AssignedJudge::new(lines.iter().map(|text| line(text)).collect(), b"-");
        for (name, uid) in MAILBOXES {
            let cell = |text: &str| Some(text.as_bytes().to_vec());
            let username = cell(name);
            judge.mailbox(&MailboxRow { username, uid: cell(&uid.to_string()), ..MailboxRow::default() });
        }
        ["Bar.com", "bar.com", ".wild.test", "bad host"].iter().for_each(|host| judge.host(host.as_bytes()));
        let said = |taken: Taken| format!("{} {} {}", taken.table, printable(&taken.first), taken.count);
        judge.end().0.into_iter().map(said).collect()
    }

    #[test]
    fn a_line_contradicts_the_mailbox_that_owns_its_name() {
        for (text, want) in [
            ("=iain:iain:1", &[][..]),
            ("=IAIN:Iain:1", &[]),
            ("=iain:bob:1", &["mailbox iain 1"]),
            ("=iain:iain:9", &["mailbox iain 1"]),
            // An extension is the mailbox's, but for one that is another's (G2).
            ("=iain-list:iain:1", &[]),
            ("=iain-list:games:1", &["mailbox iain 1"]),
            ("=iain-sanity-x:iain:1", &["mailbox iain-sanity 1"]),
            ("=iain-sanity-x:iain-sanity:2", &[]),
            ("=iainlist:games:9", &[]),
            ("=sales:games:9", &[]),
            ("=:games:9", &[]),
            ("+:games:9", &[]),
        ] {
            assert_eq!(taken(&[text]), want, "{text}");
        }
    }

    #[test]
    fn a_prefix_contradicts_all_that_begin_with_it_and_whose_extension_it_is() {
        for (text, want) in [
            ("+iain-:iain:1", &["mailbox iain-sanity 1"][..]),
            ("+iain-:games:9", &["mailbox iain-sanity 2"]),
            ("+iain-li:games:9", &["mailbox iain 1"]),
            ("+iain-li:iain:1", &[]),
            ("+bob-:bob:3", &["mailbox bob-jones 2"]),
            ("+bob:bob:3", &["mailbox bob-jones 3"]),
            ("+b:games:9", &["mailbox bob 4"]),
            ("+x:games:9", &[]),
        ] {
            assert_eq!(taken(&[text]), want, "{text}");
        }
        // A longer prefix, or an exact line, is found first.
        assert_eq!(taken(&["+bob:games:9", "=bob:bob:3", "+bob-:bob:3"]), ["mailbox bobby 1", "mailbox bob-jones 2"]);
        let own = ["+bob-:bob:3", "=bob-jones:bob-jones:4", "+bob-jones-:bob-jones:4"];
        assert_eq!(taken(&own), ["mailbox bob-smith 1"]);
    }

    #[test]
    fn recipients_of_virtual_hosts_are_nobody_elses() {
        for (text, want) in [
            ("==bar.com=-sales:iain:1", &["virtual bar.com 1"][..]),
            ("==bar.com=-:iain:1", &["virtual bar.com 1"]),
            ("+=bar.com=-:games:9", &["virtual bar.com 1"]),
            ("+=bar.com=-sa:games:9", &["virtual bar.com 1"]),
            ("+=bar:games:9", &["virtual bar.com 1"]),
            ("+=:games:9", &["virtual bar.com 2"]),
            ("+=other.com=-:games:9", &[]),
            ("==bar.com:games:9", &[]),
        ] {
            assert_eq!(taken(&[text]), want, "{text}");
        }
        assert_eq!(taken(&["+=:games:9", "+=bar.com=-:games:9"]), ["virtual .wild.test 1", "virtual bar.com 1"]);
    }

    #[test]
    fn users_that_are_no_mailboxes_are_strangers() {
        let lines = ["=a:iain:1", "=b:iain:9", "=c:games:1", "+d:IAIN:1"];
        let mut judge = AssignedJudge::new(lines.iter().map(|text| line(text)).collect(), b"-");
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        judge.mailbox(&MailboxRow { username: cell("iain"), uid: cell("1"), ..MailboxRow::default() });
        let strangers: Vec<_> = judge.end().1.iter().map(Line::to_string).collect();
        assert_eq!(strangers, ["=b:iain:9:", "=c:games:1:"]);
    }

    #[test]
    fn what_is_shown_cannot_reach_a_terminal() {
        let odd = Line { name: b"a\x1b\n".to_vec(), is_prefix: true, user: b"b\xff".to_vec(), uid: 7 };
        assert_eq!(odd.to_string(), "+a\\x1b\\x0a:b\\xff:7:");
    }
}
