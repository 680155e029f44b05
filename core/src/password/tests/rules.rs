//! Rules P1 and P2, case by case.

use super::{Family, Secret, TYPES, Verdict, classify, secret, unverifiable, verify};
use crate::password::limits::OFFERED_MAX;
use crate::password::looks_like_hash;

const CRYPT: Option<&str> = Some("Crypt-Password");
const MYSQL: Option<&str> = Some("MySQL-Password");
const PLAIN: Option<&str> = Some("Password");

#[test]
fn plain_is_compared_byte_for_byte() {
    assert_eq!(verify("sesame", PLAIN, "sesame"), Verdict::Match);
    assert_eq!(verify("sesame", Some("pAssWord"), "sesame"), Verdict::Match);
    assert_eq!(verify(b"\xff\x01 ", PLAIN, b"\xff\x01 "), Verdict::Match);
    for wrong in ["Sesame", "sesame ", "sesam", "s", "*", "%"] {
        assert_eq!(verify("sesame", PLAIN, wrong), Verdict::Mismatch, "{wrong}");
    }
}

#[test]
fn an_unusable_offer_is_told_before_anything_else() {
    let long = [b'x'; OFFERED_MAX + 1];
    for of in TYPES.into_iter().chain([Some("nonsense")]) {
        for stored in ["", "x", "$5$rounds=999999999$a$b"] {
            for offered in [&b""[..], b"a\0b", b"\0", &long] {
                assert_eq!(verify(stored, of, offered), Verdict::Unusable);
            }
        }
        assert_eq!(super::super::verify(None, of.map(str::as_bytes), &secret("")), Verdict::Unusable);
    }
    let longest = &long[..OFFERED_MAX];
    assert_eq!(verify(longest, PLAIN, longest), Verdict::Match);
    assert_eq!(verify("abgOeLfPimXQo", CRYPT, longest), Verdict::Unusable); // one byte more than crypt(3) takes
    assert_eq!(verify("abgOeLfPimXQo", CRYPT, &longest[1..]), Verdict::Mismatch);
}

#[test]
fn nothing_stored_is_never_a_match() {
    for of in TYPES.into_iter().chain([Some("")]) {
        assert!(unverifiable(super::super::verify(None, of.map(str::as_bytes), &secret("x"))));
        assert!(unverifiable(verify("", of, "x")));
        assert!(unverifiable(verify(b"x\0", of, "x")));
        assert!(unverifiable(verify([b'x'; 4096], of, "x")));
    }
}

#[test]
fn an_unknown_type_is_unverifiable() {
    for of in ["", " ", "Password ", "Passwort", "Crypt", "MySQL", "0", "Password\0"] {
        assert!(unverifiable(verify("sesame", Some(of), "sesame")), "{of:?}");
    }
}

#[test]
fn without_a_type_only_a_value_that_names_its_form_is_verified() {
    assert_eq!(verify("*94bdcebe19083ce2a1f959fd02f964c7af4cfc29", None, "test"), Verdict::Match);
    assert_eq!(verify("{MYSQL}378b243e220ca493", None, "test"), Verdict::Match);
    assert_eq!(verify("{cleartext}test", None, "test"), Verdict::Match);
    assert_eq!(verify("$1$abc$iCQ2D3nhptRYi27fDYv2s1", None, "secret"), Verdict::Match);
    for ambiguous in ["test", "378b243e220ca493", "abgOeLfPimXQo", "_J9..rasmz0.F/jqjWck", "*0", "$", "{}x"] {
        assert!(unverifiable(verify(ambiguous, None, ambiguous)), "{ambiguous}");
        assert!(unverifiable(verify(ambiguous, None, "test")), "{ambiguous}");
    }
}

#[test]
fn what_looks_like_a_hash_is_never_plain_text() {
    let hashes = [
        "$1$a$b",
        "$x$",
        "$P$B",
        "$apr1$a$b",
        "$md5,rounds=904$a$$b",
        "$A$005$ab",
        "$argon2id$v=19$x",
        "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29",
        "{CRYPT}x",
        "{x}",
        "{foo bar}x",
        "{$6$}x",
    ];
    for stored in hashes {
        assert!(looks_like_hash(stored.as_bytes()), "{stored}");
        assert!(unverifiable(verify(stored, PLAIN, stored)), "{stored}");
        assert!(unverifiable(verify(format!("{{CLEARTEXT}}{stored}"), PLAIN, stored)), "{stored}");
    }
    for stored in ["$", "$$", "$5", "$ 5$", "$$5$", "*", "*94BDC", "{", "{}", "{}x", "x{y}", " $1$a$b", "a$1$b"] {
        assert!(!looks_like_hash(stored.as_bytes()), "{stored}");
        assert_eq!(verify(stored, PLAIN, stored), Verdict::Match, "{stored}");
    }
}

#[test]
fn mysql_hashes() {
    assert_eq!(verify("378B243E220CA493", MYSQL, "test"), Verdict::Match);
    assert_eq!(verify("378b243e220ca493", MYSQL, " te\tst "), Verdict::Match); // OLD_PASSWORD() drops blanks
    assert_eq!(verify("*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29", MYSQL, "test "), Verdict::Mismatch);
    assert_eq!(verify("*94bdcebe19083ce2a1f959fd02f964C7AF4CFC29", MYSQL, "test"), Verdict::Match);
    for stored in [
        "test",
        "*",
        "94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29",
        "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC2",
        "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC299",
        "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC2G",
        "*THISISNOTAVALIDPASSWORDTHATCANBEUSEDHERE",
        "378b243e220ca49",
        "378b243e220ca4933",
        "+78b243e220ca493",
        "{MYSQL}378b243e220ca493",
        "$1$abc$iCQ2D3nhptRYi27fDYv2s1",
    ] {
        assert!(unverifiable(verify(stored, MYSQL, "test")), "{stored}");
    }
}

#[test]
fn ldap_schemes() {
    let good = [
        ("{SSHA}VVja9CDUYxyym5ioTtWKAoD+ypl/ssRT", "secret"),
        ("{sha}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ", "secret"), // without its padding
        ("{md5}Xr4ilOzQ4PCOq3aQ0qbuaQ", "secret"),
        ("{crypt}abgOeLfPimXQo", "test"),
        ("{MySQL}*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29", "test"),
        ("{CLEARTEXT}sesame", "sesame"),
        ("{CLEARTEXT}*", "*"),
    ];
    for (stored, password) in good {
        assert_eq!(verify(stored, PLAIN, password), Verdict::Match, "{stored}");
        assert_eq!(verify(stored, PLAIN, "other"), Verdict::Mismatch, "{stored}");
        assert!(unverifiable(verify(stored, CRYPT, password)), "{stored}");
        assert!(unverifiable(verify(stored, MYSQL, password)), "{stored}");
    }
    let bad = [
        "{FOO}secret",
        "{SASL}iain@realm",
        "{MD4}secret",
        "{ SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}",
        "{CLEARTEXT}",
        "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA}VVja9CDUYxyym5ioTtWKAoD+ypl/ssRT",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfR=",
        "{SHA}5en6 G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
        "{CRYPT}secret",
        "{CRYPT}{CRYPT}abgOeLfPimXQo",
        "{ARGON2}secret",
        "{MYSQL}secret",
    ];
    for stored in bad {
        for offered in ["secret", stored] {
            assert!(unverifiable(verify(stored, PLAIN, offered)), "{stored}");
        }
    }
}

/// Settings above the caps and their neighbours below, without hashing any.
#[test]
fn costs_are_judged_before_hashing() {
    let (h43, h22, h86, h53) = ("a".repeat(43), "a".repeat(22), "a".repeat(86), "a".repeat(53));
    let argon2 =
        |costs: &str| format!("$argon2id$v=19${costs}$c2FsdHNhbHQ$a+14sZrM3WlHRqt5/WdCUV/JLk6EZ2msKUAUr2unNqI");
    let below = [
        (format!("$5$rounds=1000000$s${h43}"), Family::Sha256Crypt),
        (format!("$6$rounds=656000$s${h86}"), Family::Sha512Crypt), // passlib's default
        (format!("$md5,rounds=1000000$s$${h22}"), Family::SunMd5),
        (format!("$sha1$1000000$s${}", "a".repeat(28)), Family::Sha1Crypt),
        (format!("$2b$15${h53}"), Family::Bcrypt),
        (format!("_...U{}", "a".repeat(15)), Family::BsdiDes),
        (format!("$y$j9T$s${h43}"), Family::Yescrypt),
        (format!("$y$jDT$s${h43}"), Family::Yescrypt),
        (format!("$gy$jDT$s${h43}"), Family::GostYescrypt),
        (format!("$7$CU..../....s${h43}"), Family::Scrypt),
        (format!("$7$EU..../....s${h43}"), Family::Scrypt),
        (argon2("m=4096,t=3,p=1"), Family::Argon2),
        (argon2("m=65536,t=4,p=8"), Family::Argon2),
        (argon2("m=262144,t=4,p=1"), Family::Argon2),
    ];
    for (stored, family) in below {
        assert_eq!(classify(&stored, CRYPT), Ok(family), "{stored}");
    }
    let above = [
        format!("$5$rounds=1000001$s${h43}"),
        format!("$6$rounds=999999999$s${h86}"),
        format!("$6$rounds=99999999999999999999$s${h86}"),
        format!("$md5,rounds=1000001$s$${h22}"),
        format!("$md5,rounds=4294967295$s$${h22}"),
        format!("$sha1$1000001$s${}", "a".repeat(28)),
        format!("$2b$16${h53}"),
        format!("$2y$31${h53}"),
        format!("_/..U{}", "a".repeat(15)),
        format!("_zzzz{}", "a".repeat(15)),
        format!("$y$jET$s${h43}"),
        format!("$y$jjT$s${h43}"),
        format!("$y$j9zzzzzz$s${h43}"),
        format!("$gy$jET$s${h43}"),
        format!("$7$FU..../....s${h43}"),
        format!("$7$zzzzzzzzzzzs${h43}"),
        argon2("m=262145,t=1,p=1"),
        argon2("m=262144,t=5,p=1"),
        argon2("m=64,t=17,p=1"),
        argon2("m=128,t=1,p=9"),
        argon2("m=4294967295,t=4294967295,p=16777215"),
    ];
    for stored in above {
        for of in [CRYPT, None].into_iter().filter(|of| of.is_some() || stored.starts_with('$')) {
            let why = classify(&stored, of).expect_err(&stored);
            assert!(why.contains("than allowed"), "{stored}: {why}");
            assert!(unverifiable(verify(&stored, of, "secret")), "{stored}");
        }
        assert!(unverifiable(verify(format!("{{CRYPT}}{stored}"), PLAIN, "secret")), "{stored}");
    }
    let dear_with_a_long_offer = verify(format!("$5$rounds=1000000$s${h43}"), CRYPT, [b'x'; 400]);
    assert!(unverifiable(dear_with_a_long_offer));
}

#[test]
fn malformed_settings_are_unverifiable() {
    let (h43, h53) = ("a".repeat(43), "a".repeat(53));
    let argon2 =
        |version: &str, costs: &str, salt: &str| format!("$argon2id${version}{costs}${salt}$a+14sZrM3WlHRqt5/WdCUV");
    let malformed = [
        "secret".to_owned(),
        "x".to_owned(),
        "*0".to_owned(),
        "*1".to_owned(),
        "!".to_owned(),
        "abgOeLfPim:Qo".to_owned(),
        "$".to_owned(),
        "$1".to_owned(),
        "$1$".to_owned(),
        "$1$abc".to_owned(),
        "$5$rounds=$".to_owned(),
        format!("$5$rounds=5000{h43}"),
        format!("$5$rounds=+5000$s${h43}"),
        format!("$5$rounds=5 00$s${h43}"),
        format!("$5$rounds=-1$s${h43}"),
        format!("$5$rounds=0x10$s${h43}"),
        format!("$5$rounds=05000$s${h43}"),
        format!("$5$s\u{e4}${h43}"),
        format!("$5$s${h43}\n"),
        format!("$5$s$a{h43}"),
        format!("$2b$5${h53}"),
        format!("$2b$aa${h53}"),
        format!("$2b$05{h53}"),
        format!("$2c$05${h53}"),
        format!("$2$05${h53}"),
        format!("$2b$03${h53}"),
        format!("$y$${h43}"),
        format!("$y$j$s${h43}"),
        format!("$y$j9T.$s${h43}"),
        format!("$y$j9T/.$s${h43}"),
        format!("$y$zzz$s${h43}"),
        format!("$7$s${h43}"),
        format!("$7$.U..../....s${h43}"),
        format!("$7$C........../....s${h43}"),
        format!("$7$CU.........s${h43}"),
        "$sha1$x$s$aaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "$md5,rounds=x$s$$aaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "$md5,salt$s$$aaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "$3$$878D8014606CDA29677A44EFA1353FC7".to_owned(),
        "_J9..rasmz0.F/jqjWc".to_owned(),
        "_J9..rasmz0.F/jqjWc:".to_owned(),
        argon2("v=18$", "m=64,t=2,p=1", "c2FsdHNhbHQ"),
        argon2("v=$", "m=64,t=2,p=1", "c2FsdHNhbHQ"),
        argon2("v=19$", "t=2,m=64,p=1", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=64,t=2", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=64,t=2,p=1,data=x", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=0,t=0,p=0", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=7,t=1,p=1", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=8,t=1,p=2", "c2FsdHNhbHQ"),
        argon2("v=19$", "m=64,t=2,p=1", "c2Fs"),
        argon2("v=19$", "m=64,t=2,p=1", "!"),
        argon2("", "", ""),
        "$argon2x$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$a+14sZrM3WlHRqt5/WdCUV".to_owned(),
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$YWFhYQ".to_owned(),
    ];
    for stored in malformed {
        for offered in ["secret", "s", stored.as_str()] {
            assert!(unverifiable(verify(&stored, CRYPT, offered)), "{stored} {:?}", verify(&stored, CRYPT, offered));
        }
    }
}

#[test]
fn secrets_and_verdicts_print_nothing() {
    let stored = secret("hunter2");
    assert_eq!(format!("{stored:?} {:?}", Some(&stored)), "[secret] Some([secret])");
    assert_eq!(secret("a"), secret("a"));
    assert_ne!(secret("a"), secret("b"));
    assert_ne!(secret("a"), secret("aa"));
    let mut order = [secret("b"), secret(""), secret("ab")];
    order.sort();
    assert_eq!(order.iter().map(Secret::expose).collect::<Vec<_>>(), [&b""[..], b"ab", b"b"]);
    for of in TYPES {
        for stored in ["hunter2", "$x$hunter2", "{x}hunter2", "$6$hunter2$hunter2"] {
            assert!(!format!("{:?}", verify(stored, of, "hunter3")).contains("hunter"));
        }
    }
}

#[test]
fn every_family_has_a_word_of_its_own() {
    let words = [
        (Family::Plain, "plain"),
        (Family::Des, "des"),
        (Family::Yescrypt, "yescrypt"),
        (Family::Mysql41, "mysql-41"),
        (Family::MysqlOld, "mysql-old"),
        (Family::Digest, "digest"),
    ];
    for (family, word) in words {
        assert_eq!(family.as_str(), word);
    }
}
