//! Control files.

use std::io::{ErrorKind, Result};
use std::path::Path;

/// The lines of `control/NAME` without blanks at their ends, without empty ones and comments; `None` if there is no file.
pub(crate) fn lines(home: &Path, name: &str) -> Result<Option<Vec<Vec<u8>>>> {
    let bytes = match std::fs::read(home.join("control").join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let end = |line: &[u8]| line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |at| at + 1);
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.get(..end(line)).unwrap_or_default());
    Ok(Some(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(<[u8]>::to_vec).collect()))
}

/// The first line of `control/NAME`.
pub(crate) fn first(home: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    Ok(lines(home, name)?.and_then(|lines| lines.into_iter().next()))
}

/// The number in `control/NAME`.
pub(crate) fn number(home: &Path, name: &str, usual: u64) -> Result<u64> {
    let first = first(home, name)?.unwrap_or_default();
    Ok(std::str::from_utf8(&first).ok().and_then(|digits| digits.parse().ok()).unwrap_or(usual))
}

/// `host` and then each of its suffixes that begins with a dot, in lower case.
pub(crate) fn names(host: &[u8]) -> Vec<Vec<u8>> {
    let host = host.to_ascii_lowercase();
    let suffixes = (1..host.len()).filter(|&at| host.get(at) == Some(&b'.'));
    let suffixes: Vec<_> = suffixes.filter_map(|at| host.get(at..).map(<[u8]>::to_vec)).collect();
    std::iter::once(host).chain(suffixes).collect()
}
