//! The programs in qmail's bin: whose they are.

use memchr::memmem::Finder;
use qmail_lookup_core::dropin::{Dropin, MARK};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whose program stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// One of ours, of any version.
    Ours,
    /// One of a qmail with the old MySQL patch: it names control/sqlserver or is linked with a client of MySQL.
    Patched,
    /// Somebody else's: qmail's own.
    Stock,
    /// Nothing is there.
    Absent,
}

/// What only a program with the old patch holds: the name of its control file, and of the libraries that it needs.
const PATCHED: [&str; 3] = ["sqlserver", "libmysqlclient", "libmariadb"];

/// How much is read at a time. Unit: bytes.
const PIECE: usize = 64 * 1024;

/// Looks at the program at `path`. A script is stock, whatever it names.
///
/// # Errors
/// If it is there and cannot be read, or is no file. The error names it.
pub(crate) fn examine(path: &Path) -> Result<Whose> {
    let named = |error: Error| Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
    match std::fs::metadata(path) {
        // Opening a FIFO would wait for ever.
        Ok(there) if !there.is_file() => {
            Err(Error::new(ErrorKind::InvalidInput, format!("{} is no file", path.display())))
        }
        Ok(_) => whose(File::open(path).map_err(named)?).map_err(named),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            match std::fs::symlink_metadata(path) {
                Ok(_) => Err(Error::new(error.kind(), format!("{} is a symlink that leads nowhere", path.display()))),
                Err(_) => Ok(Whose::Absent),
            }
        }
        Err(error) => Err(named(error)),
    }
}

/// True if the file at `path` is this program of ours, of any version.
///
/// # Errors
/// If it cannot be read. The error names it.
pub(crate) fn is(path: &Path, program: Dropin) -> Result<bool> {
    let named = |error: Error| Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
    let [found] = holds(File::open(path).map_err(named)?, [program.mark()]).map_err(named)?;
    Ok(found)
}

/// True if the file at `path` can be run by somebody: a script, or a binary.
///
/// # Errors
/// If it cannot be read. The error names it.
pub(crate) fn is_program(path: &Path) -> Result<bool> {
    let named = |error: Error| Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(named)?;
    let is = file.metadata().map_err(named)?;
    let mut begin = Vec::new();
    file.by_ref().take(4).read_to_end(&mut begin).map_err(named)?;
    let is_known = begin.starts_with(b"#!") || begin == b"\x7fELF";
    Ok(is_known && is.permissions().mode() & 0o111 != 0)
}

/// The same for what `program` gives.
fn whose(mut program: impl Read) -> Result<Whose> {
    let mut begin = Vec::new();
    program.by_ref().take(2).read_to_end(&mut begin)?;
    if begin == b"#!" {
        return Ok(Whose::Stock);
    }
    let [mysql, client, client_too] = PATCHED;
    let [ours, patched @ ..] = holds(begin.as_slice().chain(program), [MARK, mysql, client, client_too])?;
    Ok(match (ours, patched.contains(&true)) {
        (true, _) => Whose::Ours,
        (false, true) => Whose::Patched,
        (false, false) => Whose::Stock,
    })
}

/// Which of `words` stand in what `program` gives.
fn holds<const N: usize>(mut program: impl Read, words: [&str; N]) -> Result<[bool; N]> {
    let (finders, mut found) = (words.map(Finder::new), [false; N]);
    // What could be the beginning of a word is looked at again with what follows.
    let overlap = words.iter().map(|word| word.len()).fold(1, usize::max) - 1;
    let mut window = Vec::with_capacity(PIECE + overlap);
    while program.by_ref().take(PIECE as u64).read_to_end(&mut window)? > 0 {
        for (found, word) in found.iter_mut().zip(&finders) {
            *found |= word.find(&window).is_some();
        }
        window.drain(..window.len().saturating_sub(overlap));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_wherever_a_read_cuts_it() {
        let of = |bytes: &[u8]| whose(bytes).unwrap();
        for at in [0, 1, PIECE - 30, PIECE - 11, PIECE - 1, PIECE, 2 * PIECE - 5, 2 * PIECE] {
            let around = |word: &str| [&vec![b'x'; at], word.as_bytes(), b"\0more"].concat();
            assert_eq!(of(&around(MARK)), Whose::Ours, "{at}");
            for word in PATCHED {
                assert_eq!(of(&around(word)), Whose::Patched, "{word} at {at}");
                assert_eq!(of(&[around(word), around(MARK)].concat()), Whose::Ours, "{word} at {at}");
            }
            assert_eq!(of(&around("SQLserver")), Whose::Stock, "{at}");
        }
        assert_eq!(of(b""), Whose::Stock);
        assert_eq!(of(b"#!/bin/sh\nexec bin/other control/sqlserver\n"), Whose::Stock);
    }

    #[test]
    fn what_is_no_program_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(examine(&at("none")).unwrap(), Whose::Absent);
        assert_eq!(examine(&at("none/below")).unwrap(), Whose::Absent);
        std::fs::write(at("file"), "\x7fELF").unwrap();
        assert_eq!(examine(&at("file")).unwrap(), Whose::Stock);
        std::os::unix::fs::symlink(at("none"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("file"), at("good")).unwrap();
        assert_eq!(examine(&at("good")).unwrap(), Whose::Stock);
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "fifo", "."] {
            let error = examine(&at(name)).unwrap_err().to_string();
            assert!(error.contains(&at(name).display().to_string()), "{error}");
        }
    }
}
