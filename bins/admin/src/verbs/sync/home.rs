//! Reading qmail's home.

use crate::output::Failure;
use crate::qmail::{assigned, cdb, files, programs};
use crate::verbs::install::memory::Installed;
use nix::unistd::User;
use qmail_lookup_core::sync::around::Files;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What was read of qmail's home.
pub(in crate::verbs) struct Home {
    pub(in crate::verbs) files: Files,
    /// The keys of morercpthosts.cdb; `None` if there is none.
    pub(in crate::verbs) database: Option<BTreeSet<Vec<u8>>>,
    /// True if it is damaged, and must be made anew.
    pub(super) damaged: bool,
    /// Where the safety net is; `None` if the alias user has no home.
    pub(in crate::verbs) alias: Option<PathBuf>,
}

impl Home {
    /// Reads it.
    ///
    /// # Errors
    /// If a file is there and cannot be read. The error names it.
    pub(in crate::verbs) fn read(qmail: &Path, alias_user: &str) -> Result<Self, Failure> {
        let file = |name: &str| files::read(&qmail.join("control").join(name));
        let (database, damaged) = match cdb::keys(&qmail.join("control/morercpthosts.cdb")) {
            Ok(keys) => (keys.map(|keys| keys.into_iter().collect()), false),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => (None, true),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            files: Files {
                me: file("me")?,
                locals: file("locals")?,
                smtproutes: file("smtproutes")?,
                virtualdomains: file("virtualdomains")?,
                rcpthosts: file("rcpthosts")?,
                morercpthosts: file("morercpthosts")?,
            },
            database,
            damaged,
            alias: alias_home(qmail, alias_user)?,
        })
    }
}

/// Where the safety net is; `None` if the alias user has no home.
///
/// # Errors
/// If the system does not say who he is.
pub(in crate::verbs) fn alias_home(qmail: &Path, alias_user: &str) -> Result<Option<PathBuf>, Failure> {
    let usual = qmail.join("alias");
    if usual.is_dir() {
        return Ok(Some(usual));
    }
    let user = User::from_name(alias_user)
        .map_err(|error| Failure::temporary(format!("cannot ask the system for user {alias_user}: {error}")))?;
    Ok(user.map(|user| user.dir).filter(|home| home.is_dir()))
}

/// What would take mail away from our programs, or us from qmail.
pub(super) struct Alarms {
    pub(super) texts: Vec<String>,
    /// False if mail of new hosts would find nobody who understands it.
    pub(super) programs_are_ours: bool,
}

/// Looks for it.
pub(super) fn alarms(qmail: &Path) -> Alarms {
    let mut alarms = Alarms { texts: Vec::new(), programs_are_ours: true };
    for name in ["qmail-getpw", "qmail-local"] {
        let path = qmail.join("bin").join(name);
        let wrong = match programs::examine(&path) {
            Ok(programs::Whose::Ours) => continue,
            Ok(programs::Whose::Absent) => "is not there".to_owned(),
            Ok(programs::Whose::Patched) => "is that of a patched qmail".to_owned(),
            Ok(programs::Whose::Stock) => "is not qmail-lookup's".to_owned(),
            Err(error) => format!("cannot be examined: {error}"),
        };
        alarms.programs_are_ours = false;
        alarms.texts.push(format!(
            "{} {wrong}: mail of virtual hosts finds nobody, and no host is added until it is; run qmail-lookup install",
            path.display()
        ));
    }
    match Installed::load(qmail).map(|installed| installed.is_some_and(|installed| installed.leaving)) {
        Ok(false) => (),
        Ok(true) => {
            alarms.programs_are_ours = false;
            let help = "no host is added; run it again, or run qmail-lookup install";
            alarms.texts.push(format!("uninstall has begun and was not finished: {help}"));
        }
        Err(failure) => {
            alarms.programs_are_ours = false;
            alarms.texts.push(format!("{}; no host is added", failure.line()));
        }
    }
    match assigned::read(qmail) {
        Ok(lines) => {
            if lines.into_iter().flatten().any(|line| line.is_prefix && line.name.is_empty()) {
                alarms.texts.push(format!(
                    "{}/users/cdb has a line for everybody (`+:`), so that qmail-getpw is never asked; take it out of users/assign \
                     and run qmail-newu",
                    qmail.display()
                ));
            }
        }
        Err(error) => alarms.texts.push(format!("{error}; qmail defers local mail; remove it, or run qmail-newu")),
    }
    alarms
}
