//! New argon2 hashes, for who wants them: crypt(3) makes none.

use super::argon2::Argon2Hash;
use super::limits::OFFERED_MAX;
use super::salted::BASE64;
use super::{Reason, Secret, Verdict};
use ::argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use zeroize::Zeroizing;

/// Memory, passes and lanes: 20 ms on one 2.5 GHz core.
const COSTS: (u32, u32, u32) = (19_456, 2, 1);

/// Unit: bytes.
const SALT: usize = 16;

/// Unit: bytes.
const HASH: usize = 32;

/// Length of every hash that [`hash`] makes. Unit: bytes, all of them ASCII.
pub const LENGTH: usize = "$argon2id$v=19$m=19456,t=2,p=1$".len() + 22 + 1 + 43;

/// Hashes `offered` by argon2id with a new salt, and verifies what came of it. Its type is `Crypt-Password`, too.
///
/// # Errors
/// A password that is empty, too long or holds a NUL, or a system without memory or random bytes.
pub fn hash(offered: &Secret) -> Result<Secret, Reason> {
    let phrase = offered.expose();
    if phrase.is_empty() || phrase.len() > OFFERED_MAX || phrase.contains(&0) {
        return Err("a password that nobody could log in with");
    }
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|_| "no random bytes from the system")?;
    let (kib, passes, lanes) = COSTS;
    let params = Params::new(kib, passes, lanes, Some(HASH)).map_err(|_| "argon2 parameters out of range")?;
    let mut made = Zeroizing::new([0; HASH]);
    let function = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    function.hash_password_into(phrase, &salt, made.as_mut_slice()).map_err(|_| "no memory for this hash")?;
    let (salt, made) = (BASE64.encode(salt), Zeroizing::new(BASE64.encode(*made)));
    let (salt, hash) = (salt.trim_end_matches('='), made.trim_end_matches('='));
    let text = format!("$argon2id$v=19$m={kib},t={passes},p={lanes}${salt}${hash}").into_bytes();
    match Argon2Hash::parse(&text)?.compare(phrase) {
        Verdict::Match => Ok(Secret::new(text)),
        Verdict::NoAnswer(why) => Err(why),
        _ => Err("the new hash did not verify"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::verify;

    #[test]
    fn a_new_hash_verifies_and_has_its_length() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let (one, two) = (hash(&secret("open sesame")).unwrap(), hash(&secret("open sesame")).unwrap());
        assert_eq!(one.expose().len(), LENGTH);
        assert_ne!(one, two, "each has a salt of its own");
        let kind = Some(&b"Crypt-Password"[..]);
        assert_eq!(verify(Some(&one), kind, &secret("open sesame")), Verdict::Match);
        assert_eq!(verify(Some(&one), kind, &secret("open sesam")), Verdict::Mismatch);
        for bad in ["", "a\0b", &"x".repeat(513)] {
            assert!(hash(&secret(bad)).is_err());
        }
    }
}
