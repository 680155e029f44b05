//! `completion`: what makes a shell complete verbs and options.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use clap::{Command, CommandFactory};

pub(crate) fn run(shell: clap_complete::Shell, output: &mut Output) -> Result<Exit, Failure> {
    let whole = Cli::command();
    // The generators offer hidden verbs, too.
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let mut shown = Command::new("qmail-lookup").args(whole.get_arguments().cloned()).subcommands(verbs);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown, "qmail-lookup", &mut text);
    // For bash the generator writes a name with a dash in two ways, and finds no verb's options by the second one.
    let text = String::from_utf8_lossy(&text).replace("qmail__subcmd__lookup", "qmail__lookup");
    output.raw(text.as_bytes());
    Ok(Exit::Yes)
}
