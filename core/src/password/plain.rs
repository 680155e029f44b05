//! Passwords kept as they are, and the comparison that all families share.

use super::limits::OFFERED_MAX;
use super::{Reason, Verdict, shape};
use subtle::ConstantTimeEq;

/// A stored password in clear.
pub(super) struct Plain<'a>(&'a [u8]);

impl<'a> Plain<'a> {
    /// Accepts what is not empty, can be offered at all, and does not look like a hash.
    pub(super) fn parse(stored: &'a [u8]) -> Result<Self, Reason> {
        if stored.is_empty() {
            return Err("the stored password is empty");
        }
        if stored.len() > OFFERED_MAX {
            return Err("the stored value is longer than a password can be");
        }
        if shape::looks_like_hash(stored) {
            return Err("a hash is stored where password_type says plain text");
        }
        Ok(Self(stored))
    }

    pub(super) fn compare(&self, offered: &[u8]) -> Verdict {
        same(self.0, offered)
    }
}

/// Compares without telling how much was equal; only a difference in length is answered at once.
pub(super) fn same(stored: &[u8], computed: &[u8]) -> Verdict {
    if stored.ct_eq(computed).into() { Verdict::Match } else { Verdict::Mismatch }
}
