//! Addresses and patterns as people write them on a command line.

use crate::key::fold;
use crate::settings::VirtualPatterns;

/// (virtual_username, virtual_host) of `USER@HOST`; of `@HOST`, the catch-all as `patterns` has it. `None` if it is no
/// address. Both come in lower case, as lookups ask for them.
#[must_use]
pub fn virtual_cells(address: &[u8], patterns: VirtualPatterns) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = address.iter().rposition(|&byte| byte == b'@')?;
    let (user, host) = (fold(address.get(..at)?), fold(address.get(at + 1..)?));
    let user = match (user.is_empty(), patterns) {
        (true, VirtualPatterns::Like) => b"%".to_vec(),
        _ => user,
    };
    (!host.is_empty()).then_some((user, host))
}

/// True if the whole of `name` fits `pattern`: `*` any bytes, `?` one byte, ASCII case folded, all else itself.
#[must_use]
pub fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // One way back, to the latest *.
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                back = Some((p, n));
                p += 1;
            }
            (Some(one), Some(byte)) if *one == b'?' || one.eq_ignore_ascii_case(byte) => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((star, from)) if from < name.len() => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("iain", "Iain", true),
            ("ia*", "iain", true),
            ("*", "", true),
            ("*a?n", "iaiain", true),
            ("*a?n", "iai", false),
            ("ia", "iain", false),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn an_address_becomes_the_cells_of_its_row() {
        let of = |address: &str, patterns| {
            virtual_cells(address.as_bytes(), patterns)
                .map(|(user, host)| (String::from_utf8(user).unwrap(), String::from_utf8(host).unwrap()))
        };
        let is = |user: &str, host: &str| Some((user.to_owned(), host.to_owned()));
        assert_eq!(of("Sales@Bar.com", VirtualPatterns::Plain), is("sales", "bar.com"));
        assert_eq!(of("@bar.com", VirtualPatterns::Plain), is("", "bar.com"));
        assert_eq!(of("@bar.com", VirtualPatterns::Like), is("%", "bar.com"));
        assert_eq!(of("a@b@c", VirtualPatterns::Plain), is("a@b", "c"));
        assert_eq!(of("bar.com", VirtualPatterns::Plain), None);
        assert_eq!(of("sales@", VirtualPatterns::Plain), None);
    }
}
