//! Files that hold rows: for nobody but who runs the tool, and under their name only when they are complete.

use crate::output::Failure;
use crate::qmail::files::{UNFINISHED, cannot, remove_unfinished, split, sync};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// One that is being written, with mode 0600, beside the place where it shall be. It is gone unless it is kept.
pub(crate) struct PrivateFile {
    file: io::BufWriter<NamedTempFile>,
    place: PathBuf,
}

impl PrivateFile {
    /// Begins the file that shall be at `place`.
    ///
    /// # Errors
    /// If something other than a regular file is there, a symbolic link for example, or no file can be made beside it.
    pub(crate) fn begin(place: &Path) -> Result<Self, Failure> {
        free(place)?;
        let (folder, name) = split(place).map_err(|error| Failure::usage(error.to_string()))?;
        let refused = |error: io::Error| Failure::usage(error.to_string());
        remove_unfinished(folder, name).map_err(refused)?;
        let pid = format!(".{}", std::process::id());
        let prefix = OsString::from_vec([b".", name.as_bytes(), pid.as_bytes()].concat());
        let mut new = tempfile::Builder::new();
        let new = new.prefix(&prefix).suffix(OsStr::from_bytes(UNFINISHED)).rand_bytes(0);
        let file = new.tempfile_in(folder).map_err(cannot("write", place)).map_err(refused)?;
        Ok(Self { file: io::BufWriter::new(file), place: place.to_owned() })
    }

    /// Adds to it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.file.write_all(bytes).map_err(cannot("write", &self.place))?)
    }

    /// It is complete: it is written to disk, and takes its place.
    ///
    /// # Errors
    /// If that fails; what was at its place is there still, unless only the folder could not be written to disk.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let failed = cannot("write", &self.place);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(&failed)?;
        free(&self.place)?;
        file.persist(&self.place).map_err(|error| failed(error.error))?;
        Ok(sync(split(&self.place)?.0)?)
    }
}

/// Refuses a place where something stands that is no regular file.
fn free(place: &Path) -> Result<(), Failure> {
    let shown = place.display();
    match std::fs::symlink_metadata(place) {
        Ok(old) if old.is_file() => Ok(()),
        Ok(old) if old.is_symlink() => {
            Err(Failure::usage(format!("{shown} is a symbolic link: name the file itself, or remove the link")))
        }
        Ok(_) => Err(Failure::usage(format!("{shown} is there already, and is no regular file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::usage(format!("cannot examine {shown}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn it_is_private_from_its_beginning_and_takes_its_place_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("rows");
        std::fs::write(&place, "old").unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut file = PrivateFile::begin(&place).unwrap();
        file.write(b"new").unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path() != place) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read(&place).unwrap(), b"old");
        file.keep().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (place, link) = (folder.path().join("rows"), folder.path().join("link"));
        PrivateFile::begin(&place).unwrap().write(b"half").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        symlink(&place, &link).unwrap();
        assert!(PrivateFile::begin(&link).is_err() && PrivateFile::begin(folder.path()).is_err());
        // Nor one that came meanwhile.
        let file = PrivateFile::begin(&place).unwrap();
        symlink(&link, &place).unwrap();
        assert!(file.keep().is_err());
        assert_eq!(std::fs::read_link(&place).unwrap(), link);
    }
}
