//! Changing rows of the stores: what every verb that edits does with its changes.

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::Change;

/// Makes `changes` in one transaction, or says what they would be.
///
/// # Errors
/// If `lint` would report the rows and `options.force` is not given, if they were not made, or if that is not known.
pub(crate) async fn make(
    _session: &Session,
    _changes: &[Change],
    _options: &cli::Edit,
    _output: &mut Output,
) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
