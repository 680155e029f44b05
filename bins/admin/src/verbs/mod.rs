//! One file per verb.

pub(crate) mod alias;
pub(crate) mod auth;
mod check;
mod compare;
mod completion;
pub(crate) mod daemon;
mod demo;
mod doctor;
mod explain;
mod export;
mod getpw;
mod import;
mod init;
mod install;
pub(crate) mod lint;
mod mailbox;
mod make_home;
mod migrate;
mod rcpthost;
mod sync;
mod uninstall;
mod user;
mod virtuals;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::{Session, configuration};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_core::wire::auth::Question;
use std::os::unix::ffi::OsStrExt;

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
        Verb::Getpw { local, null, check_home } => {
            getpw::run(&open(output)?, local.as_bytes(), *null, *check_home, output).await
        }
        Verb::Mailbox { user } => mailbox::run(&open(output)?, user.as_bytes(), output).await,
        Verb::Alias(verb) => alias::run(&open(output)?, verb, output).await,
        Verb::Virtual(verb) => virtuals::run(&open(output)?, verb, output).await,
        Verb::Rcpthost(verb) => rcpthost::run(&open(output)?, verb, output).await,
        Verb::User { edit } => user::run(&open(output)?, edit, output).await,
        Verb::Compare(options) => compare::run(cli, options, registry, output).await,
        Verb::Migrate(options) => migrate::run(cli, options, registry, output).await,
        Verb::Export(options) => export::run(&open(output)?, options, output).await,
        Verb::Import(options) => import::run(&open(output)?, options, output).await,
        Verb::Completion { shell } => completion::run(*shell, output),
        Verb::MakeHome(options) => make_home::run(options, output),
        Verb::Auth { user } => {
            let offered = crate::editing::password::offered().await?;
            auth::run(&open(output)?, user.as_bytes(), &offered, output).await
        }
        Verb::Explain { address } => explain::run(&open(output)?, address.as_bytes(), output).await,
        Verb::Check => check::run(&open(output)?, output).await,
        Verb::Trust => daemon::run(&configuration(cli, registry)?, Question::Trust, output).await,
        Verb::Flush => daemon::run(&configuration(cli, registry)?, Question::Flush, output).await,
        Verb::Lint(options) => lint::run(&open(output)?, options, output).await,
        Verb::Sync(options) => sync::run(&open(output)?, options, output).await,
        Verb::Install(options) => install::run(&open(output)?, options, output).await,
        Verb::Uninstall(options) => uninstall::run(cli, options, registry, output).await,
        Verb::Doctor(options) => doctor::run(cli, options, registry, output).await,
    }
}
