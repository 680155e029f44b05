//! `doctor`: the FAQ's symptoms on this host.
//!
//! | what | room |
//! |---|---|
//! | questions and answers | `questions`, `check` |
//! | the host; trying as somebody else | `host`, `ids` |
//! | the configuration, and who can read it | `config` |
//! | stores: connection, grants, tables, canary | `store` |
//! | programs in qmail's bin, and qmail-getpw as it is run | `programs`, `getpw` |
//! | control files and limits as qmail's users find them | `controls` |
//! | the daemon on the same configuration | `same` |
//! | homes and maildirs | `homes`, `maildir` |
//! | qmail-local as it is run, the alias user | `local` |
//! | logins | `login` |
//! | rows that the log will call a misconfiguration | `rows` |
//! | hosts in the control files | `hosts`, `locals` |
//! | users/cdb | `users_cdb` |
//! | qmail-send | `send` |

mod check;
mod config;
mod controls;
mod getpw;
mod homes;
mod host;
mod hosts;
pub(super) mod ids;
mod local;
mod locals;
mod login;
mod maildir;
mod programs;
mod questions;
mod rows;
mod same;
mod send;
mod store;
mod users_cdb;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use check::Report;
use host::Host;
use nix::unistd::geteuid;
use qmail_lookup_backends::registry::Registry;

pub(crate) async fn run(
    cli: &cli::Cli,
    options: &cli::Doctor,
    registry: &Registry,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut report = Report::default();
    if let Some(session) = config::load(cli, registry, &mut report) {
        all(&mut host_of(cli, options, session), &mut report).await;
    }
    Ok(report.finish(output))
}

fn host_of<'a>(cli: &'a cli::Cli, options: &'a cli::Doctor, session: Session) -> Host<'a> {
    let qmail = options.qmail.clone().unwrap_or_else(|| session.config.qmail.clone());
    Host { cli, options, session, qmail, is_root: geteuid().is_root(), down: Vec::new() }
}

/// Cheap and basic ones first: the later ones say so if they depend on one of them that failed.
async fn all(host: &mut Host<'_>, report: &mut Report) {
    config::secrets(host, report).await;
    store::run(host, report).await;
    programs::run(host, report).await;
    controls::run(host, report).await;
    let sample = rows::sample(host).await;
    getpw::run(host, &sample, report).await;
    let mailbox = homes::run(host, &sample, report).await;
    local::run(host, mailbox, report).await;
    login::run(host, &sample, report).await;
    rows::run(host, &sample, report).await;
    hosts::run(host, report).await;
    users_cdb::run(host, report).await;
    send::run(host, report);
}
