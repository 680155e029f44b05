//! What is remembered from look to look: `qmail-lookup/sync.json` below qmail's home.

use super::control::Wrote;
use crate::output::Failure;
use crate::qmail::files;
use qmail_lookup_core::Host;
use qmail_lookup_core::sync::gone::{Memory, Missed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of the form below.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// True while qmail-send has still to be told.
    owed: bool,
    virtualdomains: BTreeMap<String, StoredMissed>,
    rcpthosts: BTreeMap<String, StoredMissed>,
    #[serde(default)]
    wrote: Wrote,
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::verbs) struct Remembered {
    pub(in crate::verbs) plan: Memory,
    pub(super) wrote: Wrote,
}

impl Remembered {
    /// When this tool last wrote a control file: that of what it wrote, not that of a later change.
    pub(in crate::verbs) fn written(&self, name: &str) -> Option<SystemTime> {
        let (_, _, seconds, nanoseconds, _) = *self.wrote.get(name)?;
        let since = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        UNIX_EPOCH.checked_add(since)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredMissed {
    /// Seconds since 1970.
    since: u64,
    /// Seconds since 1970.
    closed: Option<u64>,
    agreed: bool,
}

fn path(qmail: &Path) -> PathBuf {
    files::memory(qmail).join("sync.json")
}

/// When it was last written; `None` if there is none.
pub(in crate::verbs) fn modified(qmail: &Path) -> Option<SystemTime> {
    std::fs::metadata(path(qmail)).and_then(|file| file.modified()).ok()
}

/// Reads it; `None` if there is no such file.
///
/// # Errors
/// If it is there and cannot be understood.
pub(in crate::verbs) fn read(qmail: &Path) -> Result<Option<Remembered>, Failure> {
    let path = path(qmail);
    let Some(content) = files::read(&path)? else { return Ok(None) };
    let foreign = |what: String| {
        let help =
            "nothing is written; remove it, and hosts that are going begin to go anew, and qmail-send is told first";
        Failure::temporary(format!("{}: {what} ({help})", path.display()))
    };
    let stored: Stored = serde_json::from_slice(&content).map_err(|error| foreign(error.to_string()))?;
    if stored.version != VERSION {
        return Err(foreign(format!("it is of version {}, this program writes {VERSION}", stored.version)));
    }
    let missed = |stored: BTreeMap<String, StoredMissed>| {
        let one = |(host, StoredMissed { since, closed, agreed }): (String, StoredMissed)| {
            let host = Host::new(host.as_bytes()).ok_or_else(|| foreign(format!("{host:?} is no host")))?;
            Ok((host, Missed { since, closed, agreed }))
        };
        stored.into_iter().map(one).collect::<Result<_, Failure>>()
    };
    let (routed, accepted) = (missed(stored.virtualdomains)?, missed(stored.rcpthosts)?);
    Ok(Some(Remembered { plan: Memory { owed: stored.owed, routed, accepted }, wrote: stored.wrote }))
}

/// Writes it, if it differs.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(qmail: &Path, memory: &Memory, wrote: &Wrote) -> Result<(), Failure> {
    let path = path(qmail);
    let stored = |missed: &BTreeMap<Host, Missed>| {
        let one = |(host, missed): (&Host, &Missed)| {
            let Missed { since, closed, agreed } = *missed;
            (host.to_string(), StoredMissed { since, closed, agreed })
        };
        missed.iter().map(one).collect()
    };
    let (virtualdomains, rcpthosts) = (stored(&memory.routed), stored(&memory.accepted));
    let stored = Stored { version: VERSION, owed: memory.owed, virtualdomains, rcpthosts, wrote: wrote.clone() };
    let mut content = serde_json::to_vec_pretty(&stored).map_err(|error| Failure::temporary(error.to_string()))?;
    content.push(b'\n');
    files::replace(&path, &content, 0o600)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let qmail = tempfile::tempdir().unwrap();
        let home = qmail.path();
        assert_eq!(read(home).unwrap(), None);
        std::fs::create_dir(files::memory(home)).unwrap();
        let host = |name: &str| Host::new(name.as_bytes()).unwrap();
        let missed = Missed { since: 1, closed: Some(2), agreed: true };
        let plan = Memory {
            owed: true,
            routed: BTreeMap::from([(host("a.test"), missed)]),
            accepted: BTreeMap::from([(host(".b.test"), Missed { closed: None, ..missed })]),
        };
        let wrote = Wrote::from([("rcpthosts".to_owned(), (1, 2, -3, 4, 5))]);
        write(home, &plan, &wrote).unwrap();
        assert_eq!(read(home).unwrap(), Some(Remembered { plan, wrote }));
        write(home, &Memory::default(), &Wrote::new()).unwrap();
        assert_eq!(read(home).unwrap(), Some(Remembered::default()));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_an_error_that_names_it() {
        let qmail = tempfile::tempdir().unwrap();
        std::fs::create_dir(files::memory(qmail.path())).unwrap();
        let good = r#"{"version":1,"owed":false,"virtualdomains":{},"rcpthosts":{}}"#;
        let host = good.replacen("{}", r#"{"a b":{"since":1,"closed":null,"agreed":false}}"#, 1);
        for bad in ["", "{", "[]", "{}", &good.replace('1', "2"), &good.replace("owed", "owned"), &host] {
            std::fs::write(path(qmail.path()), bad).unwrap();
            let error = read(qmail.path()).unwrap_err().line();
            assert!(error.starts_with(&format!("{}: ", path(qmail.path()).display())), "{bad}: {error}");
        }
        std::fs::write(path(qmail.path()), good).unwrap();
        assert_eq!(read(qmail.path()).unwrap(), Some(Remembered::default()));
    }
}
