//! Names of dot-qmail files, in the order in which they are looked for; and their lines as cells of table alias.

/// What stands for every extension, also as the end of one.
pub const DEFAULT: &[u8] = b"default";

/// The name of the file for `ext`, with `suffix` behind it.
#[must_use]
pub fn file_name(dash: &[u8], ext: &[u8], suffix: &[u8]) -> Vec<u8> {
    let ext: Vec<u8> = ext.iter().map(|&byte| if byte == b'.' { b':' } else { byte.to_ascii_lowercase() }).collect();
    [b".qmail", dash, &ext, suffix].concat()
}

/// `ext` cut behind its end and each of its dashes, longest part first, and before its beginning.
pub fn prefixes(ext: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let is_cut = |end: &usize| match end.checked_sub(1) {
        Some(last) => ext.get(last) == Some(&b'-'),
        None => true,
    };
    (0..=ext.len()).rev().filter(is_cut).filter_map(|end| ext.split_at_checked(end))
}

/// The names of all files that could be about `ext`: its own, then those that end in `default`.
pub fn names(dash: &[u8], ext: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let defaults = prefixes(ext).map(|(prefix, _)| file_name(dash, prefix, DEFAULT));
    std::iter::once(file_name(dash, ext, b"")).chain(defaults)
}

/// (alias_username, alias_host) of a line that delivers: the inverse of rule A2.
///
/// # Errors
/// Why no row can hold it: a blank line, a comment, a program's or path's mark alone, a forward that A2 refuses, or
/// one to an empty host.
pub fn cells(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    let line = line.get(..end).unwrap_or_default();
    let address = match line {
        [] => return Err("a blank line delivers nothing"),
        [b'#', ..] => return Err("a comment delivers nothing"),
        [b'.' | b'/' | b'|'] => return Err("nothing stands behind its first character"),
        [first @ (b'.' | b'/' | b'|'), rest @ ..] => return Ok((vec![*first], rest.to_vec())),
        [b'&', rest @ ..] => rest,
        line => line,
    };
    if address.first().is_none_or(|b| b"./|&+#@".contains(b)) {
        return Err("a forward may not begin with . / | & + # or @");
    }
    if !address.iter().all(|b| (0x21..=0x7E).contains(b)) {
        return Err("a forward may not hold a blank, a control character or a byte above 0x7E");
    }
    if address.ends_with(b"@") {
        return Err("a forward may not end in @: a row without a host means the host that qmail adds");
    }
    Ok(match address.iter().rposition(|&b| b == b'@') {
        Some(at) => {
            (address.get(..at).unwrap_or_default().to_vec(), address.get(at + 1..).unwrap_or_default().to_vec())
        }
        None => (address.to_vec(), Vec::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_the_cells_that_mean_it() {
        let of = |line: &str| {
            cells(line.as_bytes())
                .map(|(user, host)| (String::from_utf8(user).unwrap(), String::from_utf8(host).unwrap()))
        };
        let is = |user: &str, host: &str| Ok((user.to_owned(), host.to_owned()));
        assert_eq!(of("./Maildir/"), is(".", "/Maildir/"));
        assert_eq!(of("|prog a \t"), is("|", "prog a"));
        assert_eq!(of("/home/x/Mailbox"), is("/", "home/x/Mailbox"));
        assert_eq!(of("&me@example.org"), is("me", "example.org"));
        assert_eq!(of("a@b@c"), is("a@b", "c"));
        assert_eq!(of("me"), is("me", ""));
        for refused in ["", " ", "# x", "|", ".", "&", "&@x", "+list", "&|x@y", "a b@c", "\u{e4}@b", "foo@", "&a@b@"] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_files_own_name_comes_first_and_the_shortest_default_last() {
        let of = |dash: &str, ext: &str| -> Vec<String> {
            names(dash.as_bytes(), ext.as_bytes()).map(|name| String::from_utf8(name).unwrap()).collect()
        };
        assert_eq!(of("-", "A.b-C"), [".qmail-a:b-c", ".qmail-a:b-default", ".qmail-default"]);
        assert_eq!(of("", ""), [".qmail", ".qmaildefault"]);
        assert_eq!(of("-", "foo-"), [".qmail-foo-", ".qmail-foo-default", ".qmail-default"]);
    }
}
