//! The hosts of the tables in qmail's control files, and in the safety net. What belongs there is what `sync` writes.

use super::check::{Outcome, Report};
use super::host::Host;
use super::locals;
use super::questions::{ACCEPTED, BEST_MX, FUNKY, NET};
use crate::qmail::{cdb, net};
use crate::verbs::install::remarks::Remarks;
use crate::verbs::install::virtuals;
use crate::verbs::sync::home::Home;
use crate::verbs::sync::pass::choices;
use crate::verbs::sync::rows;
use nix::unistd::User;
use qmail_lookup_core::sync::around::{Around, database};
use qmail_lookup_core::sync::hosts::{Reason, Refused, Wanted};
use qmail_lookup_core::{Host as Name, Table};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
    let local: BTreeSet<_> = wanted.refused.iter().chain(&wanted.kept).filter_map(local).collect();
    // A line of virtualdomains is nothing beside one of locals, whoever has written it.
    let local = local.into_iter().chain(wanted.own.iter().filter(|name| around.is_local(name)).cloned());
    found.extend(local.collect::<BTreeSet<_>>().iter().map(|name| locals::leave(host, name, around)));
    for Refused { table, host: raw, reason } in &wanted.refused {
        let name = qmail_lookup_core::error::printable(raw);
        let mend = match (table, reason) {
            // What somebody has decided.
            (_, Reason::Denied | Reason::OwnLine(_) | Reason::Local) | (Table::Rcpthosts, Reason::Me) => continue,
            (_, Reason::Me) => locals::WORDS_ME.to_owned(),
            (_, Reason::Wildcard) => format!("set sync.wildcards = true, then run: {}", host.sync()),
            _ => host.tool("lint"),
        };
        found.push(Outcome::wrong(format!("{name} of table {table}: {reason}"), mend));
    }
    let (ours, own) = (wanted.routed.len(), wanted.own.len());
    let own = if own == 0 { String::new() } else { format!(", and {own} by lines of your own") };
    report.all(BEST_MX, found, format!("{ours} virtual hosts are routed by control/virtualdomains{own}"));
}

/// The host of a row of table virtual that control/locals makes useless.
fn local(refused: &Refused) -> Option<Name> {
    let is_one = refused.table == Table::Virtual && refused.reason == Reason::Local;
    is_one.then(|| Name::new(&refused.host)).flatten()
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
        let words = "write control/morercpthosts, which it was made of, and run bin/qmail-newmrh";
        let mend = if home.files.morercpthosts.is_some() { sync } else { words.to_owned() };
        found.push(Outcome::wrong(error.to_string(), mend));
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
            let mut found = missing(&hosts, &[&there], &format!("has no file in {}", folder.display()), &host.sync());
            found.extend(other_home(host, folder));
            report.all(NET, found, format!("every virtual host has its file in {}", folder.display()));
        }
        Err(error) => report.unknown(NET, error.to_string(), ""),
    }
}

/// The alias user's home in the system, if it is another folder than the one of the safety net. A stand-in for the alias
/// user has a home of his own.
fn other_home(host: &Host<'_>, folder: &Path) -> Option<Outcome> {
    let name = &host.session.config.rules.alias_user;
    let home = User::from_name(name).ok().flatten().filter(|_| name == "alias")?.dir;
    let id = |path: &Path| std::fs::metadata(path).ok().map(|is| (is.dev(), is.ino()));
    // One that is not there is told of the alias user.
    if id(&home)? == id(folder)? {
        return None;
    }
    let (home, folder) = (home.display(), folder.display());
    let what = format!("its files are in {folder}, and the stock programs look into {home}, the home of user {name}");
    Some(Outcome::wrong(
        what,
        format!("make {folder} the home of user {name} (usermod -d), with the .qmail files of both"),
    ))
}
