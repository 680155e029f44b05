//! Any bytes as control/sqlserver: a report, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (_, findings) = qmail_lookup_config::sqlserver::parse(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(findings.iter().all(|finding| finding.line <= lines));
});
