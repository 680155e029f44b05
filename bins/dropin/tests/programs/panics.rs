//! A bug in a program gives its temporary code, and prints nothing.

use super::site::{code, example};
use std::process::Command;

#[test]
fn a_panic_is_temporary() {
    for (program, temporary) in [
        ("qmail-getpw", 118),
        ("qmail-local", 111),
        ("checkpassword", 111),
        ("dovecot-checkpassword", 111),
        ("qmail-rcptcheck", 111),
    ] {
        let output = Command::new(example("panics")).arg(program).output().unwrap();
        assert_eq!(code(&output), temporary, "{program}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{program}: {output:?}");
    }
    let neither = Command::new(example("panics")).output().unwrap();
    assert_ne!(neither.status.code(), Some(118), "without begin a panic is what Rust makes of it");
}
