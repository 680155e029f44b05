//! `sync`: qmail's control files kept in step with the stores.
//!
//! | what | room |
//! |---|---|
//! | one look: lock, read, plan, write | [`pass`] |
//! | reading both tables | [`rows`] |
//! | reading qmail's home | [`home`] |
//! | control files that others change, too | [`control`] |
//! | writing, in an order that no crash can spoil | [`steps`] |
//! | what is remembered from look to look | [`memory`] |
//! | what is told | [`report`] |
//! | `--watch` | [`watch`] |

mod control;
pub(super) mod home;
pub(super) mod memory;
pub(super) mod pass;
mod report;
pub(super) mod rows;
mod steps;
mod watch;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use pass::Pass;

pub(crate) async fn run(session: &Session, options: &cli::Sync, output: &mut Output) -> Result<Exit, Failure> {
    let pass = Pass::new(session, options);
    if options.watch {
        return watch::run(&pass, output).await;
    }
    let report = pass.run().await?;
    report.show(output);
    Ok(report.exit())
}
