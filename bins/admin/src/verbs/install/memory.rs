//! What was there before: `qmail-lookup/installed.json` below qmail's home. It is written before anything is changed, and
//! what stands in it stays until `uninstall` has given everything back.

use crate::output::Failure;
use crate::qmail::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Of the form of the file. Another one was written by a later version.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::verbs) struct Installed {
    version: u32,
    /// Programs in whose place ours was put, and whether there was one: then it is kept as NAME.stock.
    pub(in crate::verbs) programs: BTreeMap<PathBuf, bool>,
    /// Files in qmail's control that were written, as they were before; `None` if there was none.
    pub(in crate::verbs) files: BTreeMap<String, Option<Before>>,
    /// True from the first step of `uninstall` on: no host may come any more.
    pub(in crate::verbs) leaving: bool,
}

/// A control file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::verbs) struct Before {
    content: Vec<u8>,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Rights that every program of ours needs: it reads these files as whoever it is.
const ROOTS: (u32, u32, u32) = (0, 0, 0o644);

impl Default for Installed {
    fn default() -> Self {
        Self { version: VERSION, programs: BTreeMap::new(), files: BTreeMap::new(), leaving: false }
    }
}

impl Installed {
    /// Where it is.
    pub(in crate::verbs) fn path(qmail: &Path) -> PathBuf {
        files::memory(qmail).join("installed.json")
    }

    /// `None` if nothing is remembered.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub(in crate::verbs) fn load(qmail: &Path) -> Result<Option<Self>, Failure> {
        let path = Self::path(qmail);
        let Some(bytes) = files::read(&path)? else { return Ok(None) };
        let bad = |why: String| {
            let what = format!("{}: {why}: what was there before install is not known", path.display());
            Failure::temporary(format!("{what}; if it cannot be mended, move the file away"))
        };
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if read.version == VERSION { Ok(Some(read)) } else { Err(bad(format!("version {}", read.version))) }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If that fails.
    pub(in crate::verbs) fn save(&self, qmail: &Path) -> Result<(), Failure> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Failure::usage(error.to_string()))?;
        files::replace(&Self::path(qmail), &bytes, 0o600)?;
        Ok(())
    }
}

impl Before {
    /// What is at `path` now.
    ///
    /// # Errors
    /// If it is there and cannot be read. The error names it.
    pub(in crate::verbs) fn of(path: &Path) -> std::io::Result<Option<Self>> {
        let Some(content) = files::read(path)? else { return Ok(None) };
        let is = std::fs::metadata(path)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Some(Self { content, uid: is.uid(), gid: is.gid(), mode: is.mode() & 0o7777 }))
    }

    /// A control file of ours.
    pub(in crate::verbs) fn ours(content: Vec<u8>) -> Self {
        let (uid, gid, mode) = ROOTS;
        Self { content, uid, gid, mode }
    }

    /// Puts it at `path`.
    ///
    /// # Errors
    /// If that fails. The error names the file.
    pub(in crate::verbs) fn put(&self, path: &Path) -> std::io::Result<()> {
        let failed = |error: Error| Error::new(error.kind(), format!("cannot protect {}: {error}", path.display()));
        // Before the content: others must not be able to write into what is going to be believed.
        let protect = || {
            chown(path, Some(self.uid), Some(self.gid))?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(self.mode))
        };
        match protect() {
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            protected => protected.map_err(failed)?,
        }
        files::replace(path, &self.content, self.mode)?;
        protect().map_err(failed)
    }
}
