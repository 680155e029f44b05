//! Whether there is a qmail to be served, and whose programs and users it has.

use super::remarks::Remarks;
use crate::qmail::programs::{Whose, examine};
use crate::verbs::doctor::ids::ANYBODY;
use nix::unistd::{User, geteuid};
use qmail_lookup_config::{Config, Right};
use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

/// Programs of qmail that the old patch changes, besides those that are put in place.
const OTHERS: [&str; 3] = ["qmail-lspawn", "qmail-send", "qmail-smtpd"];

/// Programs in qmail's bin that are not called qmail-something.
const OWN: [&str; 21] = [
    "bouncesaying",
    "condredirect",
    "datemail",
    "elq",
    "except",
    "forward",
    "maildir2mbox",
    "maildirmake",
    "maildirwatch",
    "mailsubj",
    "pinq",
    "predate",
    "preline",
    "qail",
    "qbiff",
    "qreceipt",
    "qsmhook",
    "sendmail",
    "splogger",
    "tcp-env",
    "instcheck",
];

/// qmail's users that nothing of ours relies on.
const USERS: [&str; 5] = ["qmaild", "qmaill", "qmailq", "qmailr", "qmails"];

/// True if `qmail` is the home of a qmail.
pub(in crate::verbs) fn is_qmail(qmail: &Path, remarks: &mut Remarks) -> bool {
    let missing = [("bin/qmail-lspawn", false), ("control", true)].into_iter().find(|(name, is_folder)| {
        let path = qmail.join(name);
        !(if *is_folder { path.is_dir() } else { path.is_file() })
    });
    if let Some((name, _)) = missing {
        let what = format!("{} is not the home of a qmail: there is no {name}", qmail.display());
        remarks.refuse(what, "name it with --qmail, or as qmail in the configuration");
    }
    missing.is_none()
}

/// Refuses everybody but root, unless nothing is changed.
pub(in crate::verbs) fn is_root(dry_run: bool, remarks: &mut Remarks) {
    if !dry_run && !geteuid().is_root() {
        remarks.refuse("qmail's programs are root's", "run this as root");
    }
}

/// Whether everybody can search qmail's control. The stock qmail-getpw and qmail-local never do; ours are run by whom a
/// mailbox belongs to, and look there for the daemon.
pub(super) async fn control(qmail: &Path, remarks: &mut Remarks) {
    if !geteuid().is_root() {
        return;
    }
    if let Some(Some(obstacle)) = remarks.known(ANYBODY.obstacle(&qmail.join("control"), "x").await) {
        remarks.refuse(format!("{}: all local mail would wait", obstacle.what()), obstacle.mend());
    }
}

/// The programs that stay.
pub(super) fn programs(qmail: &Path, remarks: &mut Remarks) {
    for name in OTHERS {
        let path = qmail.join("bin").join(name);
        if remarks.known(examine(&path)) == Some(Whose::Patched) {
            let what = format!("{} is of a patched qmail", path.display());
            remarks.refuse(what, "put the programs of an unpatched qmail in place first, while qmail is stopped");
        }
    }
}

/// A file by its one name: its folder without symlinks.
///
/// # Errors
/// If the folder cannot be followed. The error names it.
pub(super) fn named(path: &Path) -> std::io::Result<PathBuf> {
    let path = absolute(path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path),
        Err(error) => Err(Error::new(error.kind(), format!("{}: {error}", folder.display()))),
    }
}

/// The program of qmail's own that `path` is, whatever it is called there.
pub(super) fn of_qmail(qmail: &Path, path: &Path) -> Option<PathBuf> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|is| (is.dev(), is.ino()));
    let asked = identity(path)?;
    let bin = qmail.join("bin");
    let is_qmails = |name: &OsStr| {
        let name = name.as_bytes();
        name.starts_with(b"qmail-") || OWN.iter().any(|own| own.as_bytes() == name)
    };
    let mut programs = std::fs::read_dir(bin).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    programs.find(|program| program.file_name().is_some_and(is_qmails) && identity(program) == Some(asked))
}

/// The users.
pub(super) fn users(config: &Config, remarks: &mut Remarks) {
    let mut is_there = |name: &str| {
        let found = User::from_name(name).map(|user| user.is_some());
        remarks.known(found.map_err(|error| Error::other(format!("user {name} cannot be looked up: {error}"))))
    };
    let alias = config.rules.alias_user.as_str();
    let has_alias = is_there(alias) != Some(false);
    let asks = |(name, rights): (&String, &Vec<Right>)| rights.contains(&Right::Getpw).then(|| name.clone());
    let has_qmailp = std::iter::once("qmailp".to_owned())
        .chain(config.daemon.allow.iter().filter_map(asks))
        .any(|name| is_there(&name) != Some(false));
    let missing: Vec<_> = USERS.into_iter().filter(|name| is_there(name) == Some(false)).collect();
    if !has_alias {
        let help = "make qmail's users, as its INSTALL.ids says";
        remarks.refuse(format!("this machine has no user '{alias}' (rules.alias_user)"), help);
    }
    if !has_qmailp {
        let help = "make qmail's users, as its INSTALL.ids says, or name in [daemon.allow] who runs it";
        remarks.refuse("this machine has no user 'qmailp', as whom qmail-getpw is run", help);
    }
    if !missing.is_empty() {
        let help = "make qmail's users, as its INSTALL.ids says";
        remarks.warn(format!("this machine has no user {}", missing.join(", ")), help);
    }
}
