//! control/locals and control/virtualdomains, read again when they may have changed: a host that has just become local,
//! or that the administrator has just sent elsewhere, has no unknown users.

use qmail_lookup_config::control;
use qmail_lookup_core::control::Control;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long what was read is used.
const TTL: Duration = Duration::from_secs(1);

/// When reading began, and what was read.
type Read = (Instant, Arc<Control>);

/// See the module.
pub(crate) struct ControlFiles {
    qmail: PathBuf,
    read: Arc<Mutex<Option<Read>>>,
    /// One reader at a time: a file system that hangs must not take the threads that everybody else needs.
    reader: Arc<Semaphore>,
}

impl ControlFiles {
    /// `before` is what this takes the place of: a reader of it that hangs is waited for.
    pub(crate) fn new(qmail: PathBuf, before: Option<&Self>) -> Self {
        let reader = before.map_or_else(|| Arc::new(Semaphore::new(1)), |before| Arc::clone(&before.reader));
        Self { qmail, read: Arc::default(), reader }
    }

    /// What the files say, as of a second ago at most.
    ///
    /// # Errors
    /// If one of them is there and cannot be read, or not in time.
    pub(crate) async fn read(&self, by: Deadline) -> Result<Arc<Control>, LookupError> {
        if let Some(control) = self.known() {
            return Ok(control);
        }
        let late = || LookupError::new(ErrorKind::Timeout, "control files", "not read in time");
        tokio::time::timeout_at(by.instant().into(), self.read_anew()).await.map_err(|_| late())?
    }

    async fn read_anew(&self) -> Result<Arc<Control>, LookupError> {
        let trouble = |what: String| LookupError::new(ErrorKind::Unreachable, "control files", what);
        let turn = Arc::clone(&self.reader).acquire_owned().await.map_err(|error| trouble(error.to_string()))?;
        // Perhaps who had the turn before has read them.
        if let Some(control) = self.known() {
            return Ok(control);
        }
        let (qmail, kept) = (self.qmail.clone(), Arc::clone(&self.read));
        let reading = move || {
            // The turn ends with the reading, and not with whoever waits for it.
            let _turn = turn;
            let begun = Instant::now();
            let control = Arc::new(control::control(&qmail)?);
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((begun, Arc::clone(&control)));
            Ok::<_, std::io::Error>(control)
        };
        let read = tokio::task::spawn_blocking(reading).await.map_err(|error| trouble(error.to_string()))?;
        read.map_err(|error| trouble(error.to_string()))
    }

    fn known(&self) -> Option<Arc<Control>> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(since, _)| since.elapsed() < TTL).map(|(_, control)| Arc::clone(control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::Host;

    /// Nothing here takes this long, unless it hangs.
    const LONG: Duration = Duration::from_secs(30);

    /// Threads that may block. Far fewer than the questions below.
    const THREADS: usize = 4;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(THREADS).build().unwrap()
    }

    fn hangs_and_recovers(name: &str) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("control")).unwrap();
        std::fs::write(home.path().join("control/locals"), "local.test\n").unwrap();
        let path = home.path().join("control").join(name);
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let runtime = runtime();
        runtime.block_on(async {
            let first = Arc::new(ControlFiles::new(home.path().to_owned(), None));
            let asked: Vec<_> = (0..10 * THREADS)
                .map(|_| {
                    let locals = Arc::clone(&first);
                    tokio::spawn(async move { locals.read(Deadline::after(Duration::from_millis(200))).await })
                })
                .collect();
            for answer in asked {
                assert_eq!(answer.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout, "not known is an error");
            }
            let other = tokio::time::timeout(LONG, tokio::task::spawn_blocking(|| "done")).await;
            // What follows opens the FIFO, so that nothing hangs when this fails.
            let next = ControlFiles::new(home.path().to_owned(), Some(&first));
            let late = next.read(Deadline::after(Duration::from_millis(200))).await;
            let (fifo, kept) = (path.clone(), home.path().join("kept"));
            std::thread::spawn(move || {
                // In this order nobody finds the FIFO once those who wait for it were let go.
                std::fs::rename(&fifo, &kept).unwrap();
                std::fs::write(&fifo, "local.test:x\n").unwrap();
                std::fs::write(&kept, "local.test:x\n").unwrap();
            })
            .join()
            .unwrap();
            assert_eq!(other.expect("others have threads left").unwrap(), "done");
            assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
            let control = next.read(Deadline::after(LONG)).await.unwrap();
            assert!(control.virtual_domains.find(b"x@local.test").is_some() || name == "locals");
        });
        runtime.shutdown_background();
    }

    #[test]
    fn a_file_that_hangs_takes_one_thread_and_no_more() {
        hangs_and_recovers("locals");
        hangs_and_recovers("virtualdomains");
    }

    #[test]
    fn both_files_are_read() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("control")).unwrap();
        std::fs::write(home.path().join("control/locals"), "local.test\n").unwrap();
        std::fs::write(home.path().join("control/virtualdomains"), "v.test:bob\n").unwrap();
        let control =
            runtime().block_on(ControlFiles::new(home.path().to_owned(), None).read(Deadline::after(LONG))).unwrap();
        assert_eq!(control.locals, Some(vec![Host::new(b"local.test").unwrap()]));
        assert_eq!(control.virtual_domains.find(b"x@v.test"), Some((&b"v.test"[..], &b"bob"[..])));
    }
}
