//! Reading a configuration file, and judging who else can read it.

use crate::error::{ConfigError, Place, Warning};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Largest file that is read, in bytes. Source: ours; a real one has a few thousand.
const SIZE_MAX: u64 = 1 << 20;

/// Reads a file and its permission bits. They are of the file that was read, whatever the name means meanwhile.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, u32), ConfigError> {
    let wrong = |problem: String| ConfigError::new(Place::file(path), "", problem);
    let cannot = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let facts = file.metadata().map_err(cannot)?;
    if facts.is_dir() {
        return Err(wrong("cannot be read: it is a directory".to_owned()));
    }
    let mut content = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut content).map_err(cannot)?;
    if content.len() as u64 > SIZE_MAX {
        return Err(wrong(format!("larger than {SIZE_MAX} bytes, so not a configuration file")));
    }
    Ok((content, facts.permissions().mode() & 0o7777))
}

/// Says so if everybody can read a file that holds a password, or change a file that decides about mail.
pub(crate) fn judge(path: &Path, mode: u32, holds: &str) -> Option<Warning> {
    let (readable, writable) = (mode & 0o004 != 0, mode & 0o002 != 0);
    let (can, bits) = match (readable && !holds.is_empty(), writable) {
        (false, false) => return None,
        (true, false) => (format!("read it, and it holds {holds}"), "r"),
        (true, true) => (format!("read and change it, and it holds {holds}"), "rw"),
        (false, true) => ("change it".to_owned(), "w"),
    };
    let text = format!("every user of this machine can {can} (mode {mode:04o})");
    let help = format!("run: chmod o-{bits} {}", quoted(path));
    Some(Warning::alarm(Place::file(path), text).with_help(help))
}

/// A path as a shell takes it.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_and_the_command_are_named() {
        let said = |mode, holds| judge(Path::new("/etc/a b"), mode, holds).map(|warning| warning.to_string());
        assert_eq!(said(0o640, "a password"), None);
        assert_eq!(said(0o644, ""), None);
        for (mode, holds, text) in [
            (0o644, "a password", "read it, and it holds a password (mode 0644); run: chmod o-r '/etc/a b'"),
            (
                0o666,
                "a password",
                "read and change it, and it holds a password (mode 0666); run: chmod o-rw '/etc/a b'",
            ),
            (0o1602, "a password", "change it (mode 1602); run: chmod o-w '/etc/a b'"),
            (0o666, "", "change it (mode 0666); run: chmod o-w '/etc/a b'"),
        ] {
            assert_eq!(said(mode, holds), Some(format!("/etc/a b: every user of this machine can {text}")));
        }
        assert_eq!(quoted(Path::new("/a'b")), r"'/a'\''b'");
        assert_eq!(quoted(Path::new("/a/b.c")), "/a/b.c");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let error = read(path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: cannot be read: it is a directory", path.display()));
        let missing = path.join("missing");
        let error = read(&missing).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot be read: No such file", missing.display())), "{error}");
        let large = path.join("large");
        std::fs::write(&large, vec![b'#'; 1 << 20 | 1]).unwrap();
        let error = read(&large).unwrap_err().to_string();
        assert!(error.ends_with("larger than 1048576 bytes, so not a configuration file"), "{error}");
    }
}
