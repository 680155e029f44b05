//! The hosts of the tables in qmail's control files, and in the safety net. What belongs there is what `sync` writes.

use super::check::{Outcome, Report};
use super::host::Host;
use super::questions::{ACCEPTED, BEST_MX, FUNKY, NET};
use crate::qmail::{cdb, net, send};
use crate::verbs::install::remarks::Remarks;
use crate::verbs::install::virtuals;
use crate::verbs::sync::home::Home;
use crate::verbs::sync::pass::choices;
use crate::verbs::sync::rows;
use qmail_lookup_config::quoted;
use qmail_lookup_core::sync::around::{Around, database};
use qmail_lookup_core::sync::hosts::{Reason, Refused, Wanted};
use qmail_lookup_core::{Host as Name, Table};
use std::collections::BTreeSet;

pub(super) async fn run(host: &Host<'_>, report: &mut Report) {
    let questions = [BEST_MX, ACCEPTED, FUNKY, NET];
    if host.down.contains(&Table::Virtual) {
        for question in questions {
            host.has_rows(Table::Virtual, question, report);
        }
        return;
    }
    funky(host, report).await;
    let rows = match rows::read(&host.session).await {
        Ok(rows) => rows,
        Err(failure) => {
            return [BEST_MX, ACCEPTED, NET].iter().for_each(|question| report.unknown(question, failure.line(), ""));
        }
    };
    let (home, around) = match control_files(host) {
        Ok(read) => read,
        Err(what) => {
            report.wrong(BEST_MX, what, format!("correct the file, then run: {}", host.sync()));
            report.unknown(ACCEPTED, "it depends on what is said above", "");
            return report.unknown(NET, "it depends on what is said above", "");
        }
    };
    let wanted = Wanted::judge(&rows, &around, &choices(&host.session.config));
    routed(host, &wanted, &around, report);
    accepted(host, &wanted, &around, &home, report);
    safety_net(host, &wanted, &home, report);
}

/// qmail's home, and its control files as `sync` reads them.
fn control_files(host: &Host<'_>) -> Result<(Home, Around), String> {
    let home = Home::read(&host.qmail, &host.session.config.rules.alias_user).map_err(|failure| failure.line())?;
    let around = Around::read(&home.files).map_err(|bad| format!("{}: {bad}", host.qmail.display()))?;
    Ok((home, around))
}

/// Rule V2.
async fn funky(host: &Host<'_>, report: &mut Report) {
    let mut remarks = Remarks::default();
    virtuals::judge(&host.session, &mut remarks).await;
    report.all(FUNKY, Outcome::of(remarks), "every catch-all is one with rules.virtual_patterns as it is");
}

fn routed(host: &Host<'_>, wanted: &Wanted, around: &Around, report: &mut Report) {
    let mut found = missing(&wanted.routed, &[&around.routed], "has no line in control/virtualdomains", &host.sync());
    for Refused { table, host: raw, reason } in &wanted.refused {
        let name = qmail_lookup_core::error::printable(raw);
        let mend = match (table, reason) {
            // What somebody has decided.
            (_, Reason::Denied | Reason::OwnLine(_)) | (Table::Rcpthosts, Reason::Local | Reason::Me) => continue,
            (_, Reason::Local) => leave_locals(host, &name),
            (_, Reason::Wildcard) => format!("set sync.wildcards = true, then run: {}", host.sync()),
            _ => host.tool("lint"),
        };
        found.push(Outcome::wrong(format!("{name} of table {table}: {reason}"), mend));
    }
    let (ours, own) = (wanted.routed.len(), wanted.own.len());
    let own = if own == 0 { String::new() } else { format!(", and {own} by lines of your own") };
    report.all(BEST_MX, found, format!("{ours} virtual hosts are routed by control/virtualdomains{own}"));
}

/// The command that takes a host out of control/locals, and tells qmail-send if it runs.
fn leave_locals(host: &Host<'_>, name: &str) -> String {
    let file = if host.at("control/locals").exists() { "control/locals" } else { "control/me" };
    let path = quoted(&host.at(file));
    let told = match send::find(&host.qmail) {
        Ok(Some(pid)) => format!(" && kill -HUP {pid}"),
        Ok(None) | Err(_) => String::new(),
    };
    let pattern = name.replace('.', "\\.");
    format!("sed -i '/^{pattern}[ \\t]*$/Id' {path} && {}{told}", host.sync())
}

/// One finding for the hosts that are wanted and in none of these lists; it names some.
fn missing(wanted: &BTreeSet<Name>, lists: &[&BTreeSet<Name>], what: &str, mend: &str) -> Vec<Outcome> {
    let gone = |name: &&Name| lists.iter().all(|list| !list.contains(*name));
    let mut names = wanted.iter().filter(gone);
    let Some(first) = names.next() else { return Vec::new() };
    let more = names.count();
    let more = if more == 0 { String::new() } else { format!(" (and {more} more hosts)") };
    vec![Outcome::wrong(format!("{first}{more} {what}"), mend)]
}

fn accepted(host: &Host<'_>, wanted: &Wanted, around: &Around, home: &Home, report: &mut Report) {
    let sync = host.sync();
    if around.is_open {
        let what = "there is no control/rcpthosts: mail for every host is accepted, and relayed";
        return report.wrong(ACCEPTED, what, sync);
    }
    let own: BTreeSet<_> = wanted.accepted.iter().filter(|name| around.accepts_by_own_line(name)).cloned().collect();
    let lists = [&around.accepted, &around.accepted_more, &own];
    let mut found =
        missing(&wanted.accepted, &lists, "is in neither control/rcpthosts nor control/morercpthosts", &sync);
    if let Some(name) = wanted.undecided.first() {
        let count = wanted.undecided.len();
        let what = format!("{count} hosts of table rcpthosts are neither virtual nor local; the first is {name}");
        let mend = format!("set rules.rcpthosts_only to \"local\" or \"relay\", then run: {sync}");
        found.push(Outcome::wrong(what, mend));
    }
    let more = home.files.morercpthosts.as_deref().unwrap_or_default();
    // What cannot be read as one is an empty one to `sync`, and "unable to read controls" to qmail-smtpd.
    let damage = cdb::keys(&host.at("control/morercpthosts.cdb")).err();
    if let Some(error) = damage {
        found.push(Outcome::wrong(error.to_string(), sync));
    } else if home.files.morercpthosts.is_some() && home.database.clone().unwrap_or_default() != database(more) {
        let what = "control/morercpthosts.cdb does not hold what control/morercpthosts holds";
        found.push(Outcome::wrong(what, sync));
    }
    let hidden = wanted.unaccepted.len();
    let hidden =
        if hidden == 0 { String::new() } else { format!("; {hidden} virtual hosts are not in table rcpthosts") };
    report.all(ACCEPTED, found, format!("{} hosts of table rcpthosts are accepted{hidden}", wanted.accepted.len()));
}

fn safety_net(host: &Host<'_>, wanted: &Wanted, home: &Home, report: &mut Report) {
    let Some(folder) = &home.alias else {
        return report.unknown(NET, "the alias user has no home", "make qmail's users, as its INSTALL.ids says");
    };
    match net::hosts(folder) {
        Ok(there) => {
            let hosts: BTreeSet<_> = wanted.routed.union(&wanted.own).cloned().collect();
            let found = missing(&hosts, &[&there], &format!("has no file in {}", folder.display()), &host.sync());
            report.all(NET, found, format!("every virtual host has its file in {}", folder.display()));
        }
        Err(error) => report.unknown(NET, error.to_string(), ""),
    }
}
