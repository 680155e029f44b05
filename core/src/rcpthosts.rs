//! Domains that mail is accepted for (rule R1).

use crate::key::Host;
use crate::mailbox::Cell;

/// One row of table rcpthosts, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostRow {
    /// Host, or a suffix that begins with a dot.
    pub host: Cell,
}

/// The keys to ask for `host`: itself, then each suffix that begins with a dot, longest first.
/// Empty if the host can be no key; then qmail's own files decide.
#[must_use]
pub fn candidates(host: &[u8]) -> Vec<Host> {
    let Some(whole) = Host::new(host) else { return Vec::new() };
    let bytes = whole.as_bytes();
    let suffixes = (1..bytes.len()).filter(|&i| bytes.get(i) == Some(&b'.')).filter_map(|i| Host::new(&bytes[i..]));
    let mut keys = vec![whole.clone()];
    keys.extend(suffixes);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_comes_first_then_its_suffixes() {
        let keys: Vec<_> = candidates(b"A.b.Example").iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["a.b.example", ".b.example", ".example"]);
        assert!(candidates(b"m\xfcnchen.de").is_empty());
        assert!(candidates(b"").is_empty());
    }
}
