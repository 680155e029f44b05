//! One line of the log per attempt, target `audit`. It never holds a password, nor a login that no mailbox has:
//! people type passwords there.

use super::{Attempt, Outcome};
use qmail_lookup_core::Username;
use qmail_lookup_core::error::printable;
use std::time::Duration;

/// Longest service or address that is logged. Unit: bytes.
const FIELD_MAX: usize = 64;

/// Who tried, as far as the log may know.
pub(super) struct Client {
    service: String,
    remote: String,
}

impl Client {
    pub(super) fn of(attempt: &Attempt) -> Self {
        let short = |field: &[u8]| printable(field.get(..FIELD_MAX).unwrap_or(field));
        Self { service: short(&attempt.service), remote: short(&attempt.remote) }
    }
}

/// Writes the line.
pub(super) fn log(client: &Client, outcome: &Outcome, took: Duration) {
    let (word, reason, mailbox) = match outcome {
        Outcome::Granted(mailbox) => ("granted", None, Some(&mailbox.username)),
        Outcome::Refused { why, mailbox, .. } => ("refused", Some(why.as_str()), mailbox.as_ref()),
        Outcome::Stock => ("stock", None, None),
        Outcome::Temporary(why) => ("temporary", Some(why.as_str()), None),
    };
    tracing::info!(
        target: "audit",
        outcome = word,
        reason,
        mailbox = mailbox.map(Username::as_str),
        service = client.service,
        remote = client.remote,
        ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "login {word}"
    );
}
