//! Which programs are given back, and how.

use crate::output::Failure;
use crate::qmail::programs::{Whose, examine, is_program};
use crate::qmail::swap::{self, Relation};
use crate::verbs::install::memory::Installed;
use crate::verbs::install::remarks::Remarks;
use crate::verbs::install::step::Step;
use std::path::{Path, PathBuf};

/// The steps. The stock qmail-getpw comes first: beside it ours of qmail-local is safe.
///
/// # Errors
/// If what is there cannot be examined.
pub(super) fn plan(qmail: &Path, before: Option<&Installed>, remarks: &mut Remarks) -> Result<Vec<Step>, Failure> {
    let qmails = ["bin/qmail-getpw", "bin/qmail-local"].map(|name| qmail.join(name));
    let others = before.iter().flat_map(|before| before.programs.keys()).filter(|path| !qmails.contains(path));
    let paths: Vec<PathBuf> = qmails.iter().chain(others).cloned().collect();
    let mut steps = Vec::new();
    for path in paths {
        let known = before.and_then(|before| before.programs.get(&path).copied());
        steps.extend(give_back(path, known, remarks)?);
    }
    Ok(steps)
}

fn give_back(path: PathBuf, known: Option<bool>, remarks: &mut Remarks) -> Result<Option<Step>, Failure> {
    let stock = swap::stock(&path);
    let (here, kept) = (examine(&path)?, examine(&stock)?);
    let shown = stock.display();
    Ok(match (here, kept) {
        (Whose::Ours, Whose::Absent) if known == Some(false) => Some(Step::Remove(path)),
        (Whose::Ours, Whose::Absent | Whose::Ours) => {
            let help = "put qmail's own program there: it is what uninstall gives back";
            let what = if kept == Whose::Ours { "is one of ours" } else { "is not there" };
            remarks.refuse(format!("{shown} {what}"), help);
            None
        }
        (Whose::Ours | Whose::Absent, Whose::Stock | Whose::Patched) if !is_program(&stock)? => {
            let help = "put qmail's own program there: it is what uninstall gives back";
            remarks.refuse(format!("{shown} is no program that can be run"), help);
            None
        }
        (Whose::Ours | Whose::Absent, Whose::Stock | Whose::Patched) => Some(Step::GiveBack(path)),
        (Whose::Stock | Whose::Patched, Whose::Stock | Whose::Patched) if swap::relation(&path)? != Relation::Apart => {
            Some(Step::GiveBack(path))
        }
        // Of a qmail that was installed anew since: what it brought stays.
        (Whose::Stock | Whose::Patched, Whose::Stock | Whose::Patched) if known.is_some() => Some(Step::Remove(stock)),
        (Whose::Stock | Whose::Patched, Whose::Absent) | (Whose::Absent, Whose::Absent) => None,
        (Whose::Stock | Whose::Patched, _) | (Whose::Absent, Whose::Ours) => {
            remarks.warn(format!("{shown} is left over"), "remove it, if nobody needs it");
            None
        }
    })
}
