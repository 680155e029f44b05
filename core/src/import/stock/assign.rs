//! users/assign: mailboxes, and what contradicts them.

use super::users::{Login, User};
use super::{People, Place, Told, id, is, numbered};
use crate::error::printable;
use crate::key::fold;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A line `=LOCAL:USER:UID:GID:HOME:DASH:EXT:`, or with `+` for all that begin with LOCAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    number: usize,
    is_prefix: bool,
    local: Vec<u8>,
    user: Vec<u8>,
    place: Place,
    dash: Vec<u8>,
    ext: Vec<u8>,
    /// All behind the local part, a NUL behind each field.
    data: Vec<u8>,
}

impl Assigned {
    /// Key and value that qmail-newu makes of it in users/cdb.
    #[must_use]
    pub fn record(&self) -> (Vec<u8>, Vec<u8>) {
        let end: &[u8] = if self.is_prefix { b"" } else { b"\0" };
        ([b"!", &self.local[..], end].concat(), self.data.clone())
    }

    fn name(&self) -> String {
        let kind = if self.is_prefix { '+' } else { '=' };
        format!("users/assign line {} ({kind}{})", self.number, printable(&self.local))
    }

    fn gives(&self, dash: &[u8], ext: &[u8]) -> bool {
        self.dash == dash && is(&self.ext, ext)
    }
}

/// The lines before the dot that ends the file; of several for one local part the first.
///
/// # Errors
/// If it is no such file.
pub fn read(content: &[u8]) -> Result<Vec<Assigned>, String> {
    let mut found: Vec<Assigned> = Vec::new();
    let mut keys = BTreeSet::new();
    for (number, line) in numbered(content) {
        if line == b"." {
            return Ok(found);
        }
        let wrong = |what: &str| format!("users/assign line {number}: {what}");
        let (kind, rest) = line.split_first().unwrap_or((&0, line));
        if !matches!(kind, b'=' | b'+') {
            return Err(wrong("it begins neither with = nor with +"));
        }
        let fields: Vec<_> = rest.split(|&b| b == b':').collect();
        let [local, user, uid, gid, home, dash, ext, _, ..] = fields[..] else {
            return Err(wrong("fewer than seven fields with a colon behind each"));
        };
        let (Some(uid), Some(gid)) = (id(uid), id(gid)) else { return Err(wrong("uid or gid is no number")) };
        if keys.insert((*kind, fold(local))) {
            let data = fields.iter().skip(1).take(6).flat_map(|field| [field, &b"\0"[..]].concat()).collect();
            let (local, user, dash, ext) = (fold(local), user.to_vec(), dash.to_vec(), ext.to_vec());
            let place = (uid, gid, home.to_vec());
            found.push(Assigned { number, is_prefix: *kind == b'+', local, user, place, dash, ext, data });
        }
    }
    Err("users/assign has no line with a dot at its end: it is not complete".to_owned())
}

/// What users/cdb, made of such lines, does to mail before qmail-getpw is asked.
#[derive(Clone, Debug, Default)]
pub struct Assignments {
    lines: Vec<Assigned>,
    exact: BTreeMap<Vec<u8>, usize>,
    prefixes: BTreeMap<Vec<u8>, usize>,
}

impl Assignments {
    /// Of these lines.
    #[must_use]
    pub fn new(lines: Vec<Assigned>) -> Self {
        let mut all = Self { lines, ..Self::default() };
        for (at, line) in all.lines.iter().enumerate() {
            let map = if line.is_prefix { &mut all.prefixes } else { &mut all.exact };
            map.insert(line.local.clone(), at);
        }
        all
    }

    fn exact(&self, local: &[u8]) -> Option<&Assigned> {
        self.exact.get(local).and_then(|at| self.lines.get(*at))
    }

    fn prefix(&self, local: &[u8]) -> Option<&Assigned> {
        let longest = (1..=local.len()).rev().find_map(|end| self.prefixes.get(local.get(..end)?));
        longest.and_then(|at| self.lines.get(*at))
    }

    /// The line for everybody who has no other: with it qmail-getpw is never asked.
    #[must_use]
    pub fn everybody(&self) -> Option<&Assigned> {
        self.prefixes.get(&b""[..]).and_then(|at| self.lines.get(*at))
    }

    /// The users that a pair of lines makes as qmail-getpw would: `=NAME` without and `+NAME-` with an extension. They
    /// have no passwords.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        let is_user = |line: &&Assigned| {
            let below = self.prefixes.get(&[&line.local[..], b"-"].concat()).and_then(|at| self.lines.get(*at));
            !line.is_prefix
                && is(&line.user, &line.local)
                && line.gives(b"", b"")
                && below.is_some_and(|below| {
                    is(&below.user, &line.local) && below.place == line.place && below.gives(b"-", b"")
                })
        };
        let user = |line: &Assigned| {
            let (uid, gid, home) = line.place.clone();
            User { name: line.local.clone(), login: Login::Elsewhere, uid, gid, home }
        };
        self.lines.iter().filter(is_user).map(user).collect()
    }

    /// The line that takes mail of a user of passwd, or of his extensions, from him.
    #[must_use]
    pub fn taker(&self, user: &User) -> Option<String> {
        let whole = self.exact(&user.name).or_else(|| self.prefix(&user.name));
        let below = self.prefix(&[&user.name[..], b"-"].concat());
        let place = (user.uid, user.gid, user.home.clone());
        let fits = |line: &Assigned, dash: &[u8]| {
            let owns = line.is_prefix == (dash == b"-") && is(&line.user, &user.name);
            owns && line.place == place && line.gives(dash, b"")
        };
        let taken = whole.filter(|line| !fits(line, b"")).or(below.filter(|line| !fits(line, b"-")));
        taken.map(Assigned::name)
    }

    /// True if qmail-getpw is never asked for `name` and its extensions.
    #[must_use]
    pub fn covers(&self, name: &[u8]) -> bool {
        let has_whole = self.exact(name).or_else(|| self.prefix(name)).is_some();
        has_whole && self.prefix(&[name, b"-"].concat()).is_some()
    }

    /// The line that gives some of the mail `PREPEND-USER` to another than rows do.
    pub(super) fn taker_below(&self, prepend: &[u8], people: &People, alias_user: &str) -> Option<String> {
        let begin = [&fold(prepend)[..], b"-"].concat();
        let within = (Bound::Included(&begin[..]), Bound::Unbounded);
        let of = |map: &BTreeMap<Vec<u8>, usize>| -> Vec<usize> {
            let inside = map.range::<[u8], _>(within).take_while(|(local, _)| local.starts_with(&begin));
            inside.map(|(_, at)| *at).collect()
        };
        let around = self.prefix(&begin);
        let mut inside = of(&self.exact).into_iter().chain(of(&self.prefixes)).filter_map(|at| self.lines.get(at));
        let other = around.into_iter().find(|line| !self.is_said(line, people));
        let other = other.or_else(|| inside.find(|line| !self.is_said(line, people))).map(Assigned::name);
        let is_known = || people.owner(&begin, b"-").is_some() || people.begin_with(&begin);
        other.or_else(|| if around.is_some() { None } else { self.everybodys(is_known(), alias_user) })
    }

    /// The line that gives the mail of `local`, which has a dash in it, to another than rows do.
    pub(super) fn taker_of(&self, local: &[u8], people: &People, alias_user: &str) -> Option<String> {
        let local = fold(local);
        match self.exact(&local).or_else(|| self.prefix(&local)) {
            Some(line) => Some(line).filter(|line| !self.is_said(line, people)).map(Assigned::name),
            None => self.everybodys(people.owner(&local, b"-").is_some(), alias_user),
        }
    }

    /// The line for everybody, unless it does with nobody's mail what qmail-getpw would.
    fn everybodys(&self, is_known: bool, alias_user: &str) -> Option<String> {
        let line = self.everybody()?;
        let is_nobodys = !is_known && is(&line.user, alias_user.as_bytes()) && line.gives(b"-", b"");
        (!is_nobodys).then(|| line.name())
    }

    /// True if the row of a mailbox says the same.
    fn is_said(&self, line: &Assigned, people: &People) -> bool {
        // With the dash of the extension's beginning cut off, `=NAME-EXT` and `+NAME-EXT` are what G1 makes of them.
        let name = fold(&line.user);
        let own = line.local.strip_prefix(&name[..]);
        people.mailboxes.get(&name) == Some(&line.place)
            && match own {
                Some([]) => !line.is_prefix && line.gives(b"", b""),
                Some([b'-', ext @ ..]) => line.gives(b"-", ext) && self.is_his(line, &name, people),
                _ => false,
            }
    }

    /// Tells of each line that no row says: it goes on deciding as long as it stands in users/cdb. And how many stand
    /// before rows that say the same.
    pub fn tell(&self, people: &People, alias_user: &str, told: &mut Told) {
        let mut said = 0;
        for line in &self.lines {
            if line.is_prefix && line.local.is_empty() {
                self.tell_everybody(line, alias_user, told);
            } else if self.is_said(line, people) {
                said += 1;
            } else {
                told.lose(line.name(), "no row says this; it goes on as long as it stands in users/cdb");
            }
        }
        if said > 0 {
            let why = "rows say the same now, and users/cdb comes before them: what is changed in those rows has no \
                       effect until the lines are taken out and qmail-newu is run";
            told.note(format!("users/assign, {said} lines"), why);
        }
    }

    /// True if no mailbox with a longer name owns what `line` is about.
    fn is_his(&self, line: &Assigned, name: &[u8], people: &People) -> bool {
        if !line.is_prefix {
            return people.owner(&line.local, b"-").is_some_and(|(owner, _)| owner == name);
        }
        // A user whose own lines are longer is found before this one.
        let mut longer = people
            .below(name, b"-")
            .map(|(other, _)| other)
            .filter(|other| other.starts_with(&line.local) || line.local.starts_with(&[other, &b"-"[..]].concat()));
        longer.all(|other| self.exact(other).is_some() && self.prefixes.contains_key(&[other, b"-"].concat()))
    }

    fn tell_everybody(&self, line: &Assigned, alias_user: &str, told: &mut Told) {
        if is(&line.user, alias_user.as_bytes()) && line.gives(b"-", b"") {
            let why = "with it qmail-getpw is never asked: take it out of users/assign and run qmail-newu before \
                       qmail-lookup is installed; system users that have no line of their own get mail then";
            told.note(line.name(), why);
        } else {
            told.lose(line.name(), "no row gives all other mail to somebody who is not the alias user");
        }
    }
}
