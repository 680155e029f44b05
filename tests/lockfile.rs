//! What must not come into Cargo.lock.

use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("lockfile::sqlx_brings_no_sqlite_of_its_own", || absent("sqlx-sqlite")),
        Trial::test("lockfile::there_is_one_tls_stack", || {
            ["openssl", "native-tls", "aws-lc-sys"].iter().try_for_each(|name| absent(name))
        }),
    ]
}

fn absent(name: &str) -> Outcome {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    ensure(lock.contains("name = \"sqlx-mysql\""), "this is not our Cargo.lock")?;
    ensure(!lock.contains(&format!("name = \"{name}\"\n")), format!("Cargo.lock holds {name}"))
}
