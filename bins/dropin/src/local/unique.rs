//! Names of maildir files: `SECONDS.MmicrosecondsPpidRrandom[_n].HOST`. Three fields with a dot behind the first and the
//! second, as programs that clean maildirs expect.

use crate::sys::names;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// Longest host in a name. Unit: bytes. Source: the stock program's.
const HOST_MAX: usize = 63;

/// Names given so far.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A name that no other delivery has had or will have, on this machine or another.
#[must_use]
pub fn name() -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let pid = std::process::id();
    let random = names::random().unwrap_or_else(|| u64::from(now.subsec_nanos()) << 32 | u64::from(pid));
    assemble(now, pid, random, GIVEN.fetch_add(1, Ordering::Relaxed), &names::host())
}

fn assemble(now: Duration, pid: u32, random: u64, given: u32, host: &[u8]) -> Vec<u8> {
    let mut name = format!("{}.M{}P{pid}R{random:016x}", now.as_secs(), now.subsec_micros()).into_bytes();
    if given > 0 {
        name.extend_from_slice(format!("_{given}").as_bytes());
    }
    name.push(b'.');
    name.extend_from_slice(&in_name(host));
    name
}

/// `host` without what cannot stand in a name: a slash, and the colon that flags begin with.
fn in_name(host: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for byte in host {
        let piece: &[u8] = match byte {
            b'/' => b"\\057",
            b':' => b"\\072",
            _ => std::slice::from_ref(byte),
        };
        if written.len() + piece.len() > HOST_MAX {
            break;
        }
        written.extend_from_slice(piece);
    }
    if written.is_empty() { b"unknown".to_vec() } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_name_has_three_fields() {
        let now = Duration::new(1_700_000_000, 42_000);
        let name = |given, host: &[u8]| String::from_utf8(assemble(now, 7, 0xab, given, host)).unwrap();
        assert_eq!(name(0, b"mx.example.test"), "1700000000.M42P7R00000000000000ab.mx.example.test");
        assert_eq!(name(3, b"a/b:c"), "1700000000.M42P7R00000000000000ab_3.a\\057b\\072c");
        assert_eq!(name(0, b""), "1700000000.M42P7R00000000000000ab.unknown");
    }

    #[test]
    fn a_long_host_leaves_room_for_flags() {
        assert_eq!(in_name(&[b'h'; 64]), [b'h'; 63]);
        assert_eq!(in_name(&[b'/'; 64]), b"\\057".repeat(15));
    }

    #[test]
    fn names_differ() {
        let names: HashSet<Vec<u8>> = (0..1000).map(|_| name()).collect();
        assert_eq!(names.len(), 1000);
        let bits: HashSet<Option<u64>> = (0..100).map(|_| names::random()).collect();
        assert!(bits.len() > 90 && !bits.contains(&None));
        for name in names {
            assert!(!name.contains(&b'/') && !name.contains(&b':') && name.len() < 200);
            assert!(name.split(|&b| b == b'.').nth(1).unwrap().starts_with(b"M"));
        }
    }
}
