//! `user add`, `show`, `list`, `del`, `passwd`, `suspend`, `resume`, `rename`.

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;

pub(crate) async fn run(_session: &Session, _edit: &cli::User, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::usage("not here yet"))
}
