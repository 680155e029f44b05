//! argon2, which crypt(3) lacks: `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`, and `2i` and `2d`.

use super::limits::{ARGON2_KIB_MAX, ARGON2_LANES_MAX, ARGON2_PASSES_MAX, ARGON2_WORK_MAX};
use super::plain::same;
use super::salted::BASE64;
use super::shape::{cut, decimal, dollar};
use super::{Reason, Verdict};
use ::argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use zeroize::Zeroizing;

/// Fewest and most bytes of a stored hash that is believed: fewer could match by accident.
const HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// A stored argon2 hash, within the caps.
pub(super) struct Argon2Hash {
    function: Argon2<'static>,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2Hash {
    /// Reads the form that the reference implementation writes, with the parameters in its order.
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Reason> {
        let (id, rest) = dollar(stored).ok_or("not argon2")?;
        let algorithm = match id {
            b"argon2id" => Algorithm::Argon2id,
            b"argon2i" => Algorithm::Argon2i,
            b"argon2d" => Algorithm::Argon2d,
            _ => return Err("not argon2"),
        };
        let (version, rest) = version(rest)?;
        let (costs, rest) = cut(rest, b'$').ok_or(MALFORMED)?;
        let (salt, hash) = cut(rest, b'$').ok_or(MALFORMED)?;
        let salt = BASE64.decode(salt).map_err(|_| MALFORMED)?;
        let hash = BASE64.decode(hash).map_err(|_| MALFORMED)?;
        if !HASH_BYTES.contains(&hash.len()) || salt.len() < ::argon2::MIN_SALT_LEN {
            return Err("an argon2 hash or salt of this length is not accepted");
        }
        let (kib, passes, lanes) = read(costs).ok_or("argon2 parameters other than m, t and p, or malformed ones")?;
        let work = u64::from(kib) * u64::from(passes);
        let dear = kib > ARGON2_KIB_MAX || passes > ARGON2_PASSES_MAX || lanes > ARGON2_LANES_MAX;
        if dear || work > ARGON2_WORK_MAX {
            return Err("argon2 with more memory, passes or lanes than allowed");
        }
        let params = Params::new(kib, passes, lanes, Some(hash.len())).map_err(|_| "argon2 parameters out of range")?;
        Ok(Self { function: Argon2::new(algorithm, version, params), salt, hash })
    }

    pub(super) fn compare(&self, offered: &[u8]) -> Verdict {
        let mut computed = Zeroizing::new(vec![0; self.hash.len()]);
        match self.function.hash_password_into(offered, &self.salt, &mut computed) {
            Ok(()) => same(&self.hash, &computed),
            Err(::argon2::Error::OutOfMemory) => Verdict::NoAnswer("no memory for this hash"),
            Err(_) => Verdict::Unverifiable(MALFORMED),
        }
    }
}

const MALFORMED: Reason = "a malformed argon2 hash";

/// Reads `v=19$`; without it the hash is of version 1.0, as in the reference implementation.
fn version(rest: &[u8]) -> Result<(Version, &[u8]), Reason> {
    let Some(tail) = rest.strip_prefix(b"v=") else { return Ok((Version::V0x10, rest)) };
    match cut(tail, b'$') {
        Some((b"19", rest)) => Ok((Version::V0x13, rest)),
        Some((b"16", rest)) => Ok((Version::V0x10, rest)),
        _ => Err("an unknown version of argon2"),
    }
}

/// Reads `m=KiB,t=passes,p=lanes`.
fn read(costs: &[u8]) -> Option<(u32, u32, u32)> {
    let (kib, rest) = cut(costs.strip_prefix(b"m=")?, b',')?;
    let (passes, lanes) = cut(rest.strip_prefix(b"t=")?, b',')?;
    Some((decimal(kib)?, decimal(passes)?, decimal(lanes.strip_prefix(b"p=")?)?))
}
