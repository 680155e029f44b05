//! One file per verb.

mod alias;
mod auth;
mod check;
mod demo;
mod explain;
mod getpw;
mod init;
mod mailbox;
mod rcpthost;
mod virtuals;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_backends::registry::Registry;

/// Runs the verb.
///
/// # Errors
/// Whatever ends it early; the caller prints it.
pub(crate) async fn run(cli: &Cli, registry: &Registry, output: &mut Output) -> Result<Exit, Failure> {
    let open = |output: &Output| Session::open(cli, registry, output);
    match &cli.verb {
        Verb::Demo { keep } => demo::run(*keep, registry, output).await,
        Verb::Init { username_width, with_seq, print } => {
            init::run(cli, registry, *username_width, *with_seq, *print, output).await
        }
        Verb::Getpw { local, null, check_home } => getpw::run(&open(output)?, local, *null, *check_home, output).await,
        Verb::Mailbox { user } => mailbox::run(&open(output)?, user, output).await,
        Verb::Alias { user, ext } => alias::run(&open(output)?, user, ext.as_deref(), output).await,
        Verb::Virtual { address } => virtuals::run(&open(output)?, address, output).await,
        Verb::Rcpthost { host } => rcpthost::run(&open(output)?, host, output).await,
        Verb::Auth { user } => auth::run(&open(output)?, user, output).await,
        Verb::Explain { address } => explain::run(&open(output)?, address, output).await,
        Verb::Check => check::run(&open(output)?, output).await,
    }
}
