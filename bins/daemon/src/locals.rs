//! control/locals, read again when it may have changed: a host that has just become local has no unknown users.

use qmail_lookup_config::control;
use qmail_lookup_core::{Deadline, ErrorKind, Host, LookupError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is used.
const TTL: Duration = Duration::from_secs(1);

/// The hosts; `None` if there is no such file.
pub(crate) type Hosts = Arc<Option<Vec<Host>>>;

/// See the module.
pub(crate) struct Locals {
    qmail: PathBuf,
    read: Mutex<Option<(Instant, Hosts)>>,
}

impl Locals {
    pub(crate) fn new(qmail: PathBuf) -> Self {
        Self { qmail, read: Mutex::default() }
    }

    /// The hosts, as of a second ago at most.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or not in time.
    pub(crate) async fn hosts(&self, by: Deadline) -> Result<Hosts, LookupError> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, hosts)) = known
            && since.elapsed() < TTL
        {
            return Ok(hosts);
        }
        let trouble = |kind, what: String| LookupError::new(kind, "control/locals", what);
        let qmail = self.qmail.clone();
        let reading = tokio::task::spawn_blocking(move || control::locals(&qmail));
        let read = tokio::time::timeout_at(by.instant().into(), reading)
            .await
            .map_err(|_| trouble(ErrorKind::Timeout, "not read in time".to_owned()))?
            .map_err(|error| trouble(ErrorKind::Unreachable, error.to_string()))?
            .map_err(|error| trouble(ErrorKind::Unreachable, error.to_string()))?;
        let hosts = Arc::new(read);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&hosts)));
        Ok(hosts)
    }
}
