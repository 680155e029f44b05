//! users/cdb: the recipients that qmail-lspawn finds without qmail-getpw.

use super::cdb;
use qmail_lookup_core::lint::assigned::Line;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// All lines; `None` if there is no users/cdb below `qmail`.
///
/// # Errors
/// If it is there and cannot be read, or is no such database. The error names it.
pub(crate) fn read(qmail: &Path) -> Result<Option<Vec<Line>>> {
    let path = qmail.join("users/cdb");
    let Some(records) = cdb::records(&path)? else { return Ok(None) };
    let foreign = || {
        let what = format!("{} holds a record that qmail-newu does not write", path.display());
        Error::new(ErrorKind::InvalidData, what)
    };
    // The record without a key lists the last bytes of all prefixes.
    let lines = records.iter().filter_map(|(key, data)| Some((key.strip_prefix(b"!")?, data)));
    lines.map(|(name, data)| line(name, data).ok_or_else(foreign)).collect::<Result<_>>().map(Some)
}

/// `user NUL uid NUL gid NUL home NUL dash NUL ext NUL`.
fn line(key: &[u8], data: &[u8]) -> Option<Line> {
    let (name, is_prefix) = key.strip_suffix(b"\0").map_or((key, true), |name| (name, false));
    let mut fields = data.split(|&byte| byte == 0);
    let (user, uid, _gid, _home) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    // qmail-lspawn takes the digits that the field begins with, and nothing for 0.
    let digits = uid.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let uid = std::str::from_utf8(uid.get(..digits)?).ok()?;
    let uid = if uid.is_empty() { 0 } else { uid.parse().ok()? };
    Some(Line { name: name.to_vec(), is_prefix, user: user.to_vec(), uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A qmail with this users/cdb.
    fn qmail(records: &[(&[u8], &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("users")).unwrap();
        let path = folder.path().join("users/cdb");
        let mut writer = cdb2::CDBWriter::create(&path).unwrap();
        for (key, data) in records {
            writer.add(key, data).unwrap();
        }
        writer.finish().unwrap();
        folder
    }

    const BOB: &[u8] = b"bob\x0020002\x0020002\0/home/bob\0-\0\0";

    #[test]
    fn lines_are_what_qmail_newu_makes_of_them() {
        let found = |records: &[(&[u8], &[u8])]| {
            let lines = read(qmail(records).path()).unwrap().unwrap();
            lines.iter().map(Line::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found(&[(b"!bob\0", BOB), (b"!bob-", BOB), (b"!", BOB), (b"", b"-")]),
            ["=bob:bob:20002:", "+bob-:bob:20002:", "+:bob:20002:"]
        );
        // Without a prefix line the last record is empty.
        assert_eq!(found(&[(b"!bob\0", BOB), (b"", b"")]), ["=bob:bob:20002:"]);
        assert_eq!(found(&[(b"", b"")]), [""; 0]);
        assert_eq!(found(&[]), [""; 0]);
        assert_eq!(read(tempfile::tempdir().unwrap().path()).unwrap(), None);
    }

    #[test]
    fn what_is_damaged_is_an_error_and_never_no_line() {
        let records: &[(&[u8], &[u8])] = &[(b"!bob\0", BOB), (b"!bob-", BOB), (b"", b"-")];
        let home = qmail(records);
        let path = home.path().join("users/cdb");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read(home.path()).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{length}: {error}");
        }
        // Never a panic, whatever stands there.
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).unwrap();
            let _ = read(home.path());
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(home.path()).unwrap().unwrap().len(), 2);
        for bad in [&b""[..], b"bob\0", b"bob\0x", b"bob\x0020002\x0020002"] {
            let home = qmail(&[(b"!bob\0", bad)]);
            assert_eq!(read(home.path()).unwrap_err().kind(), ErrorKind::InvalidData, "{bad:?}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(home.path()).is_err());
    }
}
