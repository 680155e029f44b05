//! Whatever is stored, nothing panics and nothing matches by chance.

use super::{Secret, Verdict};
use crate::password::{classify, looks_like_hash, verify};
use proptest::prelude::*;

/// Anything, and things that nearly are hashes, at costs that a test can bear.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let near = prop_oneof![
        "[$]([156y7]|2[abxy]|gy|sha1|md5|3)[$][./0-9a-zA-Z=$]{0,60}",
        "[$][56][$]rounds=[0-9]{0,5}[$][a-z$]{0,50}",
        "[$][56][$][a-z]{0,9}[$]([a-z]{43}|[a-z]{86})",
        "[$]2[abxy][$]0[0-6][$][./0-9a-zA-Z]{50,54}",
        "[$]g?y[$]j[./0-5]T[$][./0-9a-zA-Z]{0,9}[$][./0-9a-zA-Z]{42,44}",
        "[$]7[$][./0-5][./0-9][.]{4}/[.]{4}[a-z]{0,9}[$][./0-9a-zA-Z]{42,44}",
        "[$]argon2(id|i|d)[$](v=1[69][$])?m=[0-9]{1,3},t=[0-3],p=[0-3][$][a-zA-Z]{0,20}[$][a-zA-Z]{0,60}",
        "[$][a-z0-9,=]{0,8}[$]?.{0,40}",
        "[*][0-9a-fA-F]{38,42}",
        "[0-9a-f]{15,17}",
        "[./0-9A-Za-z]{13}",
        "_[./0-9]..[./][./0-9A-Za-z]{15}",
        "[{](CRYPT|S?SHA(256|384|512)?|S?MD5|ARGON2|MYSQL|x)?[}]?[A-Za-z0-9+/$*=]{0,90}",
    ];
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..80), near.prop_map(String::into_bytes)]
}

fn password_type() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        "(Password|Crypt-Password|MySQL-Password|crypt-password|PASSWORD|)".prop_map(|name| Some(name.into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..16).prop_map(Some),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn only_equal_plain_text_matches(
        stored in stored(), of in password_type(), other in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        for offered in [&other, &stored] {
            let verdict = verify(Some(&Secret::new(stored.clone())), of.as_deref(), &Secret::new(offered.clone()));
            let typed_plain = of.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(b"Password"));
            let plain = typed_plain && !looks_like_hash(&stored) && !offered.is_empty() && !offered.contains(&0);
            prop_assert_eq!(verdict == Verdict::Match, plain && &stored == offered);
        }
    }

    #[test]
    fn classifying_and_verifying_agree(stored in stored(), of in password_type()) {
        let stored = Secret::new(stored);
        let verdict = verify(Some(&stored), of.as_deref(), &Secret::new(b"x".to_vec()));
        match classify(Some(&stored), of.as_deref()) {
            Err(why) => prop_assert_eq!(verdict, Verdict::Unverifiable(why)),
            // libcrypt may still find fault with a salt.
            Ok(family) => prop_assert!(verdict == Verdict::Mismatch || family.as_str() != "plain"),
        }
    }
}
