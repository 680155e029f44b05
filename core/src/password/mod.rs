//! Verification of stored passwords.
use zeroize::Zeroizing;
use std::fmt;

/// Bytes that are never printed and are wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);
impl Secret {
    /// Wraps `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self { Self(Zeroizing::new(bytes)) }
    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] { &self.0 }
}
impl PartialOrd for Secret {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Byte order, for scans of whole tables; a login is never compared this way.
impl Ord for Secret {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.expose().cmp(other.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("[secret]") }
}
/// Outcome of [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same password.
    Match,
    /// Another password.
    Mismatch,
    /// The offered password is empty or holds a NUL: nothing was compared.
    Unusable,
    /// The stored value cannot be verified; the text says why, never the value.
    Unverifiable(&'static str),
}
/// Compares.
#[must_use]
pub fn verify(stored: Option<&Secret>, password_type: Option<&[u8]>, offered: &Secret) -> Verdict {
    let _ = (stored, password_type, offered);
    Verdict::Unverifiable("not written yet")
}
