//! Descriptor 3: login, password and timestamp, each with a NUL behind it.

use crate::sys;
use crate::wiped::Wiped;
use std::fs::File;
use std::io::{ErrorKind, Read};

/// Most that a caller may write. Unit: bytes. Source: cr.yp.to/checkpwd/interface.html.
pub const MAX: usize = 512;

/// Why there is nothing to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The caller does not keep to the interface.
    Misused,
    /// It could not be read.
    Unreadable,
}

/// What was offered. Wiped when dropped.
pub struct Offered {
    bytes: Wiped,
    length: usize,
}

impl Offered {
    /// Reads descriptor 3 to its end and closes it. To be called before any descriptor is opened.
    ///
    /// # Errors
    /// If it is not open, cannot be read, or holds something else.
    pub fn read() -> Result<Self, Trouble> {
        let mut from = File::from(sys::take_descriptor_3().ok_or(Trouble::Misused)?);
        let mut bytes = Wiped::zeroes(MAX + 1); // one more, to see that there is more
        let mut length = 0;
        loop {
            match from.read(bytes.bytes_mut().get_mut(length..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Trouble::Unreadable),
            }
        }
        let offered = Self { bytes, length };
        if length > MAX || offered.all().iter().filter(|&&byte| byte == 0).count() < 3 {
            return Err(Trouble::Misused);
        }
        Ok(offered)
    }

    /// Every byte, as it came.
    #[must_use]
    pub fn all(&self) -> &[u8] {
        self.bytes.bytes().get(..self.length).unwrap_or_default()
    }

    /// The login, as typed.
    #[must_use]
    pub fn login(&self) -> &[u8] {
        self.field(0)
    }

    /// The password, as typed.
    #[must_use]
    pub fn password(&self) -> &[u8] {
        self.field(1)
    }

    fn field(&self, number: usize) -> &[u8] {
        self.all().split(|&byte| byte == 0).nth(number).unwrap_or_default()
    }
}
