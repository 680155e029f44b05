//! Our lines in qmail's control files: rcpthosts loses its own first, so that no mail is accepted that is not routed.

use crate::output::{Failure, text};
use crate::qmail::{cdb, files};
use crate::verbs::install::remarks::Remarks;
use crate::verbs::install::step::Step;
use qmail_lookup_core::Host;
use qmail_lookup_core::control::lines::{keys, pairs};
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_core::virtuals::Queued;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Rights of a control file that is not there any more when its block is taken out of it.
const MODE: u32 = 0o644;

/// The steps; none if there is no block.
///
/// # Errors
/// If a control file cannot be read, or its block is damaged.
pub(super) fn plan(qmail: &Path, remarks: &mut Remarks) -> Result<Vec<Step>, Failure> {
    let control = |name: &str| qmail.join("control").join(name);
    encoded_by_hand(&control("virtualdomains"), remarks)?;
    let mut steps = Vec::new();
    let path = control("morercpthosts");
    if block(&path)?.is_some() {
        // qmail-smtpd reads the database only.
        steps.push(Step::Database(path.clone()));
        steps.push(Step::Cut { path, stays: false });
    }
    let path = control("rcpthosts");
    if let Some(marked) = block(&path)? {
        if without(&marked).is_none() {
            let help = "it stays, empty: without it qmail-smtpd would relay for everybody";
            remarks.warn(format!("{} was made by sync", path.display()), help);
        }
        steps.push(Step::Cut { path, stays: true });
    }
    if !steps.is_empty() {
        let help = "stop it before, and start it when there are programs again that know these hosts";
        remarks.warn("qmail-smtpd refuses the hosts of sync for good (553) from the first step on", help);
    }
    let path = control("virtualdomains");
    if let Some(marked) = block(&path)? {
        let hosts = marked.lines().iter().filter_map(|line| Host::new(line.split(|&b| b == b':').next()?));
        steps.push(Step::Routed(hosts.collect()));
        steps.push(Step::Cut { path, stays: false });
    }
    Ok(steps)
}

/// Takes our block out of the control file at `path`, as it is now.
///
/// # Errors
/// If it cannot be read or written, or the block is damaged.
pub(in crate::verbs) fn cut(path: &Path, stays: bool) -> Result<(), Failure> {
    let Some(marked) = block(path)? else { return Ok(()) };
    match without(&marked).or(stays.then(Vec::new)) {
        Some(content) => drop(files::replace(path, &content, MODE)?),
        None => drop(files::remove(path)?),
    }
    Ok(())
}

/// Writes the database of the list of hosts at `path` without our block.
///
/// # Errors
/// As [`cut`].
pub(in crate::verbs) fn database(path: &Path) -> Result<(), Failure> {
    let Some(marked) = block(path)? else { return Ok(()) };
    let hosts: Option<Vec<_>> = without(&marked).map(|content| keys(&content).collect());
    match hosts {
        Some(hosts) => cdb::replace(&cdb_of(path), hosts.iter().map(Vec::as_slice))?,
        None => drop(files::remove(&cdb_of(path))?),
    }
    Ok(())
}

/// Where the database of the list of hosts at `path` is.
pub(in crate::verbs) fn cdb_of(path: &Path) -> PathBuf {
    PathBuf::from(OsString::from_vec([path.as_os_str().as_bytes(), b".cdb"].concat()))
}

/// A control file with a block of ours.
fn block(path: &Path) -> Result<Option<Marked>, Failure> {
    Ok(Some(marked(path)?).filter(|marked| !marked.lines().is_empty()))
}

fn marked(path: &Path) -> Result<Marked, Failure> {
    let damaged = |damage| Failure::temporary(format!("{}: {damage}", path.display()));
    Marked::read(files::read(path)?.as_deref()).map_err(damaged)
}

fn without(marked: &Marked) -> Option<Vec<u8>> {
    marked.write(std::iter::empty::<&[u8]>())
}

/// Lines like ours that are not in the block, for a host, a suffix or one address: the stock programs would give that
/// mail to the alias user.
fn encoded_by_hand(path: &Path, remarks: &mut Remarks) -> Result<(), Failure> {
    let marked = marked(path)?;
    let is_encoded = |(key, prepend): &(Vec<u8>, &[u8])| {
        let host = key.rsplit(|&b| b == b'@').next().unwrap_or_default();
        matches!(Queued::of(&[prepend, &b"-"[..]].concat(), host), Queued::Virtual(_))
    };
    if let Some((key, prepend)) = pairs(marked.own()).find(is_encoded) {
        let line = format!("{}:{}", text(&key), text(prepend));
        let what = format!("{} has the line {line}, which sync has not written", path.display());
        remarks.refuse(what, "take it out: without qmail-lookup its mail would go to the alias user");
    }
    Ok(())
}
