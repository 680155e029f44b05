//! Our lines in qmail's control files: rcpthosts loses its own first, so that no mail is accepted that is not routed.

use crate::output::{Failure, text};
use crate::qmail::files;
use crate::verbs::install::memory::Before;
use crate::verbs::install::remarks::Remarks;
use crate::verbs::install::step::Step;
use qmail_lookup_core::Host;
use qmail_lookup_core::sync::block::Marked;
use qmail_lookup_core::control::lines::{keys, pairs};
use std::path::{Path, PathBuf};

/// A control file with a block of ours.
struct Listed {
    path: PathBuf,
    now: Before,
    marked: Marked,
}

/// The steps; none if there is no block.
///
/// # Errors
/// If a control file cannot be read, or its block is damaged.
pub(super) fn plan(qmail: &Path, remarks: &mut Remarks) -> Result<Vec<Step>, Failure> {
    let control = qmail.join("control");
    encoded_by_hand(&control.join("virtualdomains"), remarks)?;
    let mut steps = Vec::new();
    if let Some(listed) = listed(control.join("morercpthosts"))? {
        let (database, content) = (control.join("morercpthosts.cdb"), without(&listed));
        // qmail-smtpd reads the database only.
        steps.push(match &content {
            Some(content) => Step::Database(database, keys(content).collect()),
            None => Step::Remove(database),
        });
        steps.push(replace(listed, content));
    }
    if let Some(listed) = listed(control.join("rcpthosts"))? {
        // Without that file qmail-smtpd would accept mail for the whole world.
        let content = without(&listed).unwrap_or_else(|| {
            let help = "it stays, empty: without it qmail-smtpd would relay for everybody";
            remarks.warn(format!("{} was made by sync", listed.path.display()), help);
            Vec::new()
        });
        steps.push(replace(listed, Some(content)));
    }
    if let Some(listed) = listed(control.join("virtualdomains"))? {
        let hosts = listed.marked.lines().iter().filter_map(|line| Host::new(line.split(|&b| b == b':').next()?));
        steps.push(Step::Routed(hosts.collect()));
        let content = without(&listed);
        steps.push(replace(listed, content));
    }
    Ok(steps)
}

fn listed(path: PathBuf) -> Result<Option<Listed>, Failure> {
    let Some(now) = Before::of(&path)? else { return Ok(None) };
    let marked = marked(&path)?;
    Ok((!marked.lines().is_empty()).then_some(Listed { path, now, marked }))
}

fn marked(path: &Path) -> Result<Marked, Failure> {
    let damaged = |damage| Failure::temporary(format!("{}: {damage}", path.display()));
    Marked::read(files::read(path)?.as_deref()).map_err(damaged)
}

fn without(listed: &Listed) -> Option<Vec<u8>> {
    listed.marked.write(std::iter::empty::<&[u8]>())
}

fn replace(listed: Listed, content: Option<Vec<u8>>) -> Step {
    match content {
        Some(content) => Step::Write(listed.path, listed.now.with(content)),
        None => Step::Remove(listed.path),
    }
}

/// Lines like ours that are not in the block: the stock programs would give that mail to the alias user.
fn encoded_by_hand(path: &Path, remarks: &mut Remarks) -> Result<(), Failure> {
    let marked = marked(path)?;
    let is_encoded = |(key, prepend): &(Vec<u8>, &[u8])| *prepend == [b"=", key.as_slice(), b"="].concat();
    if let Some((key, prepend)) = pairs(marked.own()).find(is_encoded) {
        let line = format!("{}:{}", text(&key), text(prepend));
        let what = format!("{} has the line {line}, which sync has not written", path.display());
        remarks.refuse(what, "take it out: without qmail-lookup its mail would go to the alias user");
    }
    Ok(())
}
