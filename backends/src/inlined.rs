//! Statements with their keys written in, for people to read and to try in a shell. Never sent to a server.

/// `text` with each `?` replaced by the next of `keys` as a literal. Keys are ASCII; quotes are doubled, and
/// backslashes too where the dialect escapes with them.
pub(crate) fn inlined<'a>(text: &str, keys: impl IntoIterator<Item = &'a str>, backslash_escapes: bool) -> String {
    let mut keys = keys.into_iter();
    text.split_inclusive('?').fold(String::with_capacity(text.len() * 2), |mut out, part| {
        match part.strip_suffix('?').and_then(|before| Some((before, keys.next()?))) {
            Some((before, key)) => {
                let quoted = key.replace('\'', "''");
                let quoted = if backslash_escapes { quoted.replace('\\', "\\\\") } else { quoted };
                out.push_str(before);
                out.push('\'');
                out.push_str(&quoted);
                out.push('\'');
            }
            None => out.push_str(part),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::inlined;

    #[test]
    fn keys_become_literals() {
        let text = "a IN (?,?) AND b = ?";
        assert_eq!(inlined(text, ["x", "o'b\\c", "?"], false), "a IN ('x','o''b\\c') AND b = '?'");
        assert_eq!(inlined("a = ?", ["\\"], true), "a = '\\\\'");
        assert_eq!(inlined("a = ?", [], true), "a = ?");
    }
}
