//! Names of entries (RFC 4514), built from values that may hold anything.
//!
//! | table | relative name |
//! |---|---|
//! | mailbox | qlookUser |
//! | alias | qlookSeq |
//! | virtual | qlookVirtualUser or qlookVirtualPattern, and qlookVirtualHost; of a blank row qlookVirtualHost alone |
//! | rcpthosts | qlookRcptHost |
//!
//! Tables may hold several rows that this cannot tell apart: an alias number used twice, a virtual user with two
//! owners, the same row twice. The second gets the rest of its key cells into the name, and those after it a
//! `description` that counts. A name that a server would refuse for its length is a `description` alone: a fingerprint
//! of the key, and a count.

use super::entry::{DESCRIPTION, Stored};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Longest relative name that is given. Unit: bytes, as text. slapd's mdb keeps the name as it was given and as it is
/// compared, both within 511 bytes with some of its own: measured, 245 bytes are taken and 246 are not (result 80).
pub(super) const MAX: usize = 240;

/// A relative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<Stored>);

impl Name {
    /// A name of these parts.
    pub(super) fn new(parts: Vec<Stored>) -> Self {
        Self(parts)
    }

    /// This name, or the `n`th by the fingerprint of `key` if it is too long.
    pub(super) fn shortened(self, key: &[Stored], n: u32) -> Self {
        if self.rdn().len() <= MAX {
            return self;
        }
        let mut digest = Sha256::new();
        for (name, value) in key {
            digest.update(name);
            digest.update([0]);
            digest.update(compared(value));
            digest.update([0]);
        }
        let bytes = digest.finalize();
        let hex = bytes.iter().take(FINGERPRINT / 2).fold(String::new(), |mut hex, b| {
            let _ = write!(hex, "{b:02x}");
            hex
        });
        Self(vec![(DESCRIPTION, format!("{hex}-{n}").into_bytes())])
    }

    /// The attribute values of the name; an entry has to hold them too.
    pub(super) fn parts(&self) -> &[Stored] {
        &self.0
    }

    /// As text.
    pub(super) fn rdn(&self) -> String {
        let parts = self.0.iter().map(|(name, value)| format!("{name}={}", escape(value)));
        parts.collect::<Vec<_>>().join("+")
    }

    /// As text, below `base`.
    pub(super) fn dn(&self, base: &str) -> String {
        format!("{},{base}", self.rdn())
    }
}

/// Digits of a fingerprint.
const FINGERPRINT: usize = 32;

/// True of a `description` that is there only for the name: a count, or a fingerprint with one.
pub(super) fn is_count(description: &[u8]) -> bool {
    let count = match description.split_at_checked(FINGERPRINT) {
        Some((hex, [b'-', count @ ..])) if hex.iter().all(u8::is_ascii_hexdigit) => count,
        _ => description,
    };
    count.iter().all(u8::is_ascii_digit)
}

/// A key as servers compare it: without regard to case, to blanks around it, and to how many there are in a row. Of
/// nothing but blanks one is left.
pub(super) fn compared(value: &[u8]) -> Vec<u8> {
    let words = value.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(<[u8]>::to_ascii_lowercase).collect();
    if words.is_empty() && !value.is_empty() { b" ".to_vec() } else { words.join(&b' ') }
}

/// A value as it may stand in a DN: visible ASCII without a meaning there as it is, every other byte as `\XX`.
pub(super) fn escape(value: &[u8]) -> String {
    value.iter().fold(String::with_capacity(value.len()), |mut out, &b| {
        if (0x21..=0x7E).contains(&b) && !b"\"#+,;<=>\\".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\{b:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A value of a DN, as RFC 4514 reads it; `None` if it ends or escapes wrongly there.
    fn read(text: &str) -> Option<Vec<u8>> {
        let mut bytes = text.bytes();
        let mut out = Vec::new();
        while let Some(b) = bytes.next() {
            match b {
                b'\\' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                }
                b'"' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'#' | b' ' | 0 => return None,
                _ => out.push(b),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_value_is_never_syntax(value in prop::collection::vec(any::<u8>(), 0..20)) {
            let text = escape(&value);
            prop_assert!(text.is_ascii());
            prop_assert_eq!(read(&text), Some(value));
        }
    }

    #[test]
    fn what_needs_no_escape_stays_legible() {
        assert_eq!(escape(b"first.last-a%_@x"), "first.last-a%_@x");
        assert_eq!(escape(b" a,b\n"), "\\20a\\2Cb\\0A");
    }
}
