//! `compare`: two stores are asked the same questions.
//!
//! | what | room |
//! |---|---|
//! | which questions: of rows, of a file, of a log | `questions` |
//! | asking both sides | `ask` |
//! | passwords, by the cells of the rows | `passwords` |
//! | rows that contradict the rules on both sides | `misconfigured` |
//! | the rows of both sides, set by set | `pairs` |
//! | what is counted and printed | `report` |

mod ask;
mod misconfigured;
mod pairs;
mod passwords;
mod questions;
mod report;

use crate::cli::{self, Cli};
use crate::exit::Exit;
use crate::moving::{Rows, Side, common, sides};
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::Role;
use qmail_lookup_core::Deadline;
use questions::Questions;
use report::Report;

pub(crate) async fn run(
    cli: &Cli,
    options: &cli::Compare,
    registry: &Registry,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let [left, right] = sides(cli, registry, &options.from, &options.to, output)?;
    told_apart(&left, &right, output)?;
    compared(&left.session, &right.session, options, output.is_json()).await?.print(cli.verbose, output)
}

/// A store is always the same as itself; under other rules it may answer something else.
fn told_apart(left: &Side, right: &Side, output: &Output) -> Result<(), Failure> {
    let (left, right) = (&left.session, &right.session);
    let roles = common(left, right);
    if roles.len() == Role::ALL.len() && left.config.rules == right.config.rules {
        return Err(Failure::usage("--from and --to are the same store, under the same rules: name two stores"));
    }
    if !roles.is_empty() {
        let roles: Vec<_> = roles.into_iter().map(Role::as_str).collect();
        output.complain(&format!("note: --from and --to have the same store for: {}", roles.join(", ")));
    }
    Ok(())
}

/// Compares two stores that are open already, and prints what came out.
///
/// # Errors
/// If a side cannot be reached or cannot list its rows, or a file cannot be read.
pub(crate) async fn between(
    left: &Session,
    right: &Session,
    options: &cli::Compare,
    output: &mut Output,
) -> Result<Exit, Failure> {
    compared(left, right, options, output.is_json()).await?.print(false, output)
}

async fn compared(left: &Session, right: &Session, options: &cli::Compare, json: bool) -> Result<Report, Failure> {
    let is_stdin = |file: &Option<std::path::PathBuf>| file.as_ref().is_some_and(|file| file.as_os_str() == "-");
    if is_stdin(&options.keys) && is_stdin(&options.from_log) {
        return Err(Failure::usage("standard input can be either --keys or --from-log"));
    }
    let all = options.all || (options.keys.is_none() && options.from_log.is_none());
    for side in [left, right] {
        reachable(side, all).await?;
    }
    let mut progress = Progress::new(options.quiet || json);
    let mut report = Report::new([left, right], all, json)?;
    let mut questions = Questions::new()?;
    let rows = if all { Some(read(left, right, !options.no_passwords, &mut progress).await?) } else { None };
    if let Some(rows) = &rows {
        questions.of_rows(rows, [left, right], &mut report)?;
    }
    if let Some(file) = &options.keys {
        questions.of_file(file)?;
    }
    if let Some(file) = &options.from_log {
        questions.of_log(file, &mut report)?;
    }
    questions.finish()?;
    if questions.count()? == 0 {
        let files = [&options.keys, &options.from_log].into_iter().flatten();
        let names: Vec<_> = files.map(|file| file.display().to_string()).collect();
        return Err(Failure::usage(format!("{}: nothing to ask about", names.join(", "))));
    }
    ask::run([left, right], &questions, options.parallel, &mut progress, &mut report).await?;
    if let Some([left, right]) = &rows {
        misconfigured::run(left, right, &mut report)?;
        if !options.no_passwords {
            passwords::run(left, right, &mut report)?;
        }
    }
    progress.end();
    Ok(report)
}

/// A side that is down is found out before anything else is done.
async fn reachable(side: &Session, all: bool) -> Result<(), Failure> {
    for (store, _) in side.stores() {
        store.ping(Deadline::after(side.config.deadline)).await?;
        if all && store.catalog().is_none() {
            let place = store.place();
            return Err(Failure::usage(format!(
                "{place}: this store cannot list its rows: say which keys to compare with --keys or --from-log"
            )));
        }
    }
    Ok(())
}

async fn read(left: &Session, right: &Session, passwords: bool, progress: &mut Progress) -> Result<[Rows; 2], Failure> {
    let mut both = Vec::new();
    for (side, name) in [(left, "reading the left side"), (right, "reading the right side")] {
        progress.begin(name, None);
        both.push(Rows::of(side, passwords, |_, rows| progress.advance(rows)).await?);
    }
    both.try_into().map_err(|_| Failure::temporary("two sides are needed"))
}
