//! Deliveries, tried without one: qmail-local as the user of a mailbox, and as the alias user, whose home is looked at
//! first.

use super::check::{Outcome, Report};
use super::getpw::believed;
use super::homes::closed;
use super::host::{AS_ROOT, Host, NOT_ROOT, ids_of};
use super::ids::{Ids, in_time};
use super::questions::{ALIAS_USER, HANGS, LOCAL, LSPAWN, MEMORY};
use crate::output::text;
use crate::path_repair::{Owner, make_home, quoted};
use nix::unistd::User;
use qmail_lookup_core::Mailbox;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whom a delivery is tried to.
struct Recipient {
    ids: Ids,
    name: String,
    home: PathBuf,
}

/// `mailbox` is one whose home is in order.
pub(super) async fn run(host: &Host<'_>, mailbox: Option<Mailbox>, report: &mut Report) {
    let alias = alias_user(host, report).await;
    if !host.is_root {
        return report.unknown(LOCAL, NOT_ROOT, AS_ROOT);
    }
    if ![LSPAWN, MEMORY, HANGS].into_iter().all(|question| report.is_ok(question)) {
        return report.unknown(LOCAL, "it depends on what is said above", "");
    }
    let mailbox = mailbox.map(|mailbox| Recipient {
        ids: Ids::new(mailbox.uid, mailbox.gid),
        name: mailbox.username.to_string(),
        home: PathBuf::from(OsStr::from_bytes(&mailbox.home)),
    });
    let all: Vec<_> = mailbox.into_iter().chain(alias).collect();
    let mut found = Vec::new();
    for recipient in &all {
        found.extend(attempt(host, recipient).await);
    }
    let names: Vec<_> = all.iter().map(|recipient| recipient.name.as_str()).collect();
    if names.is_empty() {
        return report.unknown(LOCAL, "there is no mailbox to try it with, see above", "");
    }
    report.all(LOCAL, found, format!("it gets an answer for {}", names.join(" and ")));
}

/// Looks at the home of the alias user, where all mail goes that is nobody else's; gives him if it takes mail.
async fn alias_user(host: &Host<'_>, report: &mut Report) -> Option<Recipient> {
    let name = &host.session.config.rules.alias_user;
    let user = match User::from_name(name) {
        Ok(Some(user)) => user,
        Ok(None) => {
            let what =
                format!("this machine has no user '{name}' (rules.alias_user): mail that is nobody else's waits");
            report.wrong(ALIAS_USER, what, "make qmail's users, as its INSTALL.ids says");
            return None;
        }
        Err(error) => {
            report.unknown(ALIAS_USER, format!("user {name}: {error}"), "");
            return None;
        }
    };
    if !host.is_root {
        report.unknown(ALIAS_USER, NOT_ROOT, AS_ROOT);
        return None;
    }
    let (ids, home) = (ids_of(&user), user.dir);
    let shown = home.display().to_string();
    match closed(ids, &home).await {
        Ok(None) => {
            report.ok(ALIAS_USER, shown);
            return Some(Recipient { ids, name: name.clone(), home });
        }
        Ok(Some((what, mend))) => report.wrong(ALIAS_USER, what, mend.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mend = in_time(move || Ok(make_home(&home, Owner { uid: ids.uid, gid: ids.gid }))).await;
            let mend = mend.map(|mend| mend.to_string()).unwrap_or_default();
            report.wrong(ALIAS_USER, format!("{shown} is not there: mail that is nobody else's waits"), mend);
        }
        Err(error) => report.unknown(ALIAS_USER, format!("{shown}: {error}"), ""),
    }
    None
}

async fn attempt(host: &Host<'_>, recipient: &Recipient) -> Option<Outcome> {
    let Recipient { ids, name, home } = recipient;
    let socket = &host.session.config.daemon.lookup_socket;
    let unknown =
        |error: std::io::Error| Some(Outcome::Unknown { why: format!("{name}: {error}"), mend: String::new() });
    match ids.obstacle(socket, "w").await {
        Ok(None) => {}
        Ok(Some(obstacle)) => return Some(Outcome::from(obstacle)),
        Err(error) => return unknown(error),
    }
    if let Some(outcome) = believed(socket.parent().unwrap_or(Path::new("/")), ids.uid).await {
        return Some(outcome);
    }
    let me = std::fs::read_to_string(host.at("control/me")).unwrap_or_default();
    let me = me.lines().next().map(str::trim).filter(|me| !me.is_empty()).unwrap_or("localhost");
    let words = ["-n", "--", name].map(OsStr::new);
    let rest = [name, "", "", me, "", "./Mailbox"].map(OsStr::new);
    let words: Vec<&OsStr> = words.into_iter().chain([home.as_os_str()]).chain(rest).collect();
    let shown: Option<Vec<_>> = words.iter().map(|word| quoted(word.as_bytes())).collect();
    let shown = shown.unwrap_or_default().join(" ");
    let runs = Owner { uid: ids.uid, gid: ids.gid }.runs();
    let folder = quoted(host.qmail.as_os_str().as_bytes()).unwrap_or_default();
    let trial = format!("look into the log of qmail-lookupd, and try: cd {folder} && {runs} bin/qmail-local {shown}");
    match ids.run(&host.qmail, host.at("bin/qmail-local"), &words).await {
        Ok(ran) if ran.code == Some(0) => None,
        Ok(ran) => {
            let said = text(&[ran.out, ran.err].concat());
            let said = said.lines().next_back().unwrap_or_default().to_owned();
            let code = ran.code.map_or("is killed".to_owned(), |code| format!("ends with {code}"));
            Some(Outcome::wrong(format!("as uid {}, for {name}, it {code}: {said}", ids.uid), trial))
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            Some(Outcome::wrong(format!("for {name}, it hangs"), trial))
        }
        Err(error) => unknown(error),
    }
}
