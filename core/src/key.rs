//! Keys in normal form (rule K1): the only form in which a store is ever asked.
//!
//! A key is ASCII without control characters or blanks, `A-Z` folded to `a-z`, nothing else changed. That removes
//! every difference between collations before a question leaves, and [`fold`] removes it again from what comes back.

use crate::limits::{EXT_MAX, USERNAME_MAX};
use std::fmt;

/// Folds `A-Z` to `a-z` and nothing else, as qmail does.
#[must_use]
pub fn fold(raw: &[u8]) -> Vec<u8> {
    raw.to_ascii_lowercase()
}

fn usable(raw: &[u8], min: usize, max: usize) -> Option<Vec<u8>> {
    let fits = (min..=max).contains(&raw.len());
    (fits && raw.iter().all(|b| (0x21..=0x7E).contains(b))).then(|| fold(raw))
}

macro_rules! key_type {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<[u8]>);

        impl $name {
            /// Folds `raw` into normal form; `None` if it can be no key (rule K1).
            #[must_use]
            pub fn new(raw: &[u8]) -> Option<Self> {
                usable(raw, $min, $max).map(|bytes| Self(bytes.into()))
            }

            /// The bytes in normal form.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The same bytes as text; a key is always ASCII.
            #[must_use]
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// True if `cell`, as stored, folds to this key (rule K2). NULL equals the empty key.
            #[must_use]
            pub fn matches(&self, cell: Option<&[u8]>) -> bool {
                cell.unwrap_or_default().eq_ignore_ascii_case(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

key_type!(
    /// A mailbox name: 1..=128 bytes.
    Username, 1, USERNAME_MAX
);
key_type!(
    /// The extension of an alias row: 0..=255 bytes. Empty is the user's own default, `@` the catch-all.
    Ext, 0, EXT_MAX
);
key_type!(
    /// A host, or a suffix that begins with a dot: 1..=255 bytes.
    Host, 1, EXT_MAX
);
key_type!(
    /// The user part of a virtual row: 0..=128 bytes. Empty is the blank row, the catch-all of plain mode.
    VirtualUser, 0, USERNAME_MAX
);

/// Key of one alias set: whose, and for which extension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasKey {
    /// Mailbox name, or the alias user's.
    pub username: Username,
    /// Extension; empty for the user's own default.
    pub alias: Ext,
}

/// What can be asked of table virtual.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VirtualKey {
    /// Every row of `host` for exactly `user`; an empty `user` is the blank (or NULL) row.
    Exact {
        /// Host key.
        host: Host,
        /// User part.
        user: VirtualUser,
    },
    /// Every row of `host` whose virtual_username holds `%` or `_`, or is blank or NULL.
    Patterns {
        /// Host key.
        host: Host,
    },
    /// At least one row of `host`, whichever, if it has any. Rule V5 must tell "no such user" from "no such host".
    Any {
        /// Host key.
        host: Host,
    },
}

impl VirtualKey {
    /// The host that the key asks about.
    #[must_use]
    pub fn host(&self) -> &Host {
        match self {
            Self::Exact { host, .. } | Self::Patterns { host } | Self::Any { host } => host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_ascii_only_and_trims_nothing() {
        assert_eq!(Username::new(b"IaiN").map(|k| k.as_bytes().to_vec()), Some(b"iain".to_vec()));
        for bad in [&b""[..], b"iain ", b" iain", b"ia\0in", "ïain".as_bytes(), b"a\x7f", b"\xff", &[b'a'; 129]] {
            assert_eq!(Username::new(bad), None, "{bad:?}");
        }
        assert!(Username::new(&[b'a'; 128]).is_some());
        assert!(Ext::new(b"").is_some() && Host::new(b"").is_none());
    }

    #[test]
    fn a_row_matches_only_byte_for_byte_after_folding() {
        let key = Username::new(b"iain").unwrap();
        assert!(key.matches(Some(b"Iain")));
        for other in [&b"iain "[..], b"iain\0", "ïain".as_bytes(), b"iai"] {
            assert!(!key.matches(Some(other)), "{other:?}");
        }
        assert!(!key.matches(None));
        assert!(Ext::new(b"").unwrap().matches(None));
    }
}
