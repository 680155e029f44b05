//! `completion`: what makes a shell complete verbs and options.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use clap::CommandFactory;

pub(crate) fn run(shell: clap_complete::Shell, output: &mut Output) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "qmail-lookup", &mut text);
    output.raw(&text);
    Ok(Exit::Yes)
}
