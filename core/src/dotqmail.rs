//! Names of dot-qmail files, in the order in which they are looked for.

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

#[cfg(test)]
mod tests {
    use super::*;

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
