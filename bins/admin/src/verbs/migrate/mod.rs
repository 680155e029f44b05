//! `migrate`: reads all rows of one store, judges them, writes what the other one lacks, and compares. It is the same
//! however often it is run, so it goes on by being run again.

use super::compare;
use crate::cli::{self, Cli};
use crate::exit::Exit;
use crate::moving::{Hooks, Migration, Rows, Side, State, Stop, common, copy_with, default_path, sides, was_begun};
use crate::output::{Failure, Output};
use crate::progress::Progress;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_core::Table;
use serde_json::json;

pub(crate) async fn run(
    cli: &Cli,
    options: &cli::Migrate,
    registry: &Registry,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let [from, to] = sides(cli, registry, &options.from, &options.to, output)?;
    if let Some(role) = common(&from.session, &to.session).first() {
        return Err(Failure::usage(format!("--from and --to have the same {} store", role.as_str())));
    }
    let stop = Stop::default();
    stop.guard(migrate(&from, &to, options, &stop, output)).await
}

async fn migrate(
    from: &Side,
    to: &Side,
    options: &cli::Migrate,
    stop: &Stop,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // A file that this run makes is another one than none.
    let migration = || Migration::of((&from.name, &from.session), (&to.name, &to.session));
    let place = match &options.state {
        Some(place) => place.clone(),
        None => default_path(&migration())?,
    };
    let dry_run = options.into.dry_run;
    let mut state = if dry_run { None } else { Some(State::open(place.clone(), &migration())?) };
    let begun_before = state.as_ref().map_or_else(|| was_begun(&place, &migration()), State::begun);
    if state.as_ref().is_some_and(State::is_stale) {
        output.complain(&format!(
            "note: {} is of a migration between other stores of these names; it does not count",
            place.display()
        ));
    }
    let mut progress = Progress::with_lines(options.into.quiet);
    progress.begin("reading the source", None);
    let rows = Rows::of(&from.session, true, |_, n| progress.advance(n)).await;
    progress.end();
    let rows = rows?;
    let by_rows = rows.count(Table::Mailbox)? == 0 && !options.no_compare && !dry_run;
    if by_rows {
        output.complain(
            "the source has no mailbox: no store is believed that has none, so that both cannot be compared by questions; \
             the rows are read again and compared instead",
        );
    }
    let mut begins = || state.as_mut().map_or(Ok(()), |state| state.note(&migration()));
    let hooks = Hooks { begun_before, verifies: by_rows, begins: &mut begins, stop };
    let copied = copy_with(&rows, &from.name, &to.session, &options.into, hooks, output).await?;
    if let Some(state) = state {
        state.forget();
        // The daemon in front of the target forgets by itself soon, if it is not there or does not want to be told.
        let _ = super::daemon::forget(&to.session.config).await;
    }
    let as_it_is = copied.is_whole();
    let exit = if as_it_is { Exit::Yes } else { Exit::No };
    if dry_run || options.no_compare || by_rows {
        let result = match (as_it_is, dry_run) {
            (false, _) => "different",
            (true, true) => "possible",
            (true, false) => "copied",
        };
        if by_rows {
            output.add("compared", json!("rows"));
        }
        let value = json!({ "result": result, "from": from.name, "to": to.name, "rows": copied.json() });
        output.result(&value, |out| out.say(&copied.words(dry_run)));
        return Ok(exit);
    }
    output.add("rows", copied.json());
    if !output.is_json() {
        output.say(&copied.words(false));
        output.flush();
    }
    let compared = compare::between(&from.session, &to.session, &comparison(options), output).await?;
    Ok(if compared == Exit::Yes { exit } else { compared })
}

/// Everything is compared, as `compare` does unless it is told otherwise.
fn comparison(options: &cli::Migrate) -> cli::Compare {
    cli::Compare {
        from: options.from.clone(),
        to: options.to.clone(),
        all: true,
        keys: None,
        from_log: None,
        no_passwords: false,
        parallel: 128,
        quiet: options.into.quiet,
    }
}
