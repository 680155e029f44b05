//! The programs that qmail-lspawn runs: there, ours, and to be run by whom it makes run them.

use super::check::{Outcome, Report};
use super::host::{AS_ROOT, Host, NOT_ROOT, ids_of};
use super::ids::{ANYBODY, Ids};
use super::questions::LSPAWN;
use crate::qmail::programs::{Whose, examine};
use qmail_lookup_config::quoted;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(super) async fn run(host: &Host<'_>, report: &mut Report) {
    let (mut found, mut theirs) = (Vec::new(), Vec::new());
    for (name, otherwise) in [("qmail-local", "all local mail bounces"), ("qmail-getpw", "all local mail waits")] {
        let path = host.at("bin").join(name);
        let runner = if name == "qmail-local" { Some(ANYBODY) } else { host.asker().as_ref().map(ids_of) };
        let install = host.tool("install");
        match examine(&path) {
            Ok(Whose::Ours) => {
                found.extend(stock(host, name, runner).await);
                found.extend(executable(host, &path, runner).await);
            }
            Ok(Whose::Absent) => {
                found.push(Outcome::wrong(format!("{} is not there: {otherwise}", path.display()), install));
            }
            Ok(Whose::Patched) => {
                let what = format!("{} is that of the old patch", path.display());
                let mend = format!("put qmail's own programs back (qmail's `make setup`), then run: {install}");
                found.push(Outcome::wrong(what, mend));
            }
            Ok(Whose::Stock) => theirs.push(path.display().to_string()),
            Err(error) => found.push(Outcome::wrong(error.to_string(), install)),
        }
    }
    if !theirs.is_empty() {
        let what = format!("qmail's own, which does not ask the store: {}", theirs.join(", "));
        found.push(Outcome::wrong(what, host.tool("install")));
    }
    report.all(LSPAWN, found, "bin/qmail-getpw and bin/qmail-local are ours, and qmail's own are kept beside them");
}

/// What is wrong with the program of qmail's that is kept beside ours.
async fn stock(host: &Host<'_>, name: &str, runner: Option<Ids>) -> Option<Outcome> {
    let path = host.at("bin").join(format!("{name}.stock"));
    let shown = path.display();
    let mend = format!("install -m 0711 {name} {}, with qmail's own {name}", quoted(&path));
    match examine(&path) {
        // `uninstall` alone needs this one.
        Ok(Whose::Stock) if name == "qmail-local" => None,
        Ok(Whose::Stock) => executable(host, &path, runner).await,
        Ok(Whose::Absent) if name == "qmail-getpw" && host.at("control/nostock").exists() => None,
        Ok(Whose::Absent) if name == "qmail-getpw" => {
            Some(Outcome::wrong(format!("{shown} is not there: mail of system users waits"), mend))
        }
        Ok(Whose::Absent) => Some(Outcome::wrong(format!("{shown} is not there: uninstall cannot give it back"), mend)),
        Ok(Whose::Ours | Whose::Patched) => Some(Outcome::wrong(format!("{shown} is not qmail's own"), mend)),
        Err(error) => Some(Outcome::wrong(error.to_string(), mend)),
    }
}

async fn executable(host: &Host<'_>, path: &Path, runner: Option<Ids>) -> Option<Outcome> {
    let unknown = |why: &str, mend: &str| Some(Outcome::Unknown { why: why.to_owned(), mend: mend.to_owned() });
    let Some(runner) = runner else {
        let why = "there is neither a user qmailp nor another in [daemon.allow] with \"getpw\"";
        return unknown(why, "make qmail's users, as its INSTALL.ids says");
    };
    if !host.is_root {
        return unknown(NOT_ROOT, AS_ROOT);
    }
    // A script is read by its interpreter.
    let mut head = [0; 2];
    let is_script = File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"#!";
    match runner.obstacle(path, if is_script { "rx" } else { "x" }).await {
        Ok(None) => None,
        Ok(Some(obstacle)) => Some(Outcome::from(obstacle)),
        Err(error) => unknown(&format!("{}: {error}", path.display()), ""),
    }
}
