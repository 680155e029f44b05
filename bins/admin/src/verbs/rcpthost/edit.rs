//! `add`, `list`, `del`.

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;

pub(super) async fn run(_session: &Session, _edit: &cli::Rcpthost, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
