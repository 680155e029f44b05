//! New hashes in the place of weak ones, made from a password that was just found right. Off unless somebody wants it.
//!
//! A new hash is one of the exact bytes that were offered. Some weak forms take several passwords for the same one
//! (DES looks at 8 bytes, MySQL's old form drops blanks); from then on only this one is right.

use super::limits::CRYPT_PHRASE_MAX;
use super::{Family, Reason, Secret, Verdict, libcrypt, verify};

/// `password_type` of what [`hash`] makes.
pub const PASSWORD_TYPE: &str = "Crypt-Password";

/// Random bytes of a salt: 128 bits are usual, and these are 24 characters without a remainder.
const SALT_BYTES: usize = 18;

/// `$6$` takes no longer salt. Unit: characters.
const SHA512_SALT: usize = 16;

/// crypt(3)'s base 64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What weak hashes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Target {
    /// crypt(3) `$6$`, known everywhere; 100000 rounds take 30 ms.
    Sha512,
    /// crypt(3) `$y$` with 16 MiB, libxcrypt's default; see [`Target::is_available`].
    Yescrypt,
}

impl Target {
    /// One stable word for settings, listings and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha512 => "sha512",
            Self::Yescrypt => "yescrypt",
        }
    }

    /// Length of every hash that [`hash`] makes. Unit: bytes, all of them ASCII.
    #[must_use]
    pub fn length(self) -> usize {
        let (salt, hash) = match self {
            Self::Sha512 => (SHA512_SALT, 86),
            Self::Yescrypt => (SALT_BYTES / 3 * 4, 43),
        };
        self.prefix().len() + salt + 1 + hash
    }

    /// True if this system's libcrypt makes such hashes.
    #[must_use]
    pub fn is_available(self) -> bool {
        let cheapest: &[u8] = match self {
            Self::Sha512 => b"$6$rounds=1000$salt$",
            Self::Yescrypt => b"$y$j75$salt$",
        };
        libcrypt::crypt(b"x", cheapest).is_ok()
    }

    /// All of a setting before its salt: the form and its cost.
    fn prefix(self) -> &'static str {
        match self {
            Self::Sha512 => "$6$rounds=100000$",
            Self::Yescrypt => "$y$j9T$",
        }
    }
}

/// True if a hash of family `from` should become `to`: only what is clearly weak, or no hash at all. bcrypt, argon2,
/// scrypt, yescrypt and SHA-crypt stay as they are, whatever their cost.
#[must_use]
pub fn stronger(from: Family, to: Target) -> bool {
    let (Target::Sha512 | Target::Yescrypt) = to;
    match from {
        Family::Plain
        | Family::Des
        | Family::BsdiDes
        | Family::Md5Crypt
        | Family::SunMd5
        | Family::Sha1Crypt
        | Family::Nt
        | Family::Mysql41
        | Family::MysqlOld
        | Family::Digest => true,
        Family::Sha256Crypt
        | Family::Sha512Crypt
        | Family::Bcrypt
        | Family::Yescrypt
        | Family::GostYescrypt
        | Family::Scrypt
        | Family::Argon2 => false,
    }
}

/// Hashes `offered` with a new salt. What comes back was verified: [`verify`] takes it, under [`PASSWORD_TYPE`], for
/// the hash of exactly this password. Blocks for as long as two hashes take.
///
/// # Errors
/// A password that crypt(3) cannot hash, a system without this form, without memory or without random bytes.
pub fn hash(target: Target, offered: &Secret) -> Result<Secret, &'static str> {
    let phrase = offered.expose();
    if phrase.is_empty() || phrase.len() > CRYPT_PHRASE_MAX || phrase.contains(&0) {
        return Err("a password that crypt(3) cannot hash");
    }
    let setting = [target.prefix().as_bytes(), &salt(target)?, b"$"].concat();
    let made = libcrypt::crypt(phrase, &setting).map_err(reason)?;
    let made = Secret::new(made.to_vec());
    if made.expose().len() != target.length() {
        return Err("crypt(3) made a hash of another length than its form has");
    }
    match verify(Some(&made), Some(PASSWORD_TYPE.as_bytes()), offered) {
        Verdict::Match => Ok(made),
        Verdict::NoAnswer(why) => Err(why),
        _ => Err("the new hash did not verify"),
    }
}

fn reason(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::NoAnswer(why) => why,
        _ => "this system's crypt(3) does not make such hashes",
    }
}

/// Random characters, as many as the form takes.
fn salt(target: Target) -> Result<Vec<u8>, Reason> {
    let mut random = [0_u8; SALT_BYTES];
    getrandom::fill(&mut random).map_err(|_| "no random bytes from the system")?;
    let characters = random.chunks(3).flat_map(|three| {
        let bits = three.iter().rev().fold(0_usize, |bits, &byte| (bits << 8) | usize::from(byte));
        (0..4).map(move |n| ALPHABET.get((bits >> (6 * n)) & 63).copied().unwrap_or(b'.'))
    });
    Ok(match target {
        Target::Sha512 => characters.take(SHA512_SALT).collect(),
        Target::Yescrypt => characters.collect(),
    })
}
