//! A control file: the administrator's own bytes, and one marked block of lines that stands last. What is not in the block
//! is never changed, and comes back byte for byte when the block becomes empty.

use std::fmt;
use std::ops::Range;

/// What every line that marks something begins with. Lines that begin with `#` are comments to qmail.
const MARK: &[u8] = b"# qmail-lookup sync:";
/// Begins the block.
const BEGIN: &[u8] = b"# qmail-lookup sync: begin, do not edit";
/// Begins it where the own bytes have no end of line, which they get back.
const BEGIN_UNENDED: &[u8] = b"# qmail-lookup sync: begin, do not edit, the line above had no end";
/// Begins it where there was no file, which is removed again.
const BEGIN_CREATED: &[u8] = b"# qmail-lookup sync: begin, do not edit, there was no such file";
/// Ends it.
const END: &[u8] = b"# qmail-lookup sync: end";

/// A control file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    own: Vec<u8>,
    lines: Vec<Vec<u8>>,
    created: bool,
}

/// Why a file cannot be understood; it must not be written then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, what } = self;
        let (begin, end) = (String::from_utf8_lossy(BEGIN), String::from_utf8_lossy(END));
        write!(f, "line {line}: {what}; there must be one line `{begin}` and one `{end}` behind it, or neither")
    }
}

impl Marked {
    /// Reads a file; `None` is one that is not there. Lines behind the block count as own ones.
    ///
    /// # Errors
    /// If the marks are not one begin and one end behind it.
    pub fn read(content: Option<&[u8]>) -> Result<Self, Damage> {
        let Some(content) = content else { return Ok(Self { created: true, ..Self::default() }) };
        let Some([begin, inside, end]) = find(content)? else { return Ok(Self::own_only(content.to_vec())) };
        let part = |range: Range<usize>| content.get(range).unwrap_or_default();
        let (mark, before) = (trim_end_of_line(part(begin.clone())), part(0..begin.start));
        let after = part(end.end..content.len());
        let mut own = if mark == BEGIN_UNENDED { trim_end_of_line(before) } else { before }.to_vec();
        if mark == BEGIN_UNENDED && !after.is_empty() {
            own.push(b'\n');
        }
        own.extend_from_slice(after);
        let lines = part(inside).split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        Ok(Self { own, lines, created: mark == BEGIN_CREATED })
    }

    /// A file without a block.
    #[must_use]
    pub fn own_only(own: Vec<u8>) -> Self {
        Self { own, lines: Vec::new(), created: false }
    }

    /// The administrator's bytes.
    #[must_use]
    pub fn own(&self) -> &[u8] {
        &self.own
    }

    /// The lines of the block.
    #[must_use]
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// The file with `lines` as its block; without any, as it was before there was a block: `None` if there was none, and
    /// nobody has put anything in it since.
    #[must_use]
    pub fn write(&self, lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Option<Vec<u8>> {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return (!self.created || !self.own.is_empty()).then(|| self.own.clone());
        }
        let mut content = self.own.clone();
        let begin = match self.own.last() {
            Some(b'\n') => BEGIN,
            Some(_) => {
                content.push(b'\n');
                BEGIN_UNENDED
            }
            None if self.created => BEGIN_CREATED,
            None => BEGIN,
        };
        let mut add = |line: &[u8]| {
            content.extend_from_slice(line);
            content.push(b'\n');
        };
        add(begin);
        lines.for_each(|line| add(line.as_ref()));
        add(END);
        Some(content)
    }
}

fn trim_end_of_line(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Where the first mark, the lines between, and the second mark are; `None` if nothing is marked.
fn find(content: &[u8]) -> Result<Option<[Range<usize>; 3]>, Damage> {
    let (mut begin, mut end) = (None, None);
    let mut at = 0;
    for (number, line) in content.split_inclusive(|&b| b == b'\n').enumerate() {
        let range = at..at + line.len();
        at = range.end;
        if !line.starts_with(MARK) {
            continue;
        }
        let damage = |what| Err(Damage { line: number + 1, what });
        match trim_end_of_line(line) {
            BEGIN | BEGIN_UNENDED | BEGIN_CREATED => match &begin {
                None => begin = Some((number + 1, range)),
                Some(_) => return damage("the block begins a second time"),
            },
            END => match (&begin, &end) {
                (Some(_), None) => end = Some(range),
                (None, _) => return damage("the block ends before it begins"),
                (Some(_), Some(_)) => return damage("the block ends a second time"),
            },
            _ => return damage("the mark is not whole"),
        }
    }
    match (begin, end) {
        (None, _) => Ok(None),
        (Some((_, begin)), Some(end)) => Ok(Some([begin.clone(), begin.end..end.start, end])),
        (Some((line, _)), None) => Err(Damage { line, what: "the block has no end" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: [&str; 0] = [];

    fn read(content: &[u8]) -> Marked {
        Marked::read(Some(content)).unwrap()
    }

    #[test]
    fn own_bytes_come_back_as_they_were() {
        for own in [&b""[..], b"a.test:a\n", b"a.test:a", b"\n", b" # x\n\n\n", b"\r\n\0\xff"] {
            let written = read(own).write(["h.test:=h.test="]).unwrap();
            assert!(written.starts_with(own), "{own:?}");
            let again = read(&written);
            assert_eq!(again.own(), own);
            assert_eq!(again.lines(), [b"h.test:=h.test="]);
            assert_eq!(again.write(["h.test:=h.test="]), Some(written), "{own:?}");
            assert_eq!(again.write(NONE), Some(own.to_vec()));
        }
        let written = Marked::read(None).unwrap().write(["x"]).unwrap();
        assert_eq!(read(&written).write(NONE), None, "there was no such file");
        assert_eq!(Marked::read(None).unwrap().write(NONE), None);
    }

    #[test]
    fn the_block_stands_last() {
        let mut written = read(b"a").write(["x"]).unwrap();
        written.extend_from_slice(b"b\nc");
        let moved = read(&written);
        assert_eq!(moved.own(), b"a\nb\nc");
        let text = String::from_utf8(moved.write(["y", "z"]).unwrap()).unwrap();
        assert_eq!(text.lines().rev().take(3).collect::<Vec<_>>(), [std::str::from_utf8(END).unwrap(), "z", "y"]);
        assert_eq!(read(text.as_bytes()).write(NONE).unwrap(), b"a\nb\nc");
        let mut created = Marked::read(None).unwrap().write(["x"]).unwrap();
        created.extend_from_slice(b"mine\n");
        assert_eq!(read(&created).write(NONE).unwrap(), b"mine\n", "somebody needs the file");
    }

    #[test]
    fn damaged_marks_are_an_error() {
        let good = read(b"a\n").write(["x"]).unwrap();
        let text = String::from_utf8(good).unwrap();
        let (begin, end) = (std::str::from_utf8(BEGIN).unwrap(), std::str::from_utf8(END).unwrap());
        for (bad, line, what) in [
            (text.replace(end, ""), 2, "the block has no end"),
            (text.replace(begin, ""), 4, "the block ends before it begins"),
            (format!("{text}{text}"), 6, "the block begins a second time"),
            (format!("{text}{end}\n"), 5, "the block ends a second time"),
            (text.replace(end, "# qmail-lookup sync: en"), 4, "the mark is not whole"),
            (text.replace(begin, &format!("{begin} ")), 2, "the mark is not whole"),
        ] {
            assert_eq!(Marked::read(Some(bad.as_bytes())), Err(Damage { line, what }), "{bad}");
        }
        let said = Damage { line: 2, what: "the block has no end" }.to_string();
        assert!(said.starts_with("line 2: the block has no end; there must be one line `# qmail"), "{said}");
        assert!(Marked::read(Some(text.trim_end().as_bytes())).is_ok(), "an editor took the last end of line");
    }

    proptest! {
        #[test]
        fn whatever_is_own_is_kept(
            own in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'#'), Just(b' '), any::<u8>()], 0..40),
            after in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..20),
            lines in proptest::collection::vec("[a-z.]{1,9}", 1..5),
        ) {
            let mut written = read(&own).write(&lines).unwrap();
            let again = read(&written);
            prop_assert_eq!(again.own(), &own[..]);
            written.extend_from_slice(&after);
            let kept = read(&written).write(NONE).unwrap();
            let mut want = own.clone();
            if !after.is_empty() && own.last().is_some_and(|&b| b != b'\n') {
                want.push(b'\n');
            }
            want.extend_from_slice(&after);
            prop_assert_eq!(kept, want);
        }
    }
}
