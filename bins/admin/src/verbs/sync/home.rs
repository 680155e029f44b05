//! Reading qmail's home.

use super::control::NAMES;
use crate::output::Failure;
use crate::qmail::{assigned, cdb, files, programs};
use crate::verbs::doctor::ids::{ANYBODY, Ids};
use crate::verbs::install::memory::Installed;
use nix::unistd::User;
use qmail_lookup_core::sync::around::Files;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What was read of qmail's home.
pub(in crate::verbs) struct Home {
    pub(in crate::verbs) files: Files,
    /// The keys of morercpthosts.cdb; `None` if there is none.
    pub(in crate::verbs) database: Option<BTreeSet<Vec<u8>>>,
    /// What it holds.
    pub(super) cdb: Option<Vec<u8>>,
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
        let cdb = file("morercpthosts.cdb")?;
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
            cdb,
            damaged,
            alias: alias_home(qmail, alias_user)?,
        })
    }
}

impl Home {
    /// What each of the control files holds.
    pub(super) fn contents(&self) -> BTreeMap<&'static str, Option<Vec<u8>>> {
        let Files { me, locals, smtproutes, virtualdomains, rcpthosts, morercpthosts } = &self.files;
        let all = [me, locals, smtproutes, virtualdomains, rcpthosts, morercpthosts, &self.cdb];
        NAMES.into_iter().zip(all.map(Clone::clone)).collect()
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
    pub(super) may_add: bool,
    /// What keeps qmail-send from reading what is written for it.
    pub(super) unreadable: Option<String>,
}

/// Looks for it.
pub(super) async fn alarms(qmail: &Path) -> Alarms {
    let mut alarms = Alarms { texts: Vec::new(), may_add: true, unreadable: None };
    for name in ["qmail-getpw", "qmail-local"] {
        let path = qmail.join("bin").join(name);
        let wrong = match programs::examine(&path) {
            Ok(programs::Whose::Ours) => continue,
            Ok(programs::Whose::Absent) => "is not there".to_owned(),
            Ok(programs::Whose::Patched) => "is that of a patched qmail".to_owned(),
            Ok(programs::Whose::Stock) => "is not qmail-lookup's".to_owned(),
            Err(error) => format!("cannot be examined: {error}"),
        };
        alarms.may_add = false;
        alarms.texts.push(format!(
            "{} {wrong}: mail of virtual hosts finds nobody, and no host is added until it is; run qmail-lookup install",
            path.display()
        ));
    }
    match Installed::load(qmail).map(|installed| installed.is_some_and(|installed| installed.leaving)) {
        Ok(false) => (),
        Ok(true) => {
            alarms.may_add = false;
            let help = "no host is added; run it again, or run qmail-lookup install";
            alarms.texts.push(format!("uninstall has begun and was not finished: {help}"));
        }
        Err(failure) => {
            alarms.may_add = false;
            alarms.texts.push(format!("{}; no host is added", failure.line()));
        }
    }
    let wrong = match assigned::read(qmail) {
        Ok(lines) if lines.iter().flatten().all(|line| !line.is_prefix || !line.name.is_empty()) => None,
        Ok(_) => Some(format!(
            "{}/users/cdb has a line for everybody (`+:`), so that qmail-getpw is never asked; take it out of users/assign \
             and run qmail-newu",
            qmail.display()
        )),
        Err(error) => Some(format!("{error}; qmail defers local mail; remove it, or run qmail-newu")),
    };
    if let Some(wrong) = wrong {
        alarms.may_add = false;
        alarms.texts.push(format!("{wrong}; no host is added until then"));
    }
    match unreadable(qmail).await {
        Ok(None) => (),
        Ok(Some((what, is_certain))) => {
            alarms.unreadable = is_certain.then(|| what.clone());
            alarms.texts.push(what);
        }
        Err(error) => {
            let what = format!("cannot see whether qmail-send can read {}: {error}", qmail.join("control").display());
            alarms.unreadable = Some(what.clone());
            alarms.texts.push(what);
        }
    }
    alarms
}

/// What keeps qmail-send from reading what it is told to read again, and the command that mends it: it says nothing, and
/// goes on with what it has. Not certain if there is no user `qmails`: then everybody should be able to.
async fn unreadable(qmail: &Path) -> io::Result<Option<(String, bool)>> {
    let user = User::from_name("qmails").map_err(io::Error::from)?;
    let reader = user.as_ref().map_or(ANYBODY, |user| Ids::new(user.uid.as_raw(), user.gid.as_raw()));
    let control = std::path::absolute(qmail.join("control"))?;
    for (path, needs) in [(control.join("virtualdomains"), 'r'), (control.join("locals"), 'r'), (control, 'x')] {
        match reader.obstacle_by_mode(&path, needs).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(error),
            Ok(None) => (),
            Ok(Some(obstacle)) => {
                let told = format!("qmail-send does not hear of virtual hosts: {}", obstacle.what());
                return Ok(Some((format!("{told}; run {}", obstacle.mend()), user.is_some())));
            }
        }
    }
    Ok(None)
}
