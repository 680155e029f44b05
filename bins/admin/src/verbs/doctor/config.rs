//! The configuration, and who can read what is secret in it.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT, tool};
use super::ids::{Ids, follow};
use super::questions::{INSECURE, SQLSERVER};
use crate::cli::Cli;
use crate::session::{Session, configuration};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Level, Place, quoted};
use std::collections::BTreeSet;
use std::path::Path;

/// Mode bit that lets the group read.
const GROUP_READS: u32 = 0o040;

/// Reads the configuration. Nothing else can be looked at without it.
pub(super) fn load(cli: &Cli, registry: &Registry, report: &mut Report) -> Option<Session> {
    match configuration(cli, registry).and_then(|config| Session::of(config, registry)) {
        Ok(session) => {
            report.ok(SQLSERVER, session.config.describe().join("; "));
            Some(session)
        }
        Err(failure) => {
            let text = failure.line();
            let (what, mend) = match text.split_once("; run: ") {
                Some((what, command)) => (what.to_owned(), command.to_owned()),
                None => (text, format!("correct it, then run: {}", tool(cli, "doctor"))),
            };
            report.wrong(SQLSERVER, what, mend);
            None
        }
    }
}

/// Whoever reads a password can read all mail: today the daemon has to, and nobody else.
pub(super) async fn secrets(host: &Host<'_>, report: &mut Report) {
    let config = &host.session.config;
    let daemon = host.daemon();
    let secret = config.secret_files();
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for warning in config.warnings.iter().filter(|warning| warning.level == Level::Alarm) {
        let Place::File { path, .. } = &warning.place else { continue };
        told.insert(path.clone());
        let help = warning.help.as_deref().unwrap_or_default();
        let mend = match daemon.filter(|_| secret.contains(path)) {
            Some(daemon) => give(daemon, path),
            None => help.strip_prefix("run: ").unwrap_or(help).to_owned(),
        };
        found.push(Outcome::wrong(format!("{}: {}", path.display(), warning.text), mend));
    }
    let Some(daemon) = daemon else {
        report.all(INSECURE, found, "no file with a password can be read by everybody");
        let why = "who the daemon runs as is not known: it has made no folder for its sockets, and there is no user";
        return report.unknown(INSECURE, format!("{why} qmail-lookup"), "start qmail-lookupd");
    };
    for path in secret.iter().filter(|path| !told.contains(*path)) {
        found.extend(judge(host, daemon, path).await);
    }
    let files: Vec<_> = secret.iter().map(|path| path.display().to_string()).collect();
    let who = format!("uid {}", daemon.uid);
    let otherwise = if files.is_empty() {
        format!("no file holds a password; only the daemon ({who}) needs the configuration")
    } else {
        format!("only root and the daemon ({who}) can read {}", files.join(", "))
    };
    report.all(INSECURE, found, otherwise);
}

/// The command that lets the daemon read a file, and nobody else.
fn give(daemon: Ids, path: &Path) -> String {
    let path = quoted(path);
    format!("chown {}:{} {path} && chmod 0600 {path}", daemon.uid, daemon.gid)
}

async fn judge(host: &Host<'_>, daemon: Ids, path: &Path) -> Option<Outcome> {
    let wrong = |what: String| Some(Outcome::wrong(format!("{}: {what}", path.display()), give(daemon, path)));
    let entry = match follow(path).await {
        Ok(way) => way.end,
        Err(error) => return wrong(format!("cannot be looked at: {error}")),
    };
    if ![0, daemon.uid].contains(&entry.uid) {
        return wrong(format!("it belongs to uid {}, who can read the password", entry.uid));
    }
    if entry.mode & GROUP_READS != 0 && ![0, daemon.gid].contains(&entry.gid) {
        return wrong(format!("members of group {} can read the password", entry.gid));
    }
    if !host.is_root {
        return Some(Outcome::Unknown { why: NOT_ROOT.to_owned(), mend: AS_ROOT.to_owned() });
    }
    match daemon.obstacle(path, "r").await {
        Ok(None) => None,
        Ok(Some(obstacle)) if obstacle.path == path => wrong(format!("the daemon needs it: {}", obstacle.what())),
        Ok(Some(obstacle)) => {
            Some(Outcome::wrong(format!("the daemon needs it: {}", obstacle.what()), obstacle.mend()))
        }
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            Some(Outcome::Unknown { why, mend: String::new() })
        }
    }
}
