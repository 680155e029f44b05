//! The search for a dot-qmail file.

use super::home::WRITABLE;
use super::report::{Ending, Outcome};
use super::words;
use qmail_lookup_core::dotqmail::{DEFAULT, file_name, prefixes};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The owner's x bit: "this is a list".
const EXECUTABLE: u32 = 0o100;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// All of it.
    pub text: Vec<u8>,
    /// What DEFAULT is set to, if anything.
    pub default: Option<Vec<u8>>,
    /// Files and programs are refused (the owner's x bit).
    pub forward_only: bool,
}

/// Searches the working directory.
///
/// # Errors
/// A deferral if it is not known whether a file is there, or if others may write it.
pub fn find(dash: &[u8], ext: &[u8]) -> Outcome<Option<Found>> {
    find_in(Path::new(""), dash, ext)
}

fn find_in(folder: &Path, dash: &[u8], ext: &[u8]) -> Outcome<Option<Found>> {
    let exact = (file_name(dash, ext, b""), default_of_exact(ext));
    let defaults = prefixes(ext).map(|(prefix, rest)| (file_name(dash, prefix, DEFAULT), Some(rest.to_vec())));
    for (name, default) in std::iter::once(exact).chain(defaults) {
        if let Some((text, forward_only)) = read(folder, &name)? {
            return Ok(Some(Found { text, default, forward_only }));
        }
    }
    Ok(None)
}

/// What DEFAULT is set to for a file of exactly this extension: one that ends in `default` counts as such a file.
#[must_use]
pub fn default_of_exact(ext: &[u8]) -> Option<Vec<u8>> {
    let end = ext.get(ext.len().checked_sub(DEFAULT.len())?..)?;
    end.eq_ignore_ascii_case(DEFAULT).then(|| end.to_vec())
}

/// Whether `error` says that no such file is there. Of all others nobody knows what a later attempt finds: also of some
/// that qmail does not call temporary, as when a home's key is missing or its disk is damaged.
#[must_use]
pub fn is_absence(error: &Error) -> bool {
    const ABSENT: [libc::c_int; 7] = [
        libc::ENOENT,
        libc::ENOTDIR,
        libc::ELOOP,
        libc::ENAMETOOLONG,
        // A name that the file system cannot hold.
        libc::EILSEQ,
        // Sockets and devices, which are no files to read.
        libc::ENXIO,
        libc::ENODEV,
    ];
    match error.raw_os_error() {
        Some(number) => ABSENT.contains(&number),
        None => error.kind() == ErrorKind::InvalidInput, // a NUL, which no name holds
    }
}

/// It cannot be said whether the file `name` is there.
#[must_use]
pub fn unopened(name: &[u8], error: &Error) -> Ending {
    Ending::defer(&[b"Unable to open ", name, b": ", words::of(error).as_bytes(), b". (#4.3.0)"])
}

/// The content of the file `name` and its owner's x bit; None if there is none that is regular.
fn read(folder: &Path, name: &[u8]) -> Outcome<Option<(Vec<u8>, bool)>> {
    let path = folder.join(OsStr::from_bytes(name));
    // A pipe that nobody writes to must not hold the delivery up.
    let mut file: File = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(unopened(name, &error)),
    };
    let found = file.metadata().map_err(|error| unopened(name, &error))?;
    if !found.is_file() {
        return Ok(None);
    }
    if found.mode() & WRITABLE != 0 {
        return Err(Ending::defer(&[b"Uh-oh: .qmail file is writable. (#4.7.0)"]));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|error| {
        Ending::defer(&[b"Unable to read ", name, b": ", words::of(&error).as_bytes(), b". (#4.3.0)"])
    })?;
    Ok(Some((text, found.mode() & EXECUTABLE != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use tempfile::TempDir;

    /// A home with these files; each holds its own name.
    fn home(files: &[&str]) -> TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file).unwrap();
            set_mode(&home, file, 0o600);
        }
        home
    }

    fn set_mode(home: &TempDir, file: &str, mode: u32) {
        fs::set_permissions(home.path().join(file), Permissions::from_mode(mode)).unwrap();
    }

    /// Name of the file that is found, and DEFAULT.
    fn found(home: &TempDir, dash: &str, ext: &str) -> Option<(String, Option<String>)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let found = find_in(home.path(), dash.as_bytes(), ext.as_bytes()).unwrap();
        found.map(|found| (text(found.text), found.default.map(text)))
    }

    #[test]
    fn the_longest_part_of_the_extension_wins() {
        for (files, dash, ext, name, default) in [
            (&[".qmail-foo", ".qmail-default"][..], "-", "foo", ".qmail-foo", None),
            (
                &[".qmail-foo-default", ".qmail-default", ".qmail-foo"],
                "-",
                "foo-bar",
                ".qmail-foo-default",
                Some("bar"),
            ),
            (&[".qmail-default", ".qmail-foo", ".qmail-bar"], "-", "foo-bar", ".qmail-default", Some("foo-bar")),
            (&[".qmail-foo-default", ".qmail-foo-bar"], "-", "foo-bar-baz", ".qmail-foo-default", Some("bar-baz")),
            (&[".qmail-foo-", ".qmail-foo-default"], "-", "foo-", ".qmail-foo-", None),
            (&[".qmail-foo-default"], "-", "foo-", ".qmail-foo-default", Some("")),
            (&[".qmail-foo--default", ".qmail-foo-default"], "-", "foo--x", ".qmail-foo--default", Some("x")),
            (&[".qmail--default", ".qmail-default"], "-", "-x", ".qmail--default", Some("x")),
            (&[".qmail-", ".qmail-default"], "-", "", ".qmail-", None),
            (&[".qmail", ".qmail-default"], "-", "", ".qmail-default", Some("")),
            (&[".qmail", ".qmaildefault"], "", "", ".qmail", None),
            (&[".qmaildefault"], "", "", ".qmaildefault", Some("")),
            (&[".qmailx", ".qmaildefault"], "", "x", ".qmailx", None),
            (&[".qmail-a/b"], "-", "a/b", ".qmail-a/b", None),
            (&[".qmail-a/b-default"], "-", "a/b-c", ".qmail-a/b-default", Some("c")),
            (&[".qmail-/foo"], "-/", "foo", ".qmail-/foo", None),
            (&[".qmail-foo", ".qmail-FOO"], "-", "FoO", ".qmail-foo", None),
            (&[".qmail-a:b:", ".qmail-default"], "-", "a.B.", ".qmail-a:b:", None),
            (&[".qmail-one-default"], "-", "One-Two.X-Three", ".qmail-one-default", Some("Two.X-Three")),
            (&[".qmail-foo-default"], "-", "Foo-Default", ".qmail-foo-default", Some("Default")),
            (&[".qmail-mydefault"], "-", "myDEFAULT", ".qmail-mydefault", Some("DEFAULT")),
            (&[".qmail-default"], "-", "default", ".qmail-default", Some("default")),
        ] {
            let expected = Some((name.to_owned(), default.map(str::to_owned)));
            assert_eq!(found(&home(files), dash, ext), expected, "{files:?} {dash:?} {ext:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (files, dash, ext) in [
            (&[".qmail-foo"][..], "-", "foo-"),
            (&[".qmail-foo", ".qmail-fo-default", ".qmail"], "-", "foo-bar"),
            (&[".qmail-a.b"], "-", "a.b"),
            (&[".qmail-FOO"], "-", "FOO"),
            (&[".qmail-foo", ".qmail-default"], "", "foo"),
            (&[".qmail-::"], "-", "../.."),
            (&[".qmail-a"], "-", "a/b"),
            (&[".qmail-a"], "-", "a\0"),
            (&[], "", ""),
        ] {
            assert_eq!(found(&home(files), dash, ext), None, "{files:?} {dash:?} {ext:?}");
        }
    }

    #[test]
    fn only_regular_files_count() {
        let home = home(&[".qmail-default", "target"]);
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path(".qmail-folder")).unwrap();
        symlink("/dev/null", path(".qmail-null")).unwrap();
        symlink("nowhere", path(".qmail-dangling")).unwrap();
        symlink(".qmail-circle", path(".qmail-circle")).unwrap();
        symlink("target", path(".qmail-link")).unwrap();
        let _listener = UnixListener::bind(path(".qmail-socket")).unwrap();
        assert!(Command::new("mkfifo").arg(path(".qmail-pipe")).status().unwrap().success());
        let long = "x".repeat(300);
        for ext in ["folder", "null", "dangling", "circle", "socket", "pipe", &long] {
            let expected = (".qmail-default".to_owned(), Some(ext.to_owned()));
            assert_eq!(found(&home, "-", ext), Some(expected));
        }
        assert_eq!(found(&home, "-", "link"), Some(("target".to_owned(), None)));
        assert_eq!(found(&home, "-", &format!("{}x", "x/".repeat(3000))).unwrap().0, ".qmail-default");
    }

    #[test]
    fn the_mode_tells_who_may_have_written_it() {
        let home = home(&[".qmail", ".qmail-default"]);
        let find = |dash: &[u8], ext: &[u8]| find_in(home.path(), dash, ext);
        for (mode, forward_only) in [(0o600, false), (0o664, false), (0o675, false), (0o700, true), (0o100, true)] {
            set_mode(&home, ".qmail", mode | 0o400);
            assert_eq!(find(b"", b"").unwrap().unwrap().forward_only, forward_only, "{mode:o}");
        }
        let writable = Err(Ending::defer(&[b"Uh-oh: .qmail file is writable. (#4.7.0)"]));
        for mode in [0o602, 0o702, 0o646] {
            set_mode(&home, ".qmail", mode);
            set_mode(&home, ".qmail-default", mode);
            assert_eq!(find(b"", b""), writable, "{mode:o}");
            assert_eq!(find(b"-", b"foo"), writable, "{mode:o}");
        }
    }

    #[test]
    fn an_empty_file_is_there() {
        let home = home(&[".qmail-default"]);
        fs::write(home.path().join(".qmail-foo"), "").unwrap();
        assert_eq!(found(&home, "-", "foo"), Some((String::new(), None)));
    }

    #[test]
    fn only_a_few_errors_say_that_nothing_is_there() {
        let absences = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG, libc::ENXIO];
        for number in 1..134 {
            let error = Error::from_raw_os_error(number);
            assert!(!(is_absence(&error) && words::is_temporary(&error)), "{error}");
            if [libc::EINVAL, libc::EPERM, libc::EACCES, libc::ENOKEY, libc::EUCLEAN, libc::ENOTCONN].contains(&number)
            {
                assert!(!is_absence(&error), "{error}");
            }
            assert!(!absences.contains(&number) || is_absence(&error), "{error}");
        }
        assert!(!is_absence(&Error::from(ErrorKind::NotFound)));
        assert!(!is_absence(&Error::from(ErrorKind::Other)));
        let error = Error::from_raw_os_error(libc::EACCES);
        let text = b"Unable to open .qmail-foo: access denied. (#4.3.0)";
        assert_eq!(unopened(b".qmail-foo", &error), Ending::defer(&[text]));
    }
}
