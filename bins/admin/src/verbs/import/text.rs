//! What `export` wrote.

use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(_options: &cli::Import, _rows: &mut Rows, _losses: &mut Losses) -> Result<(), Failure> {
    Err(Failure::usage("not here yet"))
}
