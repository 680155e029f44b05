//! `migrate`.

use crate::cli::{self, Cli};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use qmail_lookup_backends::registry::Registry;

pub(crate) async fn run(
    _cli: &Cli,
    _options: &cli::Migrate,
    _registry: &Registry,
    _output: &mut Output,
) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
