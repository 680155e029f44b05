//! MySQL's PASSWORD() and OLD_PASSWORD(), computed here: no server since MySQL 8 has them.

use super::plain::same;
use super::{Family, Reason, Verdict, shape};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

/// A stored MySQL hash.
pub(super) enum Scramble {
    /// `*` and 40 hex digits: SHA1(SHA1(password)).
    Sha1([u8; 20]),
    /// 16 hex digits, MySQL before 4.1: two words of 31 bits. Weak: many passwords share a hash.
    Old([u8; 8]),
}

impl Scramble {
    /// Reads either form; the case of the digits does not matter.
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Reason> {
        if let Some(digits) = shape::star(stored) {
            return unhex(digits).map(Self::Sha1).ok_or(NEITHER);
        }
        unhex(stored).map(Self::Old).ok_or(NEITHER)
    }

    pub(super) fn family(&self) -> Family {
        match self {
            Self::Sha1(_) => Family::Mysql41,
            Self::Old(_) => Family::MysqlOld,
        }
    }

    pub(super) fn compare(&self, offered: &[u8]) -> Verdict {
        match self {
            Self::Sha1(stored) => {
                let once = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(offered)));
                let twice = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(once.as_slice())));
                same(stored, twice.as_slice())
            }
            Self::Old(stored) => same(stored, Zeroizing::new(old_password(offered)).as_slice()),
        }
    }
}

const NEITHER: Reason = "neither of MySQL's forms, * and 40 hex digits or 16 hex digits";

/// `OLD_PASSWORD(offered)`. Blanks and tabs do not count, as in MySQL.
fn old_password(offered: &[u8]) -> [u8; 8] {
    let (mut first, mut second, mut add) = (1_345_345_333_u32, 0x1234_5671_u32, 7_u32);
    for byte in offered.iter().filter(|b| !b" \t".contains(b)).map(|&b| u32::from(b)) {
        let mixed = (first & 63).wrapping_add(add).wrapping_mul(byte);
        first ^= mixed.wrapping_add(first << 8);
        second = second.wrapping_add((second << 8) ^ first);
        add = add.wrapping_add(byte);
    }
    let words = (u64::from(first & 0x7FFF_FFFF) << 32) | u64::from(second & 0x7FFF_FFFF);
    words.to_be_bytes()
}

fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if pairs.len() != N || !odd.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
