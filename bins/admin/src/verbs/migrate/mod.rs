//! `migrate`: reads all rows of one store, judges them, writes what the other one lacks, and compares. It is the same
//! however often it is run, so it goes on by being run again.

use super::compare;
use crate::cli::{self, Cli};
use crate::exit::Exit;
use crate::moving::{Hooks, Rows, Side, State, Stop, copy_with, default_path, file_of, identity, sides, was_begun};
use crate::output::{Failure, Output};
use crate::progress::Progress;
use crate::session::Session;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::Role;
use serde_json::json;
use std::os::unix::fs::MetadataExt;

pub(crate) async fn run(
    cli: &Cli,
    options: &cli::Migrate,
    registry: &Registry,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let [from, to] = sides(cli, registry, &options.from, &options.to)?;
    let same = Role::ALL.into_iter().find(|role| is_same(&from.session, &to.session, *role));
    if let Some(role) = same {
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
    let names = (identity(&from.name), identity(&to.name));
    let place = match &options.state {
        Some(place) => place.clone(),
        None => default_path(&names.0, &names.1)?,
    };
    let dry_run = options.into.dry_run;
    let mut state = if dry_run { None } else { Some(State::open(place.clone(), &names.0, &names.1)?) };
    let begun_before = state.as_ref().map_or_else(|| was_begun(&place, &names.0, &names.1), State::begun);
    let mut progress = Progress::with_lines(options.into.quiet);
    progress.begin("reading the source", None);
    let rows = Rows::of(&from.session, true, |_, n| progress.advance(n)).await;
    progress.end();
    let mut begins = || state.as_mut().map_or(Ok(()), State::note);
    let hooks = Hooks { begun_before, begins: &mut begins, stop };
    let copied = match rows {
        Ok(rows) => copy_with(&rows, &from.name, &to.session, &options.into, hooks, output).await,
        Err(error) => Err(error),
    };
    let copied = match copied {
        Ok(copied) => copied,
        Err(error) => {
            if let Some(state) = state {
                state.leave();
            }
            return Err(error);
        }
    };
    if let Some(state) = state {
        state.forget();
        // The daemon in front of the target forgets by itself soon, if it is not there or does not want to be told.
        let _ = super::daemon::forget(&to.session.config).await;
    }
    let as_it_is = copied.differing + copied.refused + copied.left_over == 0;
    let exit = if as_it_is { Exit::Yes } else { Exit::No };
    if dry_run || options.no_compare {
        let result = match (as_it_is, dry_run) {
            (false, _) => "different",
            (true, true) => "possible",
            (true, false) => "copied",
        };
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

/// True if both are the same place for `role`.
fn is_same(from: &Session, to: &Session, role: Role) -> bool {
    if from.config.store.role(role).same_backend(to.config.store.role(role)) {
        return true;
    }
    let file = |session: &Session| {
        let stores = &session.stores;
        let store = match role {
            Role::Mailbox => &stores.mailbox,
            Role::Alias => &stores.alias,
            Role::Virtual => &stores.virtuals,
        };
        let found = std::fs::metadata(file_of(&**store)?).ok()?;
        Some((found.dev(), found.ino()))
    };
    file(from).is_some_and(|here| file(to) == Some(here))
}
