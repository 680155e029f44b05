//! `install`: our programs in the place of qmail's own.

pub(super) mod assigned;
mod daemon;
pub(super) mod memory;
pub(super) mod place;
mod plan;
pub(super) mod remarks;
mod source;
pub(super) mod step;
pub(super) mod virtuals;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::qmail::files::Lock;
use crate::session::Session;
use memory::Installed;
use plan::Ground;
use qmail_lookup_core::Deadline;
use remarks::Remarks;
use serde_json::{Value, json};
use std::path::{Path, absolute};
use step::Step;

pub(crate) async fn run(session: &Session, options: &cli::Install, output: &mut Output) -> Result<Exit, Failure> {
    let config = &session.config;
    let qmail = absolute(options.qmail.as_deref().unwrap_or(&config.qmail))?;
    let qmail = qmail.as_path();
    let mut remarks = Remarks::default();
    place::is_root(options.dry_run, &mut remarks);
    if !place::is_qmail(qmail, &mut remarks) || remarks.verdict().is_some() {
        return Ok(end(&remarks, &[], options.dry_run, "installed", output));
    }
    let _lock = if options.dry_run { None } else { Some(Lock::take(qmail)?) };

    place::programs(qmail, &mut remarks);
    place::control(qmail, &mut remarks).await;
    place::users(config, &mut remarks);
    let checkpassword = options.checkpassword.as_deref().map(place::named).transpose()?;
    let ground = Ground {
        qmail,
        daemon: &config.daemon,
        before: Installed::load(qmail)?,
        checkpassword: checkpassword.as_deref(),
        programs: &options.programs,
    };
    let steps = plan::plan(&ground, &mut remarks)?;
    for (store, _) in session.stores() {
        remarks.known(store.ping(Deadline::after(config.deadline)).await);
    }
    if remarks.unknown.is_empty() {
        assigned::judge(session, qmail, &mut remarks).await;
        virtuals::judge(session, &mut remarks).await;
    }
    daemon::judge(config, &mut remarks).await;
    if !options.dry_run
        && remarks.verdict().is_none()
        && let Some(exit) = carry_out(&steps, qmail, &remarks, output).await
    {
        return Ok(exit);
    }
    Ok(end(&remarks, &steps, options.dry_run, "installed", output))
}

/// Does it all, or up to the first trouble; then it says that, and what was done before, and gives the exit status.
pub(super) async fn carry_out(steps: &[Step], qmail: &Path, remarks: &Remarks, output: &mut Output) -> Option<Exit> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(failure) = step.carry_out(qmail).await {
            let lines: Vec<_> = steps.iter().take(done).map(Step::to_string).collect();
            let value = json!({ "result": "error", "error": failure.to_json(), "steps": lines });
            output.result(&with(value, remarks), |out| {
                remarks.print(out);
                lines.iter().for_each(|line| out.say(line));
            });
            output.flush();
            output.complain(&failure.line());
            return Some(failure.exit());
        }
    }
    None
}

/// The result, and what has to be known about it.
fn with(mut value: Value, remarks: &Remarks) -> Value {
    if let (Value::Object(value), Value::Object(more)) = (&mut value, remarks.to_json()) {
        value.extend(more);
    }
    value
}

/// Says what was done, or would be done, or why nothing is.
pub(super) fn end(remarks: &Remarks, steps: &[Step], dry_run: bool, done: &str, output: &mut Output) -> Exit {
    let verdict = remarks.verdict();
    let result = match (verdict, dry_run) {
        (Some(Exit::No), _) => "refused",
        (Some(_), _) => "unknown",
        (None, true) => "dry-run",
        (None, false) => done,
    };
    let lines: Vec<_> = steps.iter().map(Step::to_string).collect();
    let value = with(json!({ "result": result, "steps": lines }), remarks);
    output.result(&value, |out| {
        remarks.print(out);
        match (verdict, dry_run) {
            (Some(_), _) => out.line("nothing was changed"),
            (None, _) if lines.is_empty() => out.line(format!("{done} already")),
            (None, true) => lines.iter().for_each(|line| out.say(&format!("would {line}"))),
            (None, false) => {
                lines.iter().for_each(|line| out.say(line));
                out.line(done);
            }
        }
    });
    verdict.unwrap_or(Exit::Yes)
}
