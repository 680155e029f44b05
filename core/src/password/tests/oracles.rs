//! A second opinion on libcrypt: the RustCrypto crates and bcrypt, which share no code with it.

use super::super::vectors::VECTORS;
use super::{Verdict, verify};
use sha_crypt::{PasswordHasher as _, PasswordVerifier as _};

const CRYPT: Option<&str> = Some("Crypt-Password");
const PASSWORDS: [&[u8]; 8] = [
    b"a",
    b"secret",
    b"Secret pw9",
    "p\u{e4}ssw\u{f6}rd".as_bytes(),
    b"\xff\x80\x01",
    &[b'x'; 71],
    &[b'x'; 72],
    &[b'y'; 200],
];

#[test]
fn the_crates_accept_the_same_vectors() {
    let mut seen = 0;
    for v in VECTORS {
        let accepts = |password: &[u8]| match v.stored.split('$').nth(1)? {
            "5" | "6" => Some(sha_crypt::ShaCrypt::default().verify_password(password, v.stored).is_ok()),
            "y" if v.stored.starts_with("$y$j7") => {
                Some(yescrypt::Yescrypt::default().verify_password(password, v.stored).is_ok())
            }
            "2a" | "2b" | "2y" => Some(bcrypt::verify(password, v.stored).unwrap()),
            _ => None,
        };
        let Some(accepted) = accepts(v.password) else { continue };
        assert!(accepted, "{}", v.stored);
        assert_eq!(accepts(b"not it"), Some(false), "{}", v.stored);
        seen += 1;
    }
    assert!(seen > 30, "only {seen} vectors have a second opinion");
}

#[test]
fn bcrypt_of_the_crate_is_verified() {
    for (n, password) in PASSWORDS.iter().enumerate() {
        let stored = bcrypt::hash_with_salt(password, 4, [u8::try_from(n).unwrap() * 17; 16]).unwrap();
        both_ways(&stored.format_for_version(bcrypt::Version::TwoB), n);
        both_ways(&stored.format_for_version(bcrypt::Version::TwoY), n);
        // libcrypt's $2a$ differs on purpose where the sign bug of $2x$ made collisions.
        if !password.starts_with(b"\xff") {
            both_ways(&stored.format_for_version(bcrypt::Version::TwoA), n);
        }
    }
}

#[test]
fn sha_crypt_of_the_crate_is_verified() {
    let params = sha_crypt::Params::new(1000).unwrap();
    for algorithm in [sha_crypt::Algorithm::Sha256Crypt, sha_crypt::Algorithm::Sha512Crypt] {
        for (n, password) in PASSWORDS.iter().enumerate() {
            let hasher = sha_crypt::ShaCrypt::new(algorithm, params);
            let stored = hasher.hash_password_with_salt(password, b"saltsalt").unwrap();
            both_ways(stored.as_str(), n);
        }
    }
}

#[test]
fn yescrypt_of_the_crate_is_verified() {
    let params = yescrypt::Params::new(yescrypt::Mode::default(), 256, 8, 1).unwrap();
    for (n, password) in PASSWORDS.iter().enumerate() {
        let stored = yescrypt::Yescrypt::from(params).hash_password_with_salt(password, b"saltsalt").unwrap();
        both_ways(stored.as_str(), n);
    }
}

/// Accepted with its own password of [`PASSWORDS`] only.
fn both_ways(stored: &str, own: usize) {
    for (n, offered) in PASSWORDS.iter().enumerate() {
        let expected = if n == own { Verdict::Match } else { Verdict::Mismatch };
        assert_eq!(verify(stored, CRYPT, offered), expected, "{stored} {n}");
    }
}
