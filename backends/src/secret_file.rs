//! Password files.

use qmail_lookup_core::Secret;
use std::path::Path;

/// Reads a password file: its content without one newline at the end.
///
/// # Errors
/// Says what is wrong with the file; an empty one is wrong.
pub(crate) fn read(path: &Path) -> Result<Secret, String> {
    let wrong = |problem: &str| Err(format!("{}: {problem}", path.display()));
    let content = match std::fs::read(path) {
        Ok(content) => Secret::new(content),
        Err(why) => return wrong(&format!("cannot be read: {why}")),
    };
    let bytes = content.expose();
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return wrong("empty");
    }
    if std::str::from_utf8(line).is_err() {
        return wrong("not UTF-8");
    }
    Ok(Secret::new(line.to_vec()))
}
