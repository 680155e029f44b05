//! Changing rows of the stores: what every verb that edits does with its changes.
//!
//! | what | room |
//! |---|---|
//! | rows as they are now | `rows` |
//! | what `lint` would say about them as they will be | `judge`, and `qmail_lookup_backends::overlay` |
//! | passwords: asked for, hashed, seen to work | `password` |
//! | what is printed | `show` |
//! | homes | `home` |

pub(crate) mod home;
mod judge;
pub(crate) mod password;
pub(crate) mod rows;
pub(crate) mod show;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use crate::verbs::{daemon, lint};
use qmail_lookup_core::lint::{Finding, key_of};
use qmail_lookup_core::{Applied, Change, EditCause, EditError};
use serde_json::{Value, json};
use std::sync::Arc;

/// An edit: what is changed, and what has to be known to judge it.
#[derive(Default)]
pub(crate) struct Plan {
    /// In an order in which a failure between two of them loses no mail: a store without transactions, and one of several
    /// stores, may get no further.
    pub(crate) changes: Vec<Change>,
    /// Rows, as they are now, that are not changed and could be made wrong: forwards to a mailbox that is deleted.
    pub(crate) beside: Vec<qmail_lookup_core::TableRow>,
    /// Rules of findings that are what the verb is asked to do; they are told, and stop nothing.
    pub(crate) meant: &'static [&'static str],
    /// The old name and the new one, if a mailbox gets another.
    pub(crate) renamed: Option<(String, String)>,
    /// Homes are looked at, too.
    pub(crate) homes: bool,
    /// What it comes to, in the past tense: `mailbox iain added`.
    pub(crate) done: String,
    /// What else has to be known afterwards.
    pub(crate) remarks: Vec<String>,
}

/// Makes the plan's changes, or says what they would be.
///
/// # Errors
/// If they were not made, or that is not known.
pub(crate) async fn make(
    session: &Session,
    plan: &Plan,
    options: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if let Some(exit) = review(session, plan, options, output).await? {
        return Ok(exit);
    }
    carry_out(session, &plan.changes).await?;
    finish(session, plan, output).await
}

/// Judges the plan. Gives the exit status if it ends here: it is refused, or only to be shown.
///
/// # Errors
/// If a store could not be asked.
pub(crate) async fn review(
    session: &Session,
    plan: &Plan,
    options: &cli::Edit,
    output: &mut Output,
) -> Result<Option<Exit>, Failure> {
    let caused = if options.force { Vec::new() } else { judge::caused(session, plan, output).await? };
    let (meant, wrong): (Vec<Finding>, Vec<Finding>) =
        caused.into_iter().partition(|finding| plan.meant.contains(&finding.rule));
    if !output.is_json() {
        for finding in meant {
            let (_, text) = lint::worded(&session.stores, finding);
            output.complain(&text);
        }
    }
    let worded: Vec<(Value, String)> =
        wrong.into_iter().map(|finding| lint::worded(&session.stores, finding)).collect();
    let findings: Vec<&Value> = worded.iter().map(|(value, _)| value).collect();
    let is_refused = !worded.is_empty();
    if options.dry_run {
        let changes: Vec<Value> = plan.changes.iter().map(show::change_json).collect();
        let result = if is_refused { "refused" } else { "dry-run" };
        let value = json!({ "result": result, "changes": changes, "findings": findings });
        output.result(&value, |out| {
            plan.changes.iter().for_each(|change| show::change(session, change, out));
            worded.iter().for_each(|(_, text)| out.line(text));
        });
    } else if is_refused {
        output.result(&json!({ "result": "refused", "findings": findings }), |out| {
            worded.iter().for_each(|(_, text)| out.line(text));
        });
    }
    if is_refused {
        output.complain("refused: lint would report this; nothing was changed (--force does it anyway)");
        return Ok(Some(Exit::No));
    }
    Ok(options.dry_run.then_some(Exit::Yes))
}

/// Makes `changes`: those of one store that follow each other in one transaction.
///
/// # Errors
/// Says how many were made, and whether that is known.
pub(crate) async fn carry_out(session: &Session, changes: &[Change]) -> Result<(), Failure> {
    let place = |change: &Change| rows::store(session, table_of(change));
    let mut made = 0;
    for part in changes.chunk_by(|one, next| Arc::ptr_eq(place(one), place(next))) {
        let Some(first) = part.first() else { continue };
        let editor = rows::editor(session, table_of(first))?;
        let done = editor.apply_and_read_back(part, rows::by(session)).await;
        done.map_err(|error| failed(changes, made, part, &error))?;
        made += part.len();
    }
    Ok(())
}

fn table_of(change: &Change) -> qmail_lookup_core::Table {
    row_of(change).table()
}

fn row_of(change: &Change) -> &qmail_lookup_core::TableRow {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Replace { old: row, .. } => row,
    }
}

/// The trouble with `part`, before which `before` changes were made.
fn failed(changes: &[Change], before: usize, part: &[Change], error: &EditError) -> Failure {
    let which = error.change.and_then(|at| part.get(at)).map(|change| {
        let row = row_of(change);
        format!("{} of table {}: ", key_of(row), row.table())
    });
    let why = match &error.cause {
        EditCause::RowIsGone => "the row is gone, or was changed by somebody else meanwhile".to_owned(),
        EditCause::RowRefused(text) => format!("the store refused the row: {text}"),
        EditCause::Store(error) => error.to_string(),
        _ => error.to_string(),
    };
    let in_part = match error.applied {
        Applied::Partial { applied } => applied,
        Applied::Nothing | Applied::Unknown => 0,
    };
    let made = changes.get(..before + in_part).unwrap_or_default();
    let shown: Vec<String> = made.iter().map(show::in_words).collect();
    let made = match (shown.is_empty(), error.applied) {
        (true, Applied::Unknown) => {
            "it is not known whether anything was changed: look before you do it again".to_owned()
        }
        (false, Applied::Unknown) => {
            format!("made before: {}; whether more was is not known: look before you do it again", shown.join(", "))
        }
        (true, _) => "nothing was changed".to_owned(),
        (false, _) => format!("made before, and left so: {}", shown.join(", ")),
    };
    let what = format!("{}{why}; {made}", which.unwrap_or_default());
    match (&error.cause, error.applied) {
        (EditCause::Store(_), _) | (_, Applied::Unknown) => Failure::temporary(what),
        _ => Failure::refused(what),
    }
}

/// Has the daemon forget its answers, and says what was done.
///
/// # Errors
/// Never: what could not be told the daemon is said beside the result.
pub(crate) async fn finish(session: &Session, plan: &Plan, output: &mut Output) -> Result<Exit, Failure> {
    let mut remarks = plan.remarks.clone();
    if let Err(failure) = daemon::forget(&session.config).await {
        let kept = session.config.cache.ttl;
        output.complain(&format!(
            "{}: the daemon was not told, and may answer as before for {kept:?}; run `qmail-lookup flush` as root",
            failure.line()
        ));
        remarks.push("the daemon was not told".to_owned());
    }
    output.result(&json!({ "result": "done", "text": plan.done, "remarks": remarks }), |out| {
        out.say(&plan.done);
        plan.remarks.iter().for_each(|remark| out.say(remark));
    });
    Ok(Exit::Yes)
}

/// Says that there is nothing to do.
pub(crate) fn as_it_is(what: &str, output: &mut Output) -> Exit {
    output.result(&json!({ "result": "unchanged", "text": what }), |out| out.say(what));
    Exit::Yes
}
