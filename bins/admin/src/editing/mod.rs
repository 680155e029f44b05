//! Changing rows of the stores: what every verb that edits does with its changes.
//!
//! | what | room |
//! |---|---|
//! | rows as they are now | `rows` |
//! | what `lint` would say about them as they will be | `judge`, and `qmail_lookup_backends::overlay` |
//! | which rows it has to see for that | `around` |
//! | passwords: asked for, hashed, seen to work | `password` |
//! | what is printed | `show` |
//! | homes | `home` |

mod around;
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
use qmail_lookup_backends::trust::Proof;
use qmail_lookup_config::Role;
use qmail_lookup_core::lint::{Finding, key_of};
use qmail_lookup_core::{Applied, Change, EditCause, EditError, ErrorKind, Table};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;

/// An edit: what is changed, and what has to be known to judge it.
#[derive(Default)]
pub(crate) struct Plan {
    /// In an order in which a failure between two of them loses no mail: a store without transactions, and one of several
    /// stores, may get no further.
    pub(crate) changes: Vec<Change>,
    /// Rows, as they are now, that are not changed and could be made wrong: forwards to a mailbox that is deleted.
    pub(crate) beside: Vec<qmail_lookup_core::TableRow>,
    /// Rules, and tables, of findings that are what the verb is asked to do; they are told, and stop nothing.
    pub(crate) meant: &'static [(&'static str, Table)],
    /// The old name and the new one, if a mailbox gets another.
    pub(crate) renamed: Option<(String, String)>,
    /// Homes are looked at, too.
    pub(crate) homes: bool,
    /// What it comes to, in the past tense: `mailbox iain added`.
    pub(crate) done: String,
    /// What else has to be known afterwards.
    pub(crate) remarks: Vec<String>,
    /// For a refusal by this rule, what helps besides its repair.
    pub(crate) hint: Option<(&'static str, String)>,
    /// What [`review`] found, for [`finish`] to compare with. `None` if nothing was judged.
    pub(crate) judged: RefCell<Option<judge::Judged>>,
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
    let caused = match options.force {
        true => Vec::new(),
        false => {
            let (caused, judged) = judge::caused(session, plan, output).await?;
            plan.judged.replace(Some(judged));
            caused
        }
    };
    let (meant, wrong): (Vec<Finding>, Vec<Finding>) =
        caused.into_iter().partition(|finding| plan.meant.contains(&(finding.rule, finding.table)));
    let meant: Vec<(Value, String)> = meant.into_iter().map(|finding| lint::worded(&session.stores, finding)).collect();
    if output.is_json() && !meant.is_empty() {
        output.add("meant", meant.into_iter().map(|(value, _)| value).collect());
    } else {
        // What mends it may be several lines.
        meant.iter().flat_map(|(_, text)| text.lines()).for_each(|line| output.complain(line));
    }
    let hint = plan.hint.as_ref().filter(|(rule, _)| wrong.iter().any(|finding| finding.rule == *rule));
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
        let mut words =
            vec!["refused: lint would report this; nothing was changed (--force does it anyway)".to_owned()];
        words.extend(hint.map(|(_, text)| text.clone()));
        words.extend(unproved(session).await);
        output.complain(&words.join("; "));
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
        if let Err(error) = done {
            let failure = failed(changes, made, part, &error);
            let is_changed = made > 0 || error.applied != Applied::Nothing;
            return Err(if is_changed { forgotten(session, failure).await } else { failure });
        }
        made += part.len();
    }
    Ok(())
}

/// The trouble, once the daemon has forgotten its answers: some of the rows are other ones, or may be.
async fn forgotten(session: &Session, failure: Failure) -> Failure {
    match daemon::forget(&session.config).await {
        Ok(()) => failure,
        Err(why) => {
            let what = format!("the daemon was not told (run `qmail-lookup flush` as root): {}", why.line());
            failure.after(&what)
        }
    }
}

fn table_of(change: &Change) -> Table {
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

/// Has the daemon forget its answers, and says what was done; and what came of it together with an edit that somebody else
/// has made meanwhile. Two edits that are right by themselves may be wrong together, and whoever looks last sees it.
///
/// # Errors
/// If it is not known whether that has happened.
pub(crate) async fn finish(session: &Session, plan: &Plan, output: &mut Output) -> Result<Exit, Failure> {
    let mut remarks = plan.remarks.clone();
    let is_told = tell_daemon(session, output).await;
    let judged = plan.judged.take();
    let unexpected = match judged {
        Some(judged) => judge::unexpected(session, plan, judged, output).await.map_err(|failure| {
            failure.after(&format!("{}; whether another edit goes against it is not known", plan.done))
        })?,
        None => Vec::new(),
    };
    remarks.extend(unproved(session).await);
    let say = |out: &mut Output| {
        out.say(&plan.done);
        remarks.iter().for_each(|remark| out.say(remark));
    };
    let mut all = remarks.clone();
    all.extend((!is_told).then(|| "the daemon was not told".to_owned()));
    if unexpected.is_empty() {
        output.result(&json!({ "result": "done", "text": plan.done, "remarks": all }), say);
        return Ok(Exit::Yes);
    }
    let worded: Vec<(Value, String)> =
        unexpected.into_iter().map(|finding| lint::worded(&session.stores, finding)).collect();
    let findings: Vec<&Value> = worded.iter().map(|(value, _)| value).collect();
    let value = json!({ "result": "conflict", "text": plan.done, "remarks": all, "findings": findings });
    output.result(&value, |out| {
        say(out);
        worded.iter().for_each(|(_, text)| out.line(text));
    });
    output.complain(
        "the change was made, but somebody else has changed other rows at the same time, and lint reports what the two \
         come to: mend it as it says, or take one of them back",
    );
    Ok(Exit::No)
}

/// What keeps a store from being believed, for each that is not: lookups defer, whatever its other rows say (rule K4).
async fn unproved(session: &Session) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for role in Role::ALL {
        if session.config.store.role(role).proof == Proof::None {
            continue;
        }
        let store = match role {
            Role::Mailbox => &session.stores.mailbox,
            Role::Alias => &session.stores.alias,
            Role::Virtual => &session.stores.virtuals,
        };
        let Err(error) = store.any_mailbox(rows::by(session)).await else { continue };
        if error.kind() == ErrorKind::Misconfigured {
            let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
            let text = format!("no mail is delivered and nobody can log in yet: {}{help}", error.what());
            texts.extend((!texts.contains(&text)).then_some(text));
        }
    }
    texts
}

/// Has the daemon forget its answers. False if it could not be told, which is said on standard error.
pub(crate) async fn tell_daemon(session: &Session, output: &Output) -> bool {
    let Err(failure) = daemon::forget(&session.config).await else { return true };
    let kept = session.config.cache.ttl;
    output.complain(&format!(
        "{}: the daemon was not told, and may answer as before for {kept:?}; run `qmail-lookup flush` as root",
        failure.line()
    ));
    false
}

/// Says that there is nothing to do.
pub(crate) fn as_it_is(what: &str, output: &mut Output) -> Exit {
    output.result(&json!({ "result": "unchanged", "text": what }), |out| out.say(what));
    Exit::Yes
}
