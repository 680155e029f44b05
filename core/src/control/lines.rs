//! How qmail reads a control file that has a line for each host.

use crate::key::fold;

/// The lines that count: without the blanks at their ends, and without empty ones and those that begin with `#`. Blanks at
/// their beginning belong to them. Source: `control_readfile` of qmail; qmail-newmrh does the same.
pub fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = |line: &'_ [u8]| line.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map(|last| last + 1);
    let cut = move |whole| line(whole).and_then(|end| whole.get(..end));
    content.split(|&b| b == b'\n').filter_map(cut).filter(|line| !line.starts_with(b"#"))
}

/// The lines as keys, folded.
pub fn keys(content: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    lines(content).map(fold)
}

/// The lines `KEY:VALUE`, keys folded. Lines without a colon are none.
pub fn pairs(content: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    lines(content).filter_map(|line| {
        let colon = line.iter().position(|&b| b == b':')?;
        Some((fold(line.get(..colon)?), line.get(colon + 1..)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_qmails() {
        let read: Vec<_> = lines(b"a.test \t\n\n# no\n  \n lead\n#x\nb\r\nlast").collect();
        assert_eq!(read, [&b"a.test"[..], b" lead", b"b\r", b"last"]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(keys(b"A.Test\n").collect::<Vec<_>>(), [b"a.test"]);
    }

    #[test]
    fn a_key_ends_at_the_first_colon() {
        let read: Vec<_> = pairs(b"Bar.com:Bob\nweird:a:b\nnone\n:all\naway.test: \n").collect();
        let want: [(&[u8], &[u8]); 4] = [(b"bar.com", b"Bob"), (b"weird", b"a:b"), (b"", b"all"), (b"away.test", b"")];
        assert_eq!(read, want.map(|(key, value)| (key.to_vec(), value)));
    }
}
