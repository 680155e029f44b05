//! `lint`: what is wrong with the rows.
//!
//! | what | room |
//! |---|---|
//! | each table by itself, in one reading | `rows`, with the judgments of `qmail_lookup_core::lint` |
//! | loops of aliases | `follow` |
//! | targets and owners that do not exist | `targets` |
//! | catch-alls that swallow mailboxes | `swallowed` |
//! | virtual hosts beside table rcpthosts and the control files | `hosts` |
//! | system users, users/cdb | `system` |
//! | homes | `homes`, `dwelling` |
//! | owners of lists; suspended mailboxes that still get mail | `lists`, `suspended` |
//! | questions to the stores, and to this machine | `ask`, `machine` |
//! | what is printed; words | `report`, `words` |

mod ask;
mod dwelling;
mod follow;
mod homes;
mod hosts;
mod lists;
mod machine;
mod report;
mod rows;
mod suspended;
mod swallowed;
mod system;
mod targets;
mod words;

pub(super) use ask::joined;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::pages::Pages;
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_core::Table;
use qmail_lookup_core::lint::Finding;
use report::Report;
pub(crate) use report::worded;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the passes work with.
struct Lint<'a> {
    session: &'a Session,
    options: &'a cli::Lint,
    /// qmail's home.
    qmail: PathBuf,
    report: Report<'a>,
    progress: Progress,
    /// How many rows a table had when it was last read to its end; for the bar only.
    totals: BTreeMap<Table, u64>,
}

pub(crate) async fn run(session: &Session, options: &cli::Lint, output: &mut Output) -> Result<Exit, Failure> {
    let progress = Progress::new(options.quiet || output.is_json());
    let report = Report::new(&session.stores, output, progress.bar());
    let qmail = options.qmail.clone().unwrap_or_else(|| session.config.qmail.clone());
    let mut lint = Lint { session, options, qmail, report, progress, totals: BTreeMap::new() };
    let done = passes(&mut lint).await;
    lint.progress.end();
    Ok(lint.report.finish(done, options.strict))
}

/// What all passes find in the tables of `session`; nothing is printed. Homes themselves are looked at if `homes`;
/// whether they have a file for a forward's target, unless the options say otherwise.
///
/// # Errors
/// If a store could not be read or asked.
pub(crate) async fn findings(
    session: &Session,
    options: &cli::Lint,
    homes: bool,
    output: &mut Output,
) -> Result<Vec<Finding>, Failure> {
    let progress = Progress::new(true);
    let report = Report::collecting(&session.stores, output, progress.bar());
    let qmail = session.config.qmail.clone();
    let mut lint = Lint { session, options, qmail, report, progress, totals: BTreeMap::new() };
    passes_over_rows(&mut lint).await?;
    if homes {
        homes::run(&mut lint).await?;
    }
    Ok(lint.report.collected())
}

async fn passes(lint: &mut Lint<'_>) -> Result<(), Failure> {
    passes_over_rows(lint).await?;
    homes::run(lint).await
}

async fn passes_over_rows(lint: &mut Lint<'_>) -> Result<(), Failure> {
    rows::run(lint).await?;
    follow::run(lint).await?;
    targets::run(lint).await?;
    swallowed::run(lint).await?;
    hosts::run(lint).await?;
    system::run(lint).await
}

impl Lint<'_> {
    /// Begins to read `table`, with a bar that says `what` is being done.
    ///
    /// # Errors
    /// As [`Pages::begin`].
    async fn pages(&mut self, table: Table, what: &str) -> Result<Pages, Failure> {
        self.progress.begin(what, self.totals.get(&table).copied());
        Pages::begin(self.session, table).await
    }
}
