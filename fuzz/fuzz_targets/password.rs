//! Any stored value and type: no panic, and a match only for what is plainly equal or really hashed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_lookup_core::Secret;
use qmail_lookup_core::password::{Verdict, looks_like_hash, verify};

fuzz_target!(|input: (Vec<u8>, Option<Vec<u8>>, Vec<u8>)| {
    let (stored, kind, offered) = input;
    let (stored, offered) = (Secret::new(stored), Secret::new(offered));
    let verdict = verify(Some(&stored), kind.as_deref(), &offered);
    if verdict == Verdict::Match && stored == offered {
        assert!(!looks_like_hash(stored.expose()), "a stored hash was taken as its own password");
    }
});
