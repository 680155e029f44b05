//! Addresses as header lines show them.

/// `address` with its local part quoted if it has to be; the empty address stays empty. What stands before the last `@`
/// is the local part, all of it if there is none.
#[must_use]
pub fn address(address: &[u8]) -> Vec<u8> {
    let end = address.iter().rposition(|&byte| byte == b'@').unwrap_or(address.len());
    let (local, host) = address.split_at_checked(end).unwrap_or((address, &[]));
    if address.is_empty() || is_plain(local) {
        return address.to_vec();
    }
    let mut quoted = vec![b'"'];
    for &byte in local {
        if matches!(byte, b'"' | b'\\' | b'\r' | b'\n') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted.extend_from_slice(host);
    quoted
}

/// Whether `local` is one or more words with single dots between them.
fn is_plain(local: &[u8]) -> bool {
    local.split(|&byte| byte == b'.').all(|word| {
        !word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::address;

    fn text(bytes: &str) -> String {
        String::from_utf8(address(bytes.as_bytes())).unwrap()
    }

    #[test]
    fn what_needs_no_quotes_gets_none() {
        for plain in ["", "send@er.test", "justlocal", "#@[]", "a.b-c@x.test", "u@h\u{f6} st\"\\..", "u@", "a@.x."] {
            assert_eq!(text(plain), plain);
        }
        let every = "!#$%&'*+-./0123456789=?ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~";
        assert_eq!(text(every), every);
        for byte in (0..=u8::MAX).filter(|byte| !every.as_bytes().contains(byte) && *byte != b'@') {
            assert_eq!(address(&[b'a', byte, b'b', b'@', b'x']).first(), Some(&b'"'), "{byte}");
        }
    }

    #[test]
    fn the_local_part_is_quoted_and_the_host_never() {
        for (bare, quoted) in [
            ("a b\tc@x.test", "\"a b\tc\"@x.test"),
            ("a b", "\"a b\""),
            ("a@b@x.test", "\"a@b\"@x.test"),
            ("list-owner-@host.test-@[]", "\"list-owner-@host.test-\"@[]"),
            ("@x.test", "\"\"@x.test"),
            ("@", "\"\"@"),
            (".a@x", "\".a\"@x"),
            ("a.@x", "\"a.\"@x"),
            ("a..b@x", "\"a..b\"@x"),
            (".", "\".\""),
            ("a\"b\\c\rd\ne@x y", "\"a\\\"b\\\\c\\\rd\\\ne\"@x y"),
            ("\u{e9}@\u{e9}", "\"\u{e9}\"@\u{e9}"),
            ("a,b@x", "\"a,b\"@x"),
        ] {
            assert_eq!(text(bare), quoted);
        }
    }
}
