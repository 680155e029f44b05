//! The control files, which others change too: read when nobody is writing them, and replaced only if they are still as
//! they were read.

use crate::output::Failure;
use crate::qmail::files;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{Error, Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// All of them that matter here.
pub(super) const NAMES: [&str; 7] =
    ["me", "locals", "smtproutes", "virtualdomains", "rcpthosts", "morercpthosts", "morercpthosts.cdb"];

/// Mode of a control file that is made. qmail-smtpd and qmail-send run as users of their own.
const MODE: u32 = 0o644;

/// A file that was changed less than this ago may be half written: most editors and scripts write in place.
const SETTLED: Duration = Duration::from_secs(2);

/// Longest wait for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Device, inode, time of the last change in two parts, and size.
pub(super) type Fingerprint = (u64, u64, i64, i64, u64);

/// `None` if there is no such file.
pub(super) fn fingerprint(path: &Path) -> Option<Fingerprint> {
    std::fs::metadata(path).ok().as_ref().map(of)
}

fn of(is: &Metadata) -> Fingerprint {
    (is.dev(), is.ino(), is.mtime(), is.mtime_nsec(), is.len())
}

/// What sync itself wrote last, by name: nobody else was writing there.
pub(super) type Wrote = BTreeMap<String, Fingerprint>;

/// Waits until no control file was changed a moment ago.
///
/// # Errors
/// If one is changed again and again.
pub(super) async fn settled(qmail: &Path, wrote: &Wrote) -> std::result::Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = SystemTime::now();
        let waits = NAMES.into_iter().filter_map(|name| {
            let path = qmail.join("control").join(name);
            let is = std::fs::metadata(&path).ok().filter(|is| wrote.get(name) != Some(&of(is)))?;
            Some((rest(is.modified().ok()?, now)?, path))
        });
        match waits.max() {
            None => return Ok(()),
            Some((wait, _)) if Instant::now() + wait <= end => tokio::time::sleep(wait).await,
            Some((_, path)) => {
                let what = format!("{} is being changed: nothing is read or written meanwhile", path.display());
                return Err(Failure::temporary(what));
            }
        }
    }
}

/// How long a file that was changed then is still waited for. A time to come is as good as one long ago.
fn rest(changed: SystemTime, now: SystemTime) -> Option<Duration> {
    let since = now.duration_since(changed).or_else(|ahead| {
        // The clock of files runs a moment behind, that of another machine perhaps ahead.
        if ahead.duration() < SETTLED { Ok(Duration::ZERO) } else { Err(ahead) }
    });
    SETTLED.checked_sub(since.ok()?).filter(|rest| !rest.is_zero())
}

/// The files as this look has read and written them.
pub(super) struct Control {
    qmail: PathBuf,
    is: BTreeMap<&'static str, Option<Vec<u8>>>,
    pub(super) wrote: Wrote,
    /// Files that have been replaced: what was there before is kept already.
    replaced: BTreeSet<&'static str>,
}

impl Control {
    /// `is` is what was read, of each of [`NAMES`].
    pub(super) fn new(qmail: &Path, is: BTreeMap<&'static str, Option<Vec<u8>>>, wrote: Wrote) -> Self {
        Self { qmail: qmail.to_owned(), is, wrote, replaced: BTreeSet::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.qmail.join("control").join(name)
    }

    /// What it holds; `None` if there is no such file.
    pub(super) fn content(&self, name: &str) -> Option<&[u8]> {
        self.is.get(name).and_then(Option::as_deref)
    }

    /// Puts `content` in the place of a file, or takes it away, if that changes it; the file that was there before this
    /// look is kept beside our memory. True if it changes it.
    ///
    /// # Errors
    /// If any control file is not as it was read; then nothing has changed. If it cannot be written.
    pub(super) fn put(&mut self, name: &'static str, content: Option<Vec<u8>>) -> std::result::Result<bool, Failure> {
        if self.content(name) == content.as_deref() {
            return Ok(false);
        }
        let path = self.path(name);
        if self.replaced.insert(name)
            && let Some(before) = self.content(name)
        {
            files::replace(&files::memory(&self.qmail).join(format!("{name}.before")), before, 0o600)?;
        }
        if let Some(content) = &content {
            let mut wrote = None;
            files::replace_with(&path, MODE, |file| {
                file.write_all(content)?;
                file.sync_all()?;
                wrote = Some(of(&file.metadata()?));
                self.unchanged()
            })?;
            self.wrote.extend(wrote.map(|wrote| (name.to_owned(), wrote)));
        } else {
            self.unchanged()?;
            files::remove(&path)?;
            self.wrote.remove(name);
        }
        self.is.insert(name, content);
        Ok(true)
    }

    /// # Errors
    /// If one of them is not as it was read, or written by us.
    fn unchanged(&self) -> Result<()> {
        for (name, is) in &self.is {
            let path = self.path(name);
            if files::read(&path)? != *is {
                let what = format!("{} was changed meanwhile", path.display());
                return Err(Error::other(format!("{what}; nothing more is done, the next run looks at all anew")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_waited_for_while_it_may_be_half_written() {
        let now = SystemTime::now();
        let ago = |milliseconds| now - Duration::from_millis(milliseconds);
        assert_eq!(rest(ago(2000), now), None);
        assert_eq!(rest(ago(1999), now), Some(Duration::from_millis(1)));
        assert_eq!(rest(now, now), Some(SETTLED));
        assert_eq!(rest(now + Duration::from_millis(10), now), Some(SETTLED));
        assert_eq!(rest(now + Duration::from_secs(3600), now), None, "that would be for ever");
    }

    #[tokio::test]
    async fn what_sync_wrote_itself_is_not_waited_for() {
        let qmail = tempfile::tempdir().unwrap();
        for folder in ["control", "qmail-lookup"] {
            std::fs::create_dir(qmail.path().join(folder)).unwrap();
        }
        let is = NAMES.map(|name| (name, None)).into();
        let mut control = Control::new(qmail.path(), is, Wrote::new());
        assert!(control.put("rcpthosts", Some(b"a.test\n".to_vec())).unwrap());
        let at_once = |wrote: Wrote| async move {
            tokio::time::timeout(Duration::from_millis(500), settled(qmail.path(), &wrote)).await.is_ok()
        };
        assert_eq!(control.wrote.get("rcpthosts").copied(), fingerprint(&control.path("rcpthosts")));
        assert!(at_once(control.wrote).await);
    }

    #[test]
    fn nothing_is_replaced_that_somebody_has_changed() {
        let qmail = tempfile::tempdir().unwrap();
        for folder in ["control", "qmail-lookup"] {
            std::fs::create_dir(qmail.path().join(folder)).unwrap();
        }
        let locals = qmail.path().join("control/locals");
        std::fs::write(&locals, "mail.test\n").unwrap();
        let mut is: BTreeMap<_, _> = NAMES.map(|name| (name, None)).into();
        is.insert("locals", Some(b"mail.test\n".to_vec()));
        let mut control = Control::new(qmail.path(), is, Wrote::new());
        for content in ["1", "2", "2", "3"] {
            control.put("rcpthosts", Some(content.into())).unwrap();
        }
        let before = qmail.path().join("qmail-lookup/rcpthosts.before");
        assert!(!before.exists(), "there was none");
        std::fs::write(control.path("rcpthosts"), "3, and mine").unwrap();
        let failure =
            |control: &mut Control, content: Option<Vec<u8>>| control.put("rcpthosts", content).unwrap_err().line();
        for content in [Some(b"4".to_vec()), None] {
            let line = failure(&mut control, content);
            assert!(line.contains("control/rcpthosts was changed meanwhile"), "{line}");
        }
        std::fs::write(control.path("rcpthosts"), "3").unwrap();
        std::fs::write(&locals, "").unwrap();
        assert!(failure(&mut control, Some(b"4".to_vec())).contains("control/locals was changed meanwhile"));
        assert_eq!(std::fs::read(control.path("rcpthosts")).unwrap(), b"3");
        std::fs::write(&locals, "mail.test\n").unwrap();
        let mut control = Control::new(qmail.path(), control.is, control.wrote);
        control.put("rcpthosts", Some(b"4".to_vec())).unwrap();
        control.put("rcpthosts", Some(b"5".to_vec())).unwrap();
        assert_eq!(std::fs::read(before).unwrap(), b"3", "as it was before this look");
    }
}
