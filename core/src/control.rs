//! qmail's control files, as far as our programs read any.

/// The first line of a control file without its trailing blanks, as qmail reads one; `None` if it is empty.
#[must_use]
pub fn first_line(content: &[u8]) -> Option<&[u8]> {
    let line = content.split(|&b| b == b'\n').next().unwrap_or_default();
    let kept = line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    line.get(..kept).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_counts_and_trailing_blanks_do_not() {
        assert_eq!(first_line(b"/run/x.sock \t\nmore"), Some(&b"/run/x.sock"[..]));
        assert_eq!(first_line(b" /run/x"), Some(&b" /run/x"[..]));
        for empty in [&b""[..], b"\n/run/x", b" \t\n"] {
            assert_eq!(first_line(empty), None);
        }
    }
}
