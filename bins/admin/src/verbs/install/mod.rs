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
use remarks::Remarks;
use serde_json::{Value, json};
use std::path::{Path, absolute};
use step::Step;

pub(crate) async fn run(session: &Session, options: &cli::Install, output: &mut Output) -> Result<Exit, Failure> {
    let config = &session.config;
    let qmail = options.qmail.as_deref().unwrap_or(&config.qmail);
    let mut remarks = Remarks::default();
    place::is_root(options.dry_run, &mut remarks);
    if !place::is_qmail(qmail, &mut remarks) || remarks.verdict().is_some() {
        return Ok(end(&remarks, &[], options.dry_run, "installed", output));
    }
    let _lock = if options.dry_run { None } else { Some(Lock::take(qmail)?) };

    place::programs(qmail, &mut remarks);
    place::users(config, &mut remarks);
    let checkpassword = options.checkpassword.as_deref().map(absolute).transpose()?;
    let ground = Ground {
        qmail,
        daemon: &config.daemon,
        before: Installed::load(qmail)?,
        checkpassword: checkpassword.as_deref(),
        programs: &options.programs,
    };
    let steps = plan::plan(&ground, &mut remarks)?;
    for (store, _) in session.stores() {
        remarks.known(store.ping(session.by).await);
    }
    if remarks.unknown.is_empty() {
        assigned::judge(session, qmail, &mut remarks).await;
        virtuals::judge(session, &mut remarks).await;
    }
    daemon::judge(config, &mut remarks).await;
    if !options.dry_run && remarks.verdict().is_none() {
        carry_out(&steps, qmail, &remarks, output)?;
    }
    Ok(end(&remarks, &steps, options.dry_run, "installed", output))
}

/// Does it all, or up to the first trouble; then it says what was done before.
///
/// # Errors
/// What a step says.
pub(super) fn carry_out(steps: &[Step], qmail: &Path, remarks: &Remarks, output: &mut Output) -> Result<(), Failure> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(failure) = step.carry_out(qmail) {
            if !output.is_json() {
                remarks.print(output);
                steps.iter().take(done).for_each(|step| output.line(step.to_string()));
            }
            return Err(failure);
        }
    }
    Ok(())
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
    let mut value = json!({ "result": result, "steps": lines });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, remarks.to_json()) {
        value.extend(more);
    }
    output.result(&value, |out| {
        remarks.print(out);
        match (verdict, dry_run) {
            (Some(_), _) => out.line("nothing was changed"),
            (None, _) if lines.is_empty() => out.line(format!("{done} already")),
            (None, true) => lines.iter().for_each(|line| out.line(format!("would {line}"))),
            (None, false) => {
                lines.iter().for_each(|line| out.line(line));
                out.line(done);
            }
        }
    });
    verdict.unwrap_or(Exit::Yes)
}
