//! What qmail's control files say today.

use super::block::{Damage, Marked};
use crate::control::lines::{keys, pairs};
use crate::key::Host;
use crate::rcpthosts::candidates;
use crate::virtuals::is_host_key;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

/// The control files that matter here, as they are; `None` is a file that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// control/me
    pub me: Option<Vec<u8>>,
    /// control/locals
    pub locals: Option<Vec<u8>>,
    /// control/smtproutes
    pub smtproutes: Option<Vec<u8>>,
    /// control/virtualdomains
    pub virtualdomains: Option<Vec<u8>>,
    /// control/rcpthosts
    pub rcpthosts: Option<Vec<u8>>,
    /// control/morercpthosts
    pub morercpthosts: Option<Vec<u8>>,
}

/// A file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name below control.
    pub file: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "control/{}: {}", self.file, self.what)
    }
}

/// The same, read as qmail reads them.
#[derive(Clone, Debug)]
pub struct Around {
    /// control/virtualdomains
    pub virtualdomains: Marked,
    /// control/rcpthosts; if there is none, what it is to begin with: me, locals, and the administrator's own hosts of
    /// virtualdomains.
    pub rcpthosts: Marked,
    /// control/morercpthosts
    pub morercpthosts: Marked,
    /// True if there is no control/rcpthosts: every host is accepted.
    pub is_open: bool,
    /// Hosts of the block in virtualdomains.
    pub routed: BTreeSet<Host>,
    /// Hosts of the block in rcpthosts.
    pub accepted: BTreeSet<Host>,
    /// Hosts of the block in morercpthosts.
    pub accepted_more: BTreeSet<Host>,
    /// The administrator's lines of virtualdomains. Of several with one key the last counts.
    pub own_routes: HashMap<Vec<u8>, Vec<u8>>,
    /// The administrator's lines of rcpthosts.
    pub own_accepted: HashSet<Vec<u8>>,
    /// The administrator's lines of morercpthosts.
    pub own_accepted_more: HashSet<Vec<u8>>,
    /// Hosts of control/locals, else control/me.
    pub locals: HashSet<Vec<u8>>,
    /// control/me
    pub me: Option<Vec<u8>>,
    /// Keys of smtproutes; the empty one, for everything else, is left out.
    pub relayed: HashSet<Vec<u8>>,
}

impl Around {
    /// Reads them.
    ///
    /// # Errors
    /// If a block is damaged or holds what is never written there, or if control/me says nothing.
    pub fn read(files: &Files) -> Result<Self, Unreadable> {
        let me = files.me.as_deref().and_then(|content| keys(content).next());
        let Some(me) = me else {
            return Err(Unreadable { file: "me", what: "no host name in it; this is no qmail".to_owned() });
        };
        let marked = |file, content: &Option<Vec<u8>>| {
            let damaged = |damage: Damage| Unreadable { file, what: damage.to_string() };
            Marked::read(content.as_deref()).map_err(damaged)
        };
        let locals: Vec<_> = files.locals.as_deref().map_or_else(|| vec![me.clone()], |all| keys(all).collect());
        let virtualdomains = marked("virtualdomains", &files.virtualdomains)?;
        let own_routes: HashMap<_, _> = pairs(virtualdomains.own()).map(|(key, value)| (key, value.to_vec())).collect();
        let is_open = files.rcpthosts.is_none();
        let rcpthosts = if is_open {
            let here = |(key, value): &(&Vec<u8>, &Vec<u8>)| is_host_key(key) && !value.is_empty();
            let own: BTreeSet<_> = own_routes.iter().filter(here).map(|(key, _)| key).collect();
            let mut seen = HashSet::new();
            let all = std::iter::once(&me).chain(&locals).chain(own).filter(|host| seen.insert(*host));
            Marked::own_only(all.flat_map(|host| host.iter().chain(b"\n")).copied().collect())
        } else {
            marked("rcpthosts", &files.rcpthosts)?
        };
        let morercpthosts = marked("morercpthosts", &files.morercpthosts)?;
        let content = |content: &Option<Vec<u8>>| content.clone().unwrap_or_default();
        let relayed = pairs(&content(&files.smtproutes)).map(|(key, _)| key).filter(|key| !key.is_empty()).collect();
        Ok(Self {
            routed: block("virtualdomains", &virtualdomains, routed_host)?,
            accepted: block("rcpthosts", &rcpthosts, accepted_host)?,
            accepted_more: block("morercpthosts", &morercpthosts, accepted_host)?,
            own_routes,
            own_accepted: keys(rcpthosts.own()).collect(),
            own_accepted_more: keys(morercpthosts.own()).collect(),
            locals: locals.into_iter().collect(),
            me: Some(me),
            relayed,
            virtualdomains,
            rcpthosts,
            morercpthosts,
            is_open,
        })
    }

    /// True if control/locals has `host`. A suffix means nothing there.
    #[must_use]
    pub fn is_local(&self, host: &Host) -> bool {
        !host.as_bytes().starts_with(b".") && self.locals.contains(host.as_bytes())
    }

    /// True if it is known where mail for `host`, perhaps a suffix, goes when these hosts are routed.
    #[must_use]
    pub fn has_way(&self, host: &Host, routed: &BTreeSet<Host>) -> bool {
        let virtually = || candidates(host.as_bytes()).iter().any(|key| routed.contains(key));
        self.is_local(host) || virtually() || self.has_own_way(host)
    }

    /// True if control/me is `host`.
    #[must_use]
    pub fn is_me(&self, host: &Host) -> bool {
        self.me.as_deref() == Some(host.as_bytes())
    }

    /// True if the administrator has said where mail for `host` goes, by a line for it or for all above it.
    #[must_use]
    pub fn has_own_way(&self, host: &Host) -> bool {
        let way = |key: &[u8]| self.own_routes.contains_key(key) || self.relayed.contains(key);
        self.own_routes.contains_key(&b""[..]) || candidates(host.as_bytes()).iter().any(|key| way(key.as_bytes()))
    }

    /// True if the administrator's own lines of rcpthosts or morercpthosts have exactly `host`.
    #[must_use]
    pub fn accepts_by_own_line(&self, host: &Host) -> bool {
        self.own_accepted.contains(host.as_bytes()) || self.own_accepted_more.contains(host.as_bytes())
    }

    /// The administrator's lines of virtualdomains that are as sync would write them.
    #[must_use]
    pub fn own_encoded(&self) -> BTreeSet<Host> {
        let lines = self.own_routes.iter().filter(|(key, value)| is_host_key(key) && **value == prepend(key));
        lines.filter_map(|(key, _)| Host::new(key)).collect()
    }
}

/// What qmail-send puts before the user part: `=HOST=`.
#[must_use]
pub fn prepend(host: &[u8]) -> Vec<u8> {
    [b"=", host, b"="].concat()
}

/// The line of virtualdomains for `host` (rule V1).
#[must_use]
pub fn route(host: &Host) -> Vec<u8> {
    [host.as_bytes(), b":", &prepend(host.as_bytes())].concat()
}

/// The hosts that qmail-newmrh would put in morercpthosts.cdb, each once.
#[must_use]
pub fn database(morercpthosts: &[u8]) -> BTreeSet<Vec<u8>> {
    keys(morercpthosts).collect()
}

fn routed_host(line: &[u8]) -> Option<Host> {
    let key = line.get(..line.iter().position(|&b| b == b':')?)?;
    accepted_host(key).filter(|host| route(host) == line)
}

fn accepted_host(line: &[u8]) -> Option<Host> {
    Host::new(line).filter(|host| is_host_key(line) && host.as_bytes() == line)
}

fn block(file: &'static str, marked: &Marked, host: fn(&[u8]) -> Option<Host>) -> Result<BTreeSet<Host>, Unreadable> {
    let line = |line: &Vec<u8>| {
        host(line).ok_or_else(|| Unreadable {
            file,
            what: format!(
                "`{}` stands in the block of qmail-lookup sync, which has other lines; move it above the block",
                String::from_utf8_lossy(line)
            ),
        })
    };
    marked.lines().iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::new(name.as_bytes()).unwrap()
    }

    fn some(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn an_absent_rcpthosts_begins_with_all_that_the_administrator_has_delivered_here() {
        let files = Files { me: some("mail.test\n"), locals: some("a.test\nMail.test\n# x\n"), ..Files::default() };
        let around = Around::read(&files).unwrap();
        assert!(around.is_open);
        assert_eq!(around.rcpthosts.own(), b"mail.test\na.test\n");
        assert!(around.is_local(&host("a.test")) && around.is_me(&host("mail.test")));
        let virtualdomains = some("own.test:bob\naway.test:\nx@part.test:bob\n.own.test:bob\n:all\nA.test:bob\n");
        let around = Around::read(&Files { virtualdomains, ..files }).unwrap();
        assert_eq!(around.rcpthosts.own(), b"mail.test\na.test\n.own.test\nown.test\n", "what is delivered here");
        let around = Around::read(&Files { me: some("mail.test"), ..Files::default() }).unwrap();
        assert!(around.is_local(&host("mail.test")), "without locals, me is local");
        let error = Around::read(&Files::default()).unwrap_err();
        assert_eq!(error.to_string(), "control/me: no host name in it; this is no qmail");
    }

    #[test]
    fn own_lines_and_blocks_are_told_apart() {
        let route_of = |name: &str| route(&host(name));
        let own = Marked::own_only(b"Own.test:bob\nexact.test:=exact.test=\n".to_vec());
        let files = Files {
            me: some("me.test"),
            smtproutes: some("relay.test:10.0.0.1\n.below.test:x\n:smart.host\n"),
            virtualdomains: own.write([route_of("a.test"), route_of(".w.test")]),
            rcpthosts: Marked::own_only(b"Own.test\n".to_vec()).write(["a.test"]),
            ..Files::default()
        };
        let around = Around::read(&files).unwrap();
        assert_eq!(around.routed, BTreeSet::from([host(".w.test"), host("a.test")]));
        assert_eq!(around.accepted, BTreeSet::from([host("a.test")]));
        assert_eq!(around.own_encoded(), BTreeSet::from([host("exact.test")]));
        for (name, own) in [
            ("own.test", true),
            ("relay.test", true),
            ("x.relay.test", false),
            ("x.below.test", true),
            ("below.test", false),
            ("a.test", false),
        ] {
            assert_eq!(around.has_own_way(&host(name)), own, "{name}");
        }
        assert!(around.accepts_by_own_line(&host("own.test")) && !around.accepts_by_own_line(&host("a.test")));
        let files = Files { virtualdomains: some(":catchall\n"), ..files };
        assert!(Around::read(&files).unwrap().has_own_way(&host("any.test")));
    }

    #[test]
    fn a_foreign_line_in_a_block_is_an_error() {
        for line in ["own.test:bob", "A.test:=A.test=", "a.test:=b.test=", "a.test", "a..b:=a..b="] {
            let files = Files { me: some("me"), virtualdomains: Marked::default().write([line]), ..Files::default() };
            let error = Around::read(&files).unwrap_err().to_string();
            assert!(error.starts_with(&format!("control/virtualdomains: `{line}` stands in the block")), "{error}");
        }
        for line in ["A.test", "a.test ", "x:y"] {
            let files = Files { me: some("me"), rcpthosts: Marked::default().write([line]), ..Files::default() };
            assert!(Around::read(&files).is_err(), "{line}");
        }
    }
}
