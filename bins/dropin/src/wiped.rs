//! Memory that is overwritten before it is given back.

use crate::sys;

/// Bytes that are zeroed when dropped, spare capacity included. Do not let it grow: that would leave a copy behind.
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// `length` zeroes.
    #[must_use]
    pub fn zeroes(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// What `fill` writes into an empty vector; it has to reserve before it writes.
    #[must_use]
    pub fn filled(fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Self(Vec::new());
        fill(&mut bytes.0);
        bytes
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be written to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        sys::wipe(&mut self.0);
    }
}
