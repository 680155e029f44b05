//! New hashes for weak ones.

use super::super::rehash::{PASSWORD_TYPE, Target, hash, stronger};
use super::super::vectors::VECTORS;
use super::{Family, Verdict, classify, secret, verify};
use sha_crypt::PasswordVerifier as _;

const TARGETS: [Target; 2] = [Target::Sha512, Target::Yescrypt];

fn made(target: Target, password: &[u8]) -> String {
    let made = hash(target, &secret(password)).unwrap_or_else(|why| panic!("{target:?}: {why}"));
    String::from_utf8(made.expose().to_vec()).unwrap()
}

#[test]
fn a_new_hash_is_of_its_password_and_no_other() {
    for target in TARGETS {
        for password in [&b"a"[..], b"sesame", b"\xff\x80 \x01", "p\u{e4}ss".as_bytes(), &[b'x'; 200], &[b'x'; 511]] {
            let stored = made(target, password);
            assert_eq!(stored.len(), target.length(), "{stored}");
            assert_eq!(verify(&stored, Some(PASSWORD_TYPE), password), Verdict::Match, "{stored}");
            assert_eq!(verify(&stored, None, password), Verdict::Match, "it names its own form: {stored}");
            let mut other = password.to_vec();
            other[0] ^= 1;
            assert_eq!(verify(&stored, Some(PASSWORD_TYPE), &other), Verdict::Mismatch, "{stored}");
        }
    }
}

#[test]
fn other_programs_accept_a_new_hash() {
    let sha512 = made(Target::Sha512, b"sesame");
    assert!(sha_crypt::ShaCrypt::default().verify_password(b"sesame", sha512.as_str()).is_ok(), "{sha512}");
    assert!(sha_crypt::ShaCrypt::default().verify_password(b"Sesame", sha512.as_str()).is_err(), "{sha512}");
    let yescrypt = made(Target::Yescrypt, b"sesame");
    assert!(yescrypt::Yescrypt::default().verify_password(b"sesame", yescrypt.as_str()).is_ok(), "{yescrypt}");
    assert!(yescrypt::Yescrypt::default().verify_password(b"Sesame", yescrypt.as_str()).is_err(), "{yescrypt}");
}

#[test]
fn no_two_salts_are_equal() {
    for target in TARGETS {
        let (one, two) = (made(target, b"sesame"), made(target, b"sesame"));
        assert_ne!(one, two);
        let salt = one.split('$').rev().nth(1).unwrap();
        assert!(salt.len() >= 16 && salt.bytes().any(|b| b != salt.as_bytes()[0]), "{one}");
    }
}

#[test]
fn what_crypt_cannot_hash_is_refused() {
    for target in TARGETS {
        for password in [&b""[..], b"a\0b", &[b'x'; 512]] {
            assert!(hash(target, &secret(password)).is_err(), "{password:?}");
        }
    }
}

#[test]
fn only_weak_families_become_the_target_and_it_stays() {
    let strong = ["5", "6", "2a", "2b", "2x", "2y", "y", "gy", "7"];
    let (mut weak, mut kept) = (0, 0);
    for v in VECTORS {
        let family = classify(v.stored, Some(v.of)).unwrap();
        let inner = v.stored.strip_prefix("{CRYPT}").or(v.stored.strip_prefix("{ARGON2}")).unwrap_or(v.stored);
        let id = inner.split('$').nth(1).unwrap_or_default();
        let keep = strong.contains(&id) || id.starts_with("argon2");
        for target in TARGETS {
            assert_eq!(stronger(family, target), !keep, "{}", v.stored);
        }
        if keep { kept += 1 } else { weak += 1 }
    }
    assert!(weak > 10 && kept > 10, "{weak} weak and {kept} strong vectors");
    assert!(stronger(Family::Plain, Target::Sha512));
    for target in TARGETS {
        let family = classify(made(target, b"sesame"), Some(PASSWORD_TYPE)).unwrap();
        assert!(TARGETS.iter().all(|&next| !stronger(family, next)), "{family:?} would be hashed again and again");
    }
}

#[test]
fn libxcrypt_has_both_forms() {
    assert!(TARGETS.into_iter().all(Target::is_available));
}

#[test]
#[cfg(feature = "serde")]
fn targets_are_named_in_lower_case() {
    let named = |word: &str| {
        let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            serde::de::IntoDeserializer::into_deserializer(word);
        <Target as serde::Deserialize>::deserialize(word).ok()
    };
    for target in TARGETS {
        assert_eq!(named(target.as_str()), Some(target));
    }
    assert_eq!((named("SHA512"), named("md5")), (None, None));
}
