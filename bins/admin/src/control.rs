//! The control files of a qmail home that decide what is local.

use crate::output::Failure;
use qmail_lookup_core::Host;
use std::io::ErrorKind;
use std::path::Path;

/// The hosts of control/locals, else of control/me; `None` if there is neither.
///
/// # Errors
/// If a file is there and cannot be read.
pub(crate) fn locals(qmail: &Path) -> Result<Option<Vec<Host>>, Failure> {
    for name in ["locals", "me"] {
        let path = qmail.join("control").join(name);
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(Some(hosts(&bytes))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Failure::temporary(format!("cannot read {}: {error}", path.display()))),
        }
    }
    Ok(None)
}

/// One host a line; trailing blanks and lines that begin with `#` do not count.
fn hosts(bytes: &[u8]) -> Vec<Host> {
    let lines = bytes.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    lines.filter(|line| !line.starts_with(b"#")).filter_map(Host::new).collect()
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
        std::fs::remove_file(home.path().join("control/locals")).unwrap();
        std::fs::create_dir(home.path().join("control/locals")).unwrap();
        assert!(locals(home.path()).is_err(), "unreadable is not absent");
    }
}
