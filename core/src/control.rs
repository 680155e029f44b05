//! qmail's control files, as far as our programs read any.

pub mod lines;

use crate::key::{Host, fold};
use std::collections::HashMap;

/// What decides whether an address is local, as qmail-send reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The hosts of control/locals; `None` if there is no such file, so that it cannot be known what is local.
    pub locals: Option<Vec<Host>>,
    /// control/virtualdomains; no lines if there is no such file.
    pub virtual_domains: VirtualDomains,
}

impl Control {
    /// True if `domain` is known to be local: no line of control/virtualdomains counts for it then.
    #[must_use]
    pub fn is_local(&self, domain: &[u8]) -> bool {
        self.locals.as_ref().is_some_and(|locals| Host::new(domain).is_some_and(|host| locals.contains(&host)))
    }
}

/// The lines `KEY:PREPEND` of control/virtualdomains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualDomains {
    lines: HashMap<Box<[u8]>, Box<[u8]>>,
    /// Length of the longest key; nothing longer need be looked for. Unit: bytes.
    longest: usize,
}

impl VirtualDomains {
    /// The line for `address`, as `(key, prepend)`. The first of these keys that has one: the whole address, its domain,
    /// each suffix of that which begins with a dot, the empty key. An empty prepend means that the address is remote.
    /// Source: `rewrite` of qmail-send.
    #[must_use]
    pub fn find(&self, address: &[u8]) -> Option<(&[u8], &[u8])> {
        let folded = fold(address);
        let domain = folded.iter().rposition(|&b| b == b'@').map(|at| at + 1)?;
        let is_start = |&at: &usize| at == 0 || at == domain || folded.get(at) == Some(&b'.');
        let starts = std::iter::once(0).chain(domain..folded.len()).filter(is_start).chain([folded.len()]);
        let keys = starts.filter_map(|at| folded.get(at..)).filter(|key| key.len() <= self.longest);
        keys.filter_map(|key| self.lines.get_key_value(key)).map(|(key, prepend)| (&key[..], &prepend[..])).next()
    }
}

/// Keys in any case; of several lines with one key the last counts.
impl FromIterator<(Vec<u8>, Vec<u8>)> for VirtualDomains {
    fn from_iter<T: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(lines: T) -> Self {
        let boxed = |(key, prepend): (Vec<u8>, Vec<u8>)| (fold(&key).into(), prepend.into());
        let lines: HashMap<Box<[u8]>, Box<[u8]>> = lines.into_iter().map(boxed).collect();
        let longest = lines.keys().map(|key| key.len()).max().unwrap_or_default();
        Self { lines, longest }
    }
}

/// The first line of a control file without its trailing blanks, as qmail reads one; `None` if it is empty.
#[must_use]
pub fn first_line(content: &[u8]) -> Option<&[u8]> {
    let line = content.split(|&b| b == b'\n').next().unwrap_or_default();
    let kept = line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    line.get(..kept).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_counts_and_trailing_blanks_do_not() {
        assert_eq!(first_line(b"/run/x.sock \t\nmore"), Some(&b"/run/x.sock"[..]));
        assert_eq!(first_line(b" /run/x"), Some(&b" /run/x"[..]));
        for empty in [&b""[..], b"\n/run/x", b" \t\n"] {
            assert_eq!(first_line(empty), None);
        }
    }

    fn lines(lines: &[(&str, &str)]) -> VirtualDomains {
        lines.iter().map(|(key, prepend)| (key.as_bytes().to_vec(), prepend.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_most_specific_key_decides() {
        let domains = lines(&[
            ("sales@Bar.com", "shop"),
            ("bar.com", "Bob"),
            (".bar.com", "wild"),
            (".com", "com"),
            ("[127.0.0.1]", "literal"),
            ("twice.test", "first"),
            ("twice.test", "last"),
            ("away.bar.com", ""),
        ]);
        let of = |address: &str| {
            domains.find(address.as_bytes()).map(|(_, prepend)| String::from_utf8(prepend.to_vec()).unwrap())
        };
        for (address, want) in [
            ("Sales@bar.COM", Some("shop")),
            ("x@BAR.com", Some("Bob")),
            ("sales@x@bar.com", Some("Bob")),
            ("x@a.b.bar.com", Some("wild")),
            ("x@other.com", Some("com")),
            ("x@away.bar.com", Some("")),
            ("x@[127.0.0.1]", Some("literal")),
            ("x@twice.test", Some("last")),
            ("x@bar.com.", None),
            ("x@com", None),
            ("x.bar.com@org", None),
            ("bar.com", None),
        ] {
            assert_eq!(of(address).as_deref(), want, "{address}");
        }
        assert_eq!(lines(&[("", "all")]).find(b"x@anywhere.test"), Some((&b""[..], &b"all"[..])));
        assert_eq!(lines(&[("", "all"), ("h.test", "h")]).find(b"x@h.test"), Some((&b"h.test"[..], &b"h"[..])));
        assert_eq!(VirtualDomains::default().find(b"x@h.test"), None);
    }
}
