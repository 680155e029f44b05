//! Questions that always end.

use futures_util::FutureExt;
use qmail_lookup_core::{Deadline, LookupError};
use std::panic::AssertUnwindSafe;
use tokio::time::timeout_at;

/// The answer, or why there is none by the deadline; a panic is none (rule P5).
///
/// # Errors
/// In words, without a secret.
pub(crate) async fn answered<T>(
    answer: impl Future<Output = Result<T, LookupError>>,
    by: Deadline,
) -> Result<T, String> {
    match timeout_at(by.instant().into(), AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(answer)) => answer.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("the question ended early".to_owned()),
        Err(_) => Err("no answer before the deadline".to_owned()),
    }
}
