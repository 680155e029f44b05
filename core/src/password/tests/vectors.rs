//! What other programs stored is verified, and only with its password.

use super::super::vectors::VECTORS;
use super::{Family, TYPES, Verdict, classify, unverifiable, verify};
use crate::password::looks_like_hash;

#[test]
fn every_vector_matches_its_password_and_no_other() {
    for v in VECTORS {
        let shown = (v.by, v.stored);
        assert_eq!(verify(v.stored, Some(v.of), v.password), Verdict::Match, "{shown:?}");
        assert_eq!(verify(v.stored, Some(v.of), "not it"), Verdict::Mismatch, "{shown:?}");
        assert_eq!(verify(v.stored, Some(&v.of.to_uppercase()), v.password), Verdict::Match, "{shown:?}");
    }
}

#[test]
fn every_vector_is_told_by_its_form() {
    for v in VECTORS {
        let family = classify(v.stored, Some(v.of)).unwrap_or_else(|why| panic!("{}: {why}", v.stored));
        let inner = v.stored.strip_prefix("{CRYPT}").or(v.stored.strip_prefix("{ARGON2}")).unwrap_or(v.stored);
        let expected = match inner.split('$').nth(1) {
            Some("1") => Family::Md5Crypt,
            Some("2a" | "2b" | "2x" | "2y") => Family::Bcrypt,
            Some("3") => Family::Nt,
            Some("5") => Family::Sha256Crypt,
            Some("6") => Family::Sha512Crypt,
            Some("7") => Family::Scrypt,
            Some("y") => Family::Yescrypt,
            Some("gy") => Family::GostYescrypt,
            Some("sha1") => Family::Sha1Crypt,
            Some(id) if id.starts_with("md5") => Family::SunMd5,
            Some(_) => Family::Argon2,
            None if inner.starts_with('*') => Family::Mysql41,
            None if inner.starts_with('{') => Family::Digest,
            None if inner.starts_with('_') => Family::BsdiDes,
            None if v.of == "MySQL-Password" => Family::MysqlOld,
            None => Family::Des,
        };
        assert_eq!(family, expected, "{}", v.stored);
    }
}

#[test]
fn a_hash_presented_as_password_never_matches() {
    for v in VECTORS {
        for of in TYPES {
            if of == Some("Password") && !looks_like_hash(v.stored.as_bytes()) {
                continue; // DES and 16 hex digits cannot be told from a password
            }
            assert_ne!(verify(v.stored, of, v.stored), Verdict::Match, "{of:?} {}", v.stored);
        }
        let wrapped = format!("{{CLEARTEXT}}{}", v.stored);
        if looks_like_hash(v.stored.as_bytes()) {
            assert!(unverifiable(verify(&wrapped, Some("Password"), v.stored)), "{wrapped}");
        }
    }
}

#[test]
fn under_another_type_a_marked_hash_is_never_hashed_or_compared() {
    for v in VECTORS.iter().filter(|v| looks_like_hash(v.stored.as_bytes())) {
        for of in TYPES.iter().flatten().filter(|of| **of != v.of) {
            assert!(classify(v.stored, Some(of)).is_err(), "{of} {}", v.stored);
        }
        assert_eq!(classify(v.stored, None), classify(v.stored, Some(v.of)), "{}", v.stored);
    }
}

#[test]
fn a_hash_that_was_cut_off_is_unverifiable() {
    for v in VECTORS.iter().filter(|v| v.of != "Password" && !v.stored.contains("argon2")) {
        for end in 0..v.stored.len() {
            assert!(classify(&v.stored[..end], Some(v.of)).is_err(), "{} {end}", v.stored);
        }
    }
    let argon2 = "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$a+14sZrM3WlHRqt5/WdCUV/JLk6EZ2msKUAUr2unNqI";
    assert_eq!(verify(argon2, Some("Crypt-Password"), "secret"), Verdict::Match);
    for end in 0..argon2.len() {
        assert_ne!(verify(&argon2[..end], Some("Crypt-Password"), "secret"), Verdict::Match, "{end}");
    }
}

#[test]
fn one_changed_character_of_the_hash_is_no_match() {
    for v in VECTORS.iter().filter(|v| classify(v.stored, Some(v.of)) != Ok(Family::SunMd5)) {
        let mut changed = v.stored.as_bytes().to_vec();
        let at = changed.len() - 6;
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        assert_ne!(verify(&changed, Some(v.of), v.password), Verdict::Match, "{}", v.stored);
    }
}

#[test]
fn argon2_without_a_version_is_version_1_0() {
    let mut seen = 0;
    for v in VECTORS.iter().filter(|v| v.by.starts_with("argon2")) {
        let expected = if v.by == "argon2 -v 10" { Verdict::Match } else { Verdict::Mismatch };
        let stored = v.stored.replacen("v=16$", "", 1).replacen("v=19$", "", 1);
        assert_eq!(verify(&stored, Some(v.of), v.password), expected, "{stored}");
        seen += usize::from(expected == Verdict::Match);
    }
    assert!(seen > 0);
}

#[test]
fn threads_do_not_disturb_each_other() {
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for v in VECTORS.iter().skip(part).step_by(4).filter(|v| v.by == "openssl passwd" || v.by == "htpasswd")
                {
                    assert_eq!(verify(v.stored, Some(v.of), v.password), Verdict::Match, "{}", v.stored);
                }
            });
        }
    });
}
