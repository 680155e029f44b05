//! qmail-getpw as qmail-lspawn runs it, and the daemon that it asks.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT, ids_of};
use super::ids::{Ids, follow};
use super::questions::{HANGS, LSPAWN, MEMORY, SETUIDGID};
use super::rows::Sample;
use super::same;
use crate::output::text;
use crate::socketmap;
use qmail_lookup_config::quoted;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::control::first_line;
use qmail_lookup_core::directories::Flaw;
use qmail_lookup_core::wire::socketmap::Reply;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

pub(super) async fn run(host: &Host<'_>, sample: &Sample, report: &mut Report) {
    let settings = &host.session.config.daemon.lookup_socket;
    let mut found = Vec::new();
    found.extend(named(host, "lookupsocket", settings));
    let asker = host.asker().as_ref().map(ids_of);
    found.extend(reached(host, settings, asker).await);
    if found.is_empty() {
        match ask(host, settings).await {
            Ok(()) => found.extend(same::run(host, settings, sample).await),
            Err(error) if host.down.is_empty() => {
                let what = format!("qmail-lookupd at {}: {error}", settings.display());
                found.push(Outcome::wrong(what, "look into the log of qmail-lookupd"));
            }
            Err(error) => {
                let why =
                    format!("qmail-lookupd at {}: {error}; a store does not answer, see above", settings.display());
                found.push(Outcome::Unknown { why, mend: String::new() });
            }
        }
    }
    report.all(HANGS, found, format!("qmail-lookupd answers at {}", settings.display()));
    getpw(host, asker, report).await;
}

/// The socket that a control file names, else the built-in one, is that of the daemon.
pub(super) fn named(host: &Host<'_>, name: &str, wanted: &Path) -> Option<Outcome> {
    let path = host.at("control").join(name);
    let built_in = PathBuf::from(match name {
        "authsocket" => "/run/qmail-lookup/auth.sock",
        _ => "/run/qmail-lookup/lookup.sock",
    });
    let mend = format!("printf '%s\\n' {} >{}", quoted(wanted), quoted(&path));
    let socket = match std::fs::read(&path) {
        Ok(content) => first_line(&content).map(|line| PathBuf::from(OsStr::from_bytes(line))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(built_in),
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            return Some(Outcome::Unknown { why, mend: AS_ROOT.to_owned() });
        }
    };
    match socket {
        Some(socket) if socket == wanted => None,
        Some(socket) => {
            let what =
                format!("{} leads to {}, and the daemon is at {}", path.display(), socket.display(), wanted.display());
            Some(Outcome::wrong(what, mend))
        }
        None => Some(Outcome::wrong(format!("the first line of {} is empty", path.display()), mend)),
    }
}

/// Whether `asker` gets to the socket, and can believe who listens there.
pub(super) async fn reached(host: &Host<'_>, socket: &Path, asker: Option<Ids>) -> Option<Outcome> {
    let unknown = |why: String, mend: &str| Some(Outcome::Unknown { why, mend: mend.to_owned() });
    let Some(asker) = asker else {
        let why = "there is neither a user qmailp nor another in [daemon.allow] with \"getpw\"";
        return unknown(why.to_owned(), "make qmail's users, as its INSTALL.ids says");
    };
    let start = "systemctl start qmail-lookupd, or svc -u /service/qmail-lookupd";
    let connected = UnixStream::connect(socket).await;
    match connected.as_ref().map_err(io::Error::kind) {
        Ok(_) => {}
        Err(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Some(Outcome::wrong(format!("no daemon listens at {}", socket.display()), start));
        }
        Err(_) if !host.is_root => return unknown(NOT_ROOT.to_owned(), AS_ROOT),
        Err(kind) => return Some(Outcome::wrong(format!("{}: {kind}", socket.display()), start)),
    }
    if !host.is_root {
        return unknown(NOT_ROOT.to_owned(), AS_ROOT);
    }
    if asker.uid != 0 {
        match asker.obstacle(socket, "w").await {
            Ok(None) => {}
            Ok(Some(obstacle)) => return Some(Outcome::from(obstacle)),
            Err(error) => return unknown(format!("{}: {error}", socket.display()), ""),
        }
    }
    believed(socket.parent().unwrap_or(Path::new("/")), asker.uid).await
}

/// Whether a process of `uid` can know who made a directory.
pub(super) async fn believed(folder: &Path, uid: u32) -> Option<Outcome> {
    let way = match follow(folder).await {
        Ok(way) => way,
        Err(error) => {
            return Some(Outcome::Unknown { why: format!("{}: {error}", folder.display()), mend: String::new() });
        }
    };
    let (path, what, command) = match way.owner(uid) {
        Ok(_) => return None,
        Err(Flaw::Writable) => (folder.to_owned(), "others than its owner can write there".to_owned(), "chmod go-w"),
        Err(Flaw::Shared(path)) => (path, "others than root can write there".to_owned(), "chmod go-w"),
        Err(Flaw::Foreign(path, owner)) => (path, format!("it belongs to uid {owner}"), "chown root"),
    };
    let what = format!("{}: {what}, and so could be the daemon: no program believes it", path.display());
    Some(Outcome::wrong(what, format!("{command} {}", quoted(&path))))
}

/// Asks about the alias user, as root may.
async fn ask(host: &Host<'_>, socket: &Path) -> Result<(), String> {
    let config = &host.session.config;
    let question = socketmap::ask(socket, "getpw", config.rules.alias_user.as_bytes());
    let by = Deadline::after(config.deadline + std::time::Duration::from_secs(1)).instant().into();
    let answer = match tokio::time::timeout_at(by, question).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err("no answer in time".to_owned()),
    };
    match Reply::read(&answer) {
        Ok(Reply::Ok(_) | Reply::NotFound) => Ok(()),
        Ok(Reply::Temp(why) | Reply::Timeout(why) | Reply::Perm(why)) => Err(text(why)),
        Err(error) => Err(error.0.to_owned()),
    }
}

/// The FAQ's trial.
async fn getpw(host: &Host<'_>, asker: Option<Ids>, report: &mut Report) {
    if ![LSPAWN, MEMORY, HANGS].into_iter().all(|question| report.is_ok(question)) {
        return report.unknown(SETUIDGID, "it depends on what is said above", "");
    }
    // Without one it was said above, and so it was if this is not root.
    let Some(asker) = asker else { return };
    let alias = &host.session.config.rules.alias_user;
    let trial = format!("cd {} && setuidgid qmailp bin/qmail-getpw {alias}", quoted(&host.qmail));
    match asker.run(&host.qmail, host.at("bin/qmail-getpw"), &[alias]).await {
        Ok(ran) if ran.code == Some(0) && is_answer(&ran.out) => {
            report.ok(SETUIDGID, format!("it prints {}", text(&ran.out).replace('\0', " ").trim_end()));
        }
        Ok(ran) if ran.code == Some(0) => report.wrong(SETUIDGID, "it prints no six fields", trial),
        Ok(ran) => {
            let code = ran.code.map_or("it was killed".to_owned(), |code| format!("it ends with {code}"));
            let what = format!("uid {} gets no answer: {code}, so that all local mail waits", asker.uid);
            report.wrong(SETUIDGID, what, format!("look into the log of qmail-lookupd, and try: {trial}"));
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => report.wrong(SETUIDGID, "it hangs", trial),
        Err(error) => report.unknown(SETUIDGID, error.to_string(), trial),
    }
}

/// Six fields that end in NUL, with ids of somebody.
fn is_answer(out: &[u8]) -> bool {
    let fields: Vec<_> = out.split(|&byte| byte == 0).collect();
    let id = |field: Option<&&[u8]>| {
        let digits = field.and_then(|field| std::str::from_utf8(field).ok());
        digits.and_then(|digits| digits.parse::<u32>().ok()).is_some_and(|id| id != 0)
    };
    fields.len() == 7 && id(fields.get(1)) && id(fields.get(2))
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn only_six_fields_of_somebody_are_an_answer() {
        assert!(is_answer(b"alias\x007790\x002108\0/var/qmail/alias\0-\0alias\0"));
        assert!(!is_answer(b"alias\x000\x002108\0/var/qmail/alias\0-\0alias\0"));
        assert!(!is_answer(b"alias\x007790\x002108\0/var/qmail/alias\0-\0"));
        assert!(!is_answer(b""));
    }
}
