//! Questions that always end.

use futures_util::FutureExt;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::panic::AssertUnwindSafe;
use tokio::time::timeout_at;

/// The answer, or why there is none by the deadline; a panic is none (rule P5).
///
/// # Errors
/// The question's own; their words may quote what was typed.
pub(crate) async fn answered<T>(
    answer: impl Future<Output = Result<T, LookupError>>,
    by: Deadline,
) -> Result<T, LookupError> {
    let none = |kind, what: &str| LookupError::new(kind, "qmail-lookupd", what);
    match timeout_at(by.instant().into(), AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(none(ErrorKind::Unreachable, "a bug: the question ended early")),
        Err(_) => Err(none(ErrorKind::Timeout, "no answer before the deadline")),
    }
}
