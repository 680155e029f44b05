//! Which cases can be told by alias rows: those whose instructions stand in one dot-qmail file, if rows can hold every
//! line of it. This reads the file by itself and not with the code under test.

use super::case::{Case, Kind};
use super::normal::replace;

/// The rows that stand for a dot-qmail file.
pub(super) struct Rows {
    /// The file.
    pub(super) file: Vec<u8>,
    /// Their alias.
    pub(super) alias: Vec<u8>,
    /// alias_username and alias_host of each.
    pub(super) lines: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The rows of a case in this home; `None` if there is no dot-qmail file for its extension, or none that rows can
/// express.
pub(super) fn of(case: &Case, home: &[u8]) -> Option<Rows> {
    let words = case.words()?;
    let ext = words.ext.to_ascii_lowercase();
    let safe: Vec<u8> = ext.iter().map(|&b| if b == b'.' { b':' } else { b }).collect();
    let name = |ext: &[u8], suffix: &[u8]| [b".qmail", words.dash, ext, suffix].concat();
    // Alias @ stands for the last of the default files only, and never for the user's own address.
    let is_end = |end: &usize| *end == 0 || safe.get(end - 1) == Some(&b'-');
    let defaults = (0..=safe.len()).rev().filter(is_end).map(|end| {
        let alias = (end == 0 && !ext.is_empty()).then(|| b"@".to_vec());
        (name(safe.get(..end).unwrap_or_default(), b"default"), alias)
    });
    let is_key = ext.len() <= 128 && ext.iter().all(|b| (0x21..=0x7E).contains(b)) && ext != b"@";
    let exact = (name(&safe, b""), is_key.then(|| ext.clone()));
    for (file, alias) in std::iter::once(exact).chain(defaults) {
        match case.made.iter().find(|made| made.path == file).map(|made| &made.kind) {
            // What is no file counts as absent.
            None | Some(Kind::Dir(_)) => {}
            Some(Kind::Symlink(_)) => return None,
            Some(Kind::File(mode, text)) => {
                // Rows have no mode: neither the x bit, nor one that anybody may write or nobody read.
                let plain = mode & 0o502 == 0o400;
                return Some(Rows {
                    lines: lines(&replace(text, b"@HOME@", home)).filter(|_| plain)?,
                    alias: alias?,
                    file,
                });
            }
        }
    }
    None
}

fn lines(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if text.is_empty() {
        return None;
    }
    text.strip_suffix(b"\n").unwrap_or(text).split(|&b| b == b'\n').map(row).collect()
}

/// One line as alias_username and alias_host.
fn row(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if line.contains(&0) {
        return None;
    }
    let kept = line.iter().rposition(|b| !b" \t".contains(b))?;
    let line = line.get(..=kept)?;
    match line.split_first()? {
        (b'.' | b'/' | b'|', []) | (b'#' | b'+', _) => None,
        (kind @ (b'.' | b'/' | b'|'), rest) => Some((vec![*kind], rest.to_vec())),
        (b'&', address) => forward(address),
        _ => forward(line),
    }
}

fn forward(address: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let good = address.iter().all(|b| (0x21..=0x7E).contains(b));
    if !good || address.first().is_none_or(|first| b"./|&+#@".contains(first)) {
        return None;
    }
    match address.iter().rposition(|&b| b == b'@').map(|at| address.split_at(at)) {
        Some((user, host)) if host.len() > 1 => Some((user.to_vec(), host.get(1..)?.to_vec())),
        _ => Some((address.to_vec(), Vec::new())),
    }
}
