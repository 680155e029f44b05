//! `export`: the four tables as text.

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;

pub(crate) async fn run(_session: &Session, _options: &cli::Export, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
