//! `Crypt-Password`: every form of crypt(3), and argon2.
//!
//! Form, cost and length are judged here, before libcrypt sees the value: it cannot be stopped once it computes, and a
//! column that cuts hashes off should read as such instead of as a wrong password.

use super::argon2::Argon2Hash;
use super::limits::{CRYPT_PHRASE_MAX, CRYPT_SETTING_MAX, SHA_CRYPT_WORK_MAX};
use super::plain::same;
use super::shape::dollar;
use super::{Family, Form, Reason, Verdict, crypt_cost, libcrypt};

/// A stored hash that crypt(3) can verify, within the caps.
pub(super) struct Crypted<'a> {
    stored: &'a [u8],
    family: Family,
    /// Rounds that each hash the password again; 0 where its length hardly matters.
    rounds: u32,
}

/// Reads any value of type `Crypt-Password`, or what follows `{CRYPT}`.
pub(super) fn parse(stored: &[u8]) -> Result<Form<'_>, Reason> {
    if dollar(stored).is_some_and(|(id, _)| id.starts_with(b"argon2")) {
        return Argon2Hash::parse(stored).map(Form::Argon2);
    }
    Crypted::parse(stored).map(Form::Crypt)
}

impl<'a> Crypted<'a> {
    fn parse(stored: &'a [u8]) -> Result<Self, Reason> {
        if stored.len() > CRYPT_SETTING_MAX {
            return Err("longer than crypt(3) makes hashes");
        }
        if !stored.iter().all(u8::is_ascii_graphic) {
            return Err("bytes that no crypt(3) hash holds");
        }
        let (family, rounds) = match dollar(stored) {
            Some((id, rest)) => marked(id, rest)?,
            None => (unmarked(stored)?, 0),
        };
        Ok(Self { stored, family, rounds })
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn compare(&self, offered: &[u8]) -> Verdict {
        if offered.len() > CRYPT_PHRASE_MAX {
            return Verdict::Unusable;
        }
        let bytes = u64::try_from(offered.len()).unwrap_or(u64::MAX).saturating_add(64);
        if u64::from(self.rounds).saturating_mul(bytes) > SHA_CRYPT_WORK_MAX {
            return Verdict::Unverifiable("the offered password is too long for so many rounds");
        }
        match libcrypt::crypt(offered, self.stored) {
            Ok(computed) => same(self.stored, &computed),
            Err(verdict) => verdict,
        }
    }
}

/// Judges `$id$rest`.
fn marked(id: &[u8], rest: &[u8]) -> Result<(Family, u32), Reason> {
    let mut rounds = 0;
    let family = match id {
        b"1" => Family::Md5Crypt,
        b"2a" | b"2b" | b"2x" | b"2y" => {
            crypt_cost::bcrypt(rest)?;
            Family::Bcrypt
        }
        b"3" => Family::Nt,
        b"5" | b"6" => {
            rounds = crypt_cost::sha_crypt(rest)?;
            if id == b"5" { Family::Sha256Crypt } else { Family::Sha512Crypt }
        }
        b"7" => {
            crypt_cost::scrypt(rest)?;
            Family::Scrypt
        }
        b"y" | b"gy" => {
            crypt_cost::yescrypt(rest)?;
            if id == b"y" { Family::Yescrypt } else { Family::GostYescrypt }
        }
        b"sha1" => {
            crypt_cost::sha1_crypt(rest)?;
            Family::Sha1Crypt
        }
        _ if id == b"md5" || id.starts_with(b"md5,") => {
            crypt_cost::sun_md5(id)?;
            Family::SunMd5
        }
        _ => return Err("an unknown $id$"),
    };
    whole(family, rest)?;
    Ok((family, rounds))
}

/// Refuses a setting without its hash, and a hash that was cut off.
fn whole(family: Family, rest: &[u8]) -> Result<(), Reason> {
    let want = match family {
        Family::Md5Crypt | Family::SunMd5 => 22,
        Family::Sha1Crypt => 28,
        Family::Nt => 32,
        Family::Sha512Crypt => 86,
        Family::Bcrypt => 53,
        _ => 43,
    };
    let hash = rest.rsplit(|&b| b == b'$').next().unwrap_or_default();
    let sound = |b: &u8| match family {
        Family::Nt => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        _ => crypt_cost::value(*b).is_some(),
    };
    if hash.len() == want && hash.iter().all(sound) {
        return Ok(());
    }
    Err(if hash.len() < want { "shorter than a hash of its kind: cut off?" } else { "not a hash of its kind" })
}

/// Judges a value without `$id$`: BSDi's extended DES, or DES.
fn unmarked(stored: &[u8]) -> Result<Family, Reason> {
    let sound = |text: &[u8]| text.iter().all(|&b| crypt_cost::value(b).is_some());
    if let Some(rest) = stored.strip_prefix(b"_").filter(|rest| rest.len() == 19 && sound(rest)) {
        crypt_cost::bsdi(rest)?;
        return Ok(Family::BsdiDes);
    }
    // bigcrypt of old HP-UX appends 11 characters for every further 8 of the password.
    let des = stored.len() >= 13 && (stored.len() - 13).is_multiple_of(11) && stored.len() <= 178;
    if des && sound(stored) { Ok(Family::Des) } else { Err("none of crypt(3)'s forms") }
}
