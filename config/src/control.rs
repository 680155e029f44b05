//! Control files of a qmail home that more than one program has to know.

use qmail_lookup_core::Host;
use qmail_lookup_core::control::Control;
use qmail_lookup_core::control::lines::{keys, pairs};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// How long qmail-send keeps trying, unless control/queuelifetime says otherwise. Source: qmail-control(5): one week.
pub const DEFAULT_QUEUE_LIFETIME: Duration = Duration::from_secs(604_800);

/// What decides whether an address is local.
///
/// # Errors
/// If a file is there and cannot be read. The error names it.
pub fn control(qmail: &Path) -> Result<Control, Error> {
    let virtual_domains = content(qmail, "virtualdomains")?.unwrap_or_default();
    let virtual_domains = pairs(&virtual_domains).map(|(key, value)| (key, value.to_vec())).collect();
    Ok(Control { locals: locals(qmail)?, virtual_domains })
}

/// The hosts of control/locals, else of control/me; `None` if there is neither.
///
/// # Errors
/// If a file is there and cannot be read. The error names it.
fn locals(qmail: &Path) -> Result<Option<Vec<Host>>, Error> {
    for name in ["locals", "me"] {
        if let Some(bytes) = content(qmail, name)? {
            return Ok(Some(keys(&bytes).filter_map(|host| Host::new(&host)).collect()));
        }
    }
    Ok(None)
}

/// A control file; `None` if there is none.
fn content(qmail: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = qmail.join("control").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))),
    }
}

/// How long qmail-send keeps trying before it bounces: control/queuelifetime, read as qmail reads it. What is behind the
/// digits of the first line does not count. [`DEFAULT_QUEUE_LIFETIME`] if there is no such number, or the file cannot be
/// read.
#[must_use]
pub fn queue_lifetime(qmail: &Path) -> Duration {
    let content = std::fs::read(qmail.join("control/queuelifetime")).unwrap_or_default();
    seconds(&content).map_or(DEFAULT_QUEUE_LIFETIME, Duration::from_secs)
}

/// The number that a file begins with, if qmail's `int` can hold it.
fn seconds(content: &[u8]) -> Option<u64> {
    let digits = content.split(|byte| !byte.is_ascii_digit()).next()?;
    let number: i32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locals_come_before_me_and_neither_means_not_known() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(locals(home.path()).unwrap(), None);
        std::fs::create_dir(home.path().join("control")).unwrap();
        std::fs::write(home.path().join("control/me"), "mail.Test \n").unwrap();
        assert_eq!(locals(home.path()).unwrap(), Some(vec![Host::new(b"mail.test").unwrap()]));
        std::fs::write(home.path().join("control/locals"), "# mine\na.test\nb.test\t\n\n").unwrap();
        assert_eq!(locals(home.path()).unwrap().unwrap().len(), 2);
        let path = home.path().join("control/locals");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = locals(home.path()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        assert_eq!(error.kind(), ErrorKind::IsADirectory, "unreadable is not absent");
    }

    #[test]
    fn virtualdomains_is_read_as_qmail_reads_it() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(control(home.path()).unwrap(), Control::default());
        std::fs::create_dir(home.path().join("control")).unwrap();
        let path = home.path().join("control/virtualdomains");
        let text = "bar.com:=bar.com=\nSales@Bar.com:Shop \t\n#x.test:no\n blank.test:kept\nnocolon.test\n\n  \n\
                    weird.test:a:b\ntwice.test:one\nTWICE.test:two\naway.test:\nlast.test:unended";
        std::fs::write(&path, text).unwrap();
        std::fs::write(home.path().join("control/locals"), "a.test\n").unwrap();
        let read = control(home.path()).unwrap();
        assert_eq!(read.locals.map(|hosts| hosts.len()), Some(1));
        for (address, want) in [
            ("x@bar.com", Some("=bar.com=")),
            ("sales@bar.com", Some("Shop")),
            ("x@x.test", None),
            ("x@#x.test", None),
            ("x@blank.test", None),
            ("x@ blank.test", Some("kept")),
            ("x@nocolon.test", None),
            ("x@weird.test", Some("a:b")),
            ("x@twice.test", Some("two")),
            ("x@away.test", Some("")),
            ("x@last.test", Some("unended")),
        ] {
            let found = read.virtual_domains.find(address.as_bytes()).map(|(_, prepend)| prepend);
            assert_eq!(found, want.map(str::as_bytes), "{address}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = control(home.path()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read {}: ", path.display())), "{error}");
    }

    #[test]
    fn the_queue_lifetime_is_the_number_qmail_reads() {
        for (content, expected) in [
            ("3600\n", Some(3600)),
            ("3600", Some(3600)),
            ("7d\n", Some(7)),
            ("0\n", Some(0)),
            ("2147483647 \n", Some(2_147_483_647)),
            ("2147483648\n", None),
            ("\n3600\n", None),
            (" 3600\n", None),
            ("-1\n", None),
            ("a week\n", None),
            ("", None),
        ] {
            assert_eq!(seconds(content.as_bytes()), expected, "{content:?}");
        }
        let home = tempfile::tempdir().unwrap();
        assert_eq!(queue_lifetime(home.path()), DEFAULT_QUEUE_LIFETIME);
        std::fs::create_dir_all(home.path().join("control")).unwrap();
        std::fs::write(home.path().join("control/queuelifetime"), "86400\n").unwrap();
        assert_eq!(queue_lifetime(home.path()), Duration::from_secs(86_400));
    }
}
