//! Stored passwords of other systems, as columns password and password_type.

use crate::password::{self, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A stored password in our columns.
#[derive(Debug)]
pub struct Stored {
    /// Column password.
    pub password: Vec<u8>,
    /// Column password_type.
    pub kind: &'static str,
    /// Why nobody can log in with it, if nobody can.
    pub trouble: Option<&'static str>,
}

impl Stored {
    fn new(password: Vec<u8>, kind: &'static str) -> Self {
        let trouble = password::classify(Some(&Secret::new(password.clone())), Some(kind.as_bytes())).err();
        Self { password, kind, trouble }
    }

    /// A hash of crypt(3).
    #[must_use]
    pub fn crypted(value: &[u8]) -> Self {
        Self::new(value.to_vec(), CRYPT)
    }

    /// A password in clear.
    #[must_use]
    pub fn plain(value: &[u8]) -> Self {
        Self::new(value.to_vec(), PLAIN)
    }

    /// A value with Dovecot's `{SCHEME}`, or one that says what it is by its form. What says nothing is never taken for a
    /// password in clear.
    #[must_use]
    pub fn with_scheme(value: &[u8]) -> Self {
        let Some((name, rest)) = scheme(value) else { return Self::bare(value) };
        let (name, encoding) = name.split_once('.').unwrap_or((&name, ""));
        if !matches!(encoding, "" | "HEX" | "B64" | "BASE64") {
            return Self::crypted(value);
        }
        // Of these, the text itself can be written so.
        let decoded = match encoding {
            "HEX" => from_hex(rest),
            "" => Some(rest.to_vec()),
            _ => STANDARD.decode(rest).ok(),
        };
        match name {
            "CRYPT" | "DES-CRYPT" | "MD5" | "MD5-CRYPT" | "BLF-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "ARGON2"
            | "ARGON2I" | "ARGON2ID"
                if name != "MD5" || decoded.as_ref().is_some_and(|text| text.starts_with(b"$")) =>
            {
                Self::crypted(decoded.as_deref().unwrap_or(value))
            }
            "PLAIN" | "CLEAR" | "CLEARTEXT" => match decoded {
                Some(text) => Self::plain(&text),
                None => Self::crypted(value),
            },
            // The last is Courier's.
            "PLAIN-MD5" | "LDAP-MD5" | "MD5RAW" => Self::digest("MD5", rest, encoding, value),
            "SHA1" => Self::digest("SHA", rest, encoding, value),
            "MD5" | "SMD5" | "SHA" | "SSHA" | "SHA256" | "SSHA256" | "SHA384" | "SSHA384" | "SHA512" | "SSHA512" => {
                Self::digest(name, rest, encoding, value)
            }
            // Never as a password in clear: a name without a meaning does not make the rest a password.
            _ => Self::crypted(value),
        }
    }

    fn bare(value: &[u8]) -> Self {
        let is_star = value.len() == 41 && value.starts_with(b"*");
        if is_star {
            return Self::new(value.to_vec(), "MySQL-Password");
        }
        if value.len() == 32
            && let Some(digest) = from_hex(value)
        {
            return Self::new([b"{MD5}", STANDARD.encode(digest).as_bytes()].concat(), PLAIN);
        }
        Self::crypted(value)
    }

    /// A digest in base64 or hexadecimal, as `{NAME}` and base64. `whole` is what it was.
    fn digest(name: &str, value: &[u8], encoding: &str, whole: &[u8]) -> Self {
        let plain_digits = match name {
            "MD5" => 32,
            "SHA" => 40,
            "SHA256" => 64,
            "SHA384" => 96,
            "SHA512" => 128,
            _ => usize::MAX,
        };
        let is_hex = encoding == "HEX" || (encoding.is_empty() && value.len() == plain_digits);
        let bytes = if is_hex { from_hex(value) } else { None };
        match (bytes, is_hex) {
            (Some(bytes), _) => Self::new(format!("{{{name}}}{}", STANDARD.encode(bytes)).into_bytes(), PLAIN),
            (None, true) => Self::crypted(whole),
            (None, false) => Self::new([b"{", name.as_bytes(), b"}", value].concat(), PLAIN),
        }
    }
}

const CRYPT: &str = "Crypt-Password";
const PLAIN: &str = "Password";

/// The name of a scheme in capitals, and what follows it.
fn scheme(value: &[u8]) -> Option<(String, &[u8])> {
    let rest = value.strip_prefix(b"{")?;
    let (name, rest) = rest.split_at_checked(rest.iter().position(|&b| b == b'}')?)?;
    Some((std::str::from_utf8(name).ok()?.to_ascii_uppercase(), rest.get(1..)?))
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let even = digits.len().is_multiple_of(2);
    let pairs = digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?));
    if even { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::{Verdict, verify};

    fn logs_in(stored: &str, offered: &str) -> bool {
        let own = Stored::with_scheme(stored.as_bytes());
        let offered = Secret::new(offered.as_bytes().to_vec());
        let verdict = verify(Some(&Secret::new(own.password)), Some(own.kind.as_bytes()), &offered);
        let is_judged = !matches!(verdict, Verdict::Unusable);
        assert!(!is_judged || own.trouble.is_some() == matches!(verdict, Verdict::Unverifiable(_)), "{stored}");
        verdict == Verdict::Match
    }

    #[test]
    fn what_dovecot_verifies_is_verified() {
        // The password is `secret` in each.
        for stored in [
            "{PLAIN}secret",
            "{cleartext}secret",
            "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            "{MD5-CRYPT}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            "{MD5}$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            "5ebe2294ecd0e0f08eab7690d2a6ee69",
            "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
            "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "{SHA1.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
            "{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
            "{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69",
            "{PLAIN.b64}c2VjcmV0",
            "{MD5-CRYPT.B64}JDEkYWJjZGVmZ2gkY0hKaTVQWHAva2kva3RYenFsazZJMQ==",
            "{CRYPT.hex}2431246162636465666768246348\
             4a69355058702f6b692f6b74587a716c6b364931",
            "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7",
        ] {
            assert!(logs_in(stored, "secret"), "{stored}");
            assert!(!logs_in(stored, "Secret"), "{stored}");
        }
    }

    #[test]
    fn what_cannot_be_verified_lets_nobody_in() {
        for stored in [
            "secret",
            "{CRAM-MD5}26b633ec8bf9dd526293c5897400bddeef9299fad3f1d6f8ce9e5bcbbd85ee29",
            "{SCRAM-SHA-1}4096,abc,def,ghi",
            "{PLAIN}",
            "{SHA512.hex}zz",
            "{PLAIN.b64}*",
            "{PLAIN.rot13}secret",
            "{SHA512-CRYPT.b64}*",
            "{PLAIN}{SHA}x",
            "{}x",
            "",
        ] {
            assert!(!logs_in(stored, "secret") && !logs_in(stored, stored), "{stored}");
            assert!(Stored::with_scheme(stored.as_bytes()).trouble.is_some(), "{stored}");
        }
    }
}
