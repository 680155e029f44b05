//! LDAP's plain digests (RFC 2307 and slapd's pw-sha2): base64 of digest(password, salt) and salt.

use super::plain::same;
use super::{Reason, Verdict};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// Reads base64 with or without its padding: slappasswd pads, its argon2 and some scripts do not.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One digest and its length in bytes.
type Function = fn(&[u8], &[u8]) -> Zeroizing<Vec<u8>>;

/// Scheme name, in capitals; digest; its length; salted or not.
const SCHEMES: &[(&str, Function, usize, bool)] = &[
    ("MD5", digest::<Md5>, 16, false),
    ("SMD5", digest::<Md5>, 16, true),
    ("SHA", digest::<Sha1>, 20, false),
    ("SSHA", digest::<Sha1>, 20, true),
    ("SHA256", digest::<Sha256>, 32, false),
    ("SSHA256", digest::<Sha256>, 32, true),
    ("SHA384", digest::<Sha384>, 48, false),
    ("SSHA384", digest::<Sha384>, 48, true),
    ("SHA512", digest::<Sha512>, 64, false),
    ("SSHA512", digest::<Sha512>, 64, true),
];

/// A stored digest, with its salt if it has one.
pub(super) struct Salted {
    function: Function,
    digest: Vec<u8>,
    salt: Vec<u8>,
}

impl Salted {
    /// `None` if `scheme` names no digest.
    pub(super) fn parse(scheme: &[u8], value: &[u8]) -> Option<Result<Self, Reason>> {
        let known = |(name, ..): &&(&str, Function, usize, bool)| name.as_bytes().eq_ignore_ascii_case(scheme);
        let &(_, function, length, salted) = SCHEMES.iter().find(known)?;
        Some(read(value, length, salted).map(|(digest, salt)| Self { function, digest, salt }))
    }

    pub(super) fn compare(&self, offered: &[u8]) -> Verdict {
        same(&self.digest, &(self.function)(offered, &self.salt))
    }
}

fn read(value: &[u8], length: usize, salted: bool) -> Result<(Vec<u8>, Vec<u8>), Reason> {
    let mut digest = BASE64.decode(value).map_err(|_| "what follows the scheme is not base64")?;
    if digest.len() < length {
        return Err("shorter than the scheme's digest: cut off?");
    }
    let salt = digest.split_off(length);
    match (salted, salt.is_empty()) {
        (true, true) => Err("a salted scheme without a salt"),
        (false, false) => Err("longer than the scheme's digest"),
        _ => Ok((digest, salt)),
    }
}

fn digest<D: Digest>(offered: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hasher = D::new();
    hasher.update(offered);
    hasher.update(salt);
    Zeroizing::new(hasher.finalize().to_vec())
}
