//! `uninstall`: qmail's own programs and control files given back.

pub(super) mod hosts;
mod programs;

use super::install::memory::{Before, Installed};
use super::install::remarks::Remarks;
use super::install::step::{Step, named};
use super::install::{carry_out, end, place};
use super::sync::home::alias_home;
use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::qmail::files::{self, Lock};
use crate::qmail::{net, queue, send};
use crate::session::configuration;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::QmailSend;
use qmail_lookup_core::settings::RuleSettings;
use std::path::{Path, PathBuf, absolute};

/// What the configuration, or its defaults, say.
struct Chosen {
    qmail: PathBuf,
    alias_user: String,
    qmail_send: QmailSend,
}

pub(crate) async fn run(
    cli: &cli::Cli,
    options: &cli::Uninstall,
    registry: &Registry,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut remarks = Remarks::default();
    let chosen = chosen(cli, options, registry, &mut remarks)?;
    let qmail = chosen.qmail.as_path();
    place::is_root(options.dry_run, &mut remarks);
    if !place::is_qmail(qmail, &mut remarks) || remarks.verdict().is_some() {
        return Ok(end(&remarks, &[], options.dry_run, "uninstalled", output));
    }
    let _lock = if options.dry_run { None } else { Some(Lock::take(qmail)?) };
    let steps = plan(&chosen, options, &mut remarks)?;
    if !options.dry_run
        && remarks.verdict().is_none()
        && let Some(exit) = carry_out(&steps, qmail, &remarks, output).await
    {
        return Ok(exit);
    }
    // The folder of the lock is made for the lock alone, if nothing was installed.
    let shown = if matches!(steps.as_slice(), [Step::Forget]) { &[] } else { steps.as_slice() };
    Ok(end(&remarks, shown, options.dry_run, "uninstalled", output))
}

/// A configuration that is gone, or broken, does not keep anybody from going back.
fn chosen(
    cli: &cli::Cli,
    options: &cli::Uninstall,
    registry: &Registry,
    remarks: &mut Remarks,
) -> Result<Chosen, Failure> {
    let mut chosen = match (configuration(cli, registry), &options.qmail) {
        (Ok(config), _) => {
            Chosen { qmail: config.qmail, alias_user: config.rules.alias_user, qmail_send: config.sync.qmail_send }
        }
        (Err(failure), Some(qmail)) => {
            remarks.warn(failure.line(), "the defaults are taken for rules.alias_user and sync.qmail_send");
            let (alias_user, qmail_send) = (RuleSettings::default().alias_user, QmailSend::default());
            Chosen { qmail: qmail.clone(), alias_user, qmail_send }
        }
        (Err(failure), None) => return Err(failure),
    };
    chosen.qmail = absolute(options.qmail.clone().unwrap_or(chosen.qmail))?;
    chosen.qmail_send = options.qmail_send.clone().unwrap_or(chosen.qmail_send);
    Ok(chosen)
}

/// The steps, in an order in which no mail goes astray: first whatever needs a running qmail-send, to the end, and then
/// what needs one that does not run.
fn plan(chosen: &Chosen, options: &cli::Uninstall, remarks: &mut Remarks) -> Result<Vec<Step>, Failure> {
    let qmail = chosen.qmail.as_path();
    let before = Installed::load(qmail)?;
    let hosts = hosts::plan(qmail, remarks)?;
    let programs = programs::plan(qmail, before.as_ref(), remarks)?;
    let net = safety_net(chosen, remarks);
    let held = remarks.known(queue::read(qmail)).unwrap_or_default().encoded;
    // A run before this one may have written the control files, and told nobody.
    let has_begun = before.as_ref().is_some_and(|before| before.leaving);

    let mut steps = Vec::new();
    if has_begun || net.is_some() || !hosts.is_empty() || !programs.is_empty() || !held.is_empty() {
        running(chosen, options, remarks);
        let mut leaving = before.clone().unwrap_or_default();
        leaving.leaving = true;
        if before.as_ref() != Some(&leaving) {
            steps.push(Step::Remember(leaving));
        }
        steps.extend(hosts);
        if !options.no_hup {
            steps.push(Step::Tell(chosen.qmail_send.clone()));
        }
        steps.push(Step::Delivered);
    }
    if !held.is_empty() {
        let what = format!("the queue holds mail for virtual hosts: {}", named(&held));
        remarks.warn(what, "the programs are given back when it is delivered: run uninstall again then");
    }
    if !programs.is_empty() {
        if !options.running {
            steps.push(Step::Stopped { told: !options.no_hup });
        }
        let what = "qmail's own programs bounce mail of mailboxes that are no system users";
        remarks.warn(what, "put programs in place that know them, if there are any, before qmail-send runs with these");
        // Every installation writes down two.
        if before.as_ref().is_none_or(|before| before.files.is_empty()) {
            let (what, path) =
                ("what was in control/lookupsocket and control/authsocket before", Installed::path(qmail));
            remarks.warn(format!("{} does not say {what}", path.display()), "they stay");
        }
    }
    steps.extend(programs);
    steps.extend(files(qmail, before.as_ref())?);
    steps.extend(net.map(Step::RemoveNet));
    if files::memory(qmail).exists() {
        steps.push(Step::Forget);
    }
    Ok(steps)
}

/// The alias user's home, if there is a safety net in it.
fn safety_net(chosen: &Chosen, remarks: &mut Remarks) -> Option<PathBuf> {
    let home = remarks.known(alias_home(&chosen.qmail, &chosen.alias_user)).flatten()?;
    remarks.known(net::has_any(&home))?.then_some(home)
}

/// Whether qmail-send is as the options say.
fn running(chosen: &Chosen, options: &cli::Uninstall, remarks: &mut Remarks) {
    match (remarks.known(send::running(&chosen.qmail)), options.no_hup, &chosen.qmail_send) {
        (Some(Some(pid)), true, _) => {
            remarks
                .refuse(format!("qmail-send is running (process {pid})"), "leave --no-hup away, or stop qmail first");
        }
        (Some(None), false, QmailSend::Auto) => {
            remarks.refuse("qmail-send is not running", "while qmail is stopped, give --no-hup");
        }
        _ => (),
    }
}

/// The control files as they were.
fn files(qmail: &Path, before: Option<&Installed>) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for (name, file) in before.iter().flat_map(|before| &before.files) {
        let path = qmail.join("control").join(name);
        let now = Before::of(&path)?;
        if now != *file {
            steps.push(file.clone().map_or_else(|| Step::Remove(path.clone()), |file| Step::Write(path.clone(), file)));
        }
    }
    Ok(steps)
}
