//! Reads from a setting of crypt(3) what it will cost, and refuses what is above the caps.
//!
//! `rest` is what follows `$id$`. A setting that cannot be read is refused too, even if libcrypt might know it.

use super::Reason;
use super::limits::{
    BCRYPT_COST_MAX, BSDI_ITERATIONS_MAX, SCRYPT_BYTES_MAX, SHA_CRYPT_ROUNDS_MAX, SHA1_CRYPT_ITERATIONS_MAX,
    SUN_MD5_ROUNDS_MAX,
};
use super::shape::{cut, decimal};

const DEAR: Reason = "more rounds or memory than allowed";
const MALFORMED: Reason = "a malformed crypt(3) setting";

/// `[rounds=N$]salt$hash` -> rounds.
pub(super) fn sha_crypt(rest: &[u8]) -> Result<u32, Reason> {
    let Some(tail) = rest.strip_prefix(b"rounds=") else { return Ok(5000) };
    let (digits, _) = cut(tail, b'$').ok_or(MALFORMED)?;
    at_most(SHA_CRYPT_ROUNDS_MAX, digits)
}

/// `iterations$salt$hash`.
pub(super) fn sha1_crypt(rest: &[u8]) -> Result<u32, Reason> {
    let (digits, _) = cut(rest, b'$').ok_or(MALFORMED)?;
    at_most(SHA1_CRYPT_ITERATIONS_MAX, digits)
}

/// The id itself: `md5` or `md5,rounds=N`.
pub(super) fn sun_md5(id: &[u8]) -> Result<u32, Reason> {
    if id == b"md5" {
        return Ok(0);
    }
    at_most(SUN_MD5_ROUNDS_MAX, id.strip_prefix(b"md5,rounds=").ok_or(MALFORMED)?)
}

/// `NN$` and 53 characters of salt and hash.
pub(super) fn bcrypt(rest: &[u8]) -> Result<u32, Reason> {
    match rest {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'$', ..] => {
            let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
            if cost <= BCRYPT_COST_MAX { Ok(cost) } else { Err(DEAR) }
        }
        _ => Err(MALFORMED),
    }
}

/// Four characters of count, four of salt, eleven of hash.
pub(super) fn bsdi(rest: &[u8]) -> Result<u32, Reason> {
    let count = little_endian(rest.get(..4)).ok_or(MALFORMED)?;
    if count <= BSDI_ITERATIONS_MAX { Ok(count) } else { Err(DEAR) }
}

/// One character log2 N, five r, five p, then salt.
pub(super) fn scrypt(rest: &[u8]) -> Result<u64, Reason> {
    let log2 = rest.first().copied().and_then(value).ok_or(MALFORMED)?;
    let r = little_endian(rest.get(1..6)).ok_or(MALFORMED)?;
    let p = little_endian(rest.get(6..11)).ok_or(MALFORMED)?;
    bytes(log2, r, p)
}

/// Flavour, log2 N and r, each of variable length; then `$`. libcrypt writes no further parameter (p, t, g, NROM), and
/// one that multiplies the cost is not accepted.
pub(super) fn yescrypt(rest: &[u8]) -> Result<u64, Reason> {
    let (params, _) = cut(rest, b'$').ok_or(MALFORMED)?;
    let (_flavour, params) = variable(params, 0).ok_or(MALFORMED)?;
    let (log2, params) = variable(params, 1).ok_or(MALFORMED)?;
    let (r, params) = variable(params, 1).ok_or(MALFORMED)?;
    if !params.is_empty() {
        return Err("yescrypt with parameters that crypt(3) does not make");
    }
    bytes(log2, r, 1)
}

/// 128 * r * p * 2^log2, the memory of scrypt, if the caps allow it.
fn bytes(log2: u32, r: u32, p: u32) -> Result<u64, Reason> {
    if log2 == 0 || r == 0 || p == 0 {
        return Err(MALFORMED);
    }
    let block = 128_u64.saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
    let bytes = 1_u64.checked_shl(log2).and_then(|n| n.checked_mul(block)).ok_or(DEAR)?;
    if bytes <= SCRYPT_BYTES_MAX { Ok(bytes) } else { Err(DEAR) }
}

fn at_most(cap: u32, digits: &[u8]) -> Result<u32, Reason> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MALFORMED);
    }
    match decimal(digits) {
        Some(number) if number <= cap => Ok(number),
        _ => Err(DEAR),
    }
}

/// The value of one character of crypt(3)'s base 64.
pub(super) fn value(character: u8) -> Option<u32> {
    match character {
        b'.' | b'/' => Some(u32::from(character - b'.')),
        b'0'..=b'9' => Some(u32::from(character - b'0') + 2),
        b'A'..=b'Z' => Some(u32::from(character - b'A') + 12),
        b'a'..=b'z' => Some(u32::from(character - b'a') + 38),
        _ => None,
    }
}

/// Characters of six bits each, lowest first; at most five.
fn little_endian(characters: Option<&[u8]>) -> Option<u32> {
    let mut number = 0;
    for &character in characters?.iter().rev() {
        number = (number << 6) | value(character)?;
    }
    Some(number)
}

/// yescrypt's numbers: the first character says how many follow (its `decode64_uint32`).
fn variable(text: &[u8], least: u32) -> Option<(u32, &[u8])> {
    let (&first, mut text) = text.split_first()?;
    let first = value(first)?;
    let (mut number, mut start, mut end, mut bits) = (least, 0, 47, 0_u32);
    while first > end {
        number = (end + 1 - start).checked_shl(bits)?.checked_add(number)?;
        start = end + 1;
        end = start + (62 - end) / 2;
        bits += 6;
    }
    number = (first - start).checked_shl(bits)?.checked_add(number)?;
    while bits > 0 {
        bits -= 6;
        let (&next, tail) = text.split_first()?;
        number = value(next)?.checked_shl(bits)?.checked_add(number)?;
        text = tail;
    }
    Some((number, text))
}
