//! What `lint` would say about rows that are not there yet: it is run over the rows around the changes, once as they are
//! and once as they will be.

use super::Plan;
use super::around::{When, around};
use super::rows::{by, store};
use crate::cli;
use crate::output::{Failure, Output};
use crate::session::Session;
use crate::verbs::lint;
use qmail_lookup_backends::overlay::Overlay;
use qmail_lookup_config::Stores;
use qmail_lookup_core::editing::{Ahead, Touched};
use qmail_lookup_core::lint::{Finding, Severity, key_of};
use qmail_lookup_core::{Table, TableRow};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What a finding is known by; how it is worded may change with what else is in the tables.
type Identity = (&'static str, Table, String);

fn identity(finding: &Finding) -> Identity {
    (finding.rule, finding.table, finding.key.clone())
}

/// What a plan's rows were found to be once its changes are made.
pub(crate) struct Judged {
    /// What the changes touch in other rows.
    touched: Touched,
    findings: Vec<Finding>,
}

/// Errors and warnings that the plan's changes cause: those of what will be that are none of what is. And what there is
/// to compare with once they are made.
///
/// # Errors
/// If a store could not be asked.
pub(super) async fn caused(
    session: &Session,
    plan: &Plan,
    output: &mut Output,
) -> Result<(Vec<Finding>, Judged), Failure> {
    let (now, then) = (Ahead::default(), Ahead::of(&plan.changes));
    let (around, touched) = around(session, plan, &then, When::Before, output).await?;
    let there: BTreeSet<&TableRow> = around.iter().collect();
    // Without it the changes cannot be made, and what they would come to is not known.
    if let Some(row) = then.gone().iter().find(|row| !there.contains(row)) {
        let row = format!("{} of table {}", key_of(row), row.table());
        let what = "the row is gone, or was changed by somebody else meanwhile; nothing was changed";
        return Err(Failure::refused(format!("{row}: {what}")));
    }
    let before = found(session, now, around.clone(), plan, output).await?;
    let before = before.into_iter().map(|finding| in_new_words(finding, plan)).collect();
    let after = found(session, then, around, plan, output).await?;
    Ok((more(before, after.clone()), Judged { touched, findings: after }))
}

/// Errors and warnings that are there now that the plan's changes are made, and were not to be: somebody else has made
/// another change meanwhile, and each of them alone was right.
///
/// # Errors
/// If a store could not be asked.
pub(super) async fn unexpected(
    session: &Session,
    plan: &Plan,
    judged: Judged,
    output: &mut Output,
) -> Result<Vec<Finding>, Failure> {
    let now = Ahead::default();
    let (around, _) = around(session, plan, &now, When::After(judged.touched), output).await?;
    let found = found(session, now, around, plan, output).await?;
    // Of a whole table too few rows were looked at.
    let found = found.into_iter().filter(|finding| !finding.key.is_empty()).collect();
    Ok(more(judged.findings, found))
}

/// Those of `after` that are more than `before` by rule, table and key; worded as none of `before` if there is a choice.
fn more(before: Vec<Finding>, after: Vec<Finding>) -> Vec<Finding> {
    let matters = |finding: &Finding| finding.severity >= Severity::Warning;
    let mut counts: HashMap<Identity, usize> = HashMap::new();
    let mut words: HashSet<(Identity, String)> = HashSet::new();
    for finding in before.into_iter().filter(matters) {
        *counts.entry(identity(&finding)).or_default() += 1;
        words.insert((identity(&finding), finding.why));
    }
    let after = after.into_iter().filter(matters);
    let (mut known, new): (Vec<Finding>, Vec<Finding>) =
        after.partition(|finding| words.contains(&(identity(finding), finding.why.clone())));
    known.extend(new);
    known.retain(|finding| match counts.get_mut(&identity(finding)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    known
}

/// A finding as it would be worded after a mailbox was renamed.
fn in_new_words(finding: Finding, plan: &Plan) -> Finding {
    let Some((old, new)) = &plan.renamed else { return finding };
    let renamed = |text: &str| text.replace(old.as_str(), new.as_str());
    Finding { key: renamed(&finding.key), why: renamed(&finding.why), ..finding }
}

async fn found(
    session: &Session,
    ahead: Ahead,
    around: Vec<TableRow>,
    plan: &Plan,
    output: &mut Output,
) -> Result<Vec<Finding>, Failure> {
    let rules = Arc::clone(&session.lookup.settings);
    let (around, ahead) = (ahead.applied(around), Arc::new(ahead));
    let over = |table| -> Arc<dyn qmail_lookup_core::Backend> {
        Arc::new(Overlay::new(store(session, table), &ahead, &around, &rules))
    };
    let stores = Stores { mailbox: over(Table::Mailbox), alias: over(Table::Alias), virtuals: over(Table::Virtual) };
    let lookup = stores.lookup(&rules);
    let small = Session { config: session.config.clone(), stores, lookup, by: by(session) };
    // Whether a forward leads to somebody may be said by a file in a home.
    let options = cli::Lint { qmail: None, no_homes: false, quiet: true, strict: false };
    lint::findings(&small, &options, plan.homes, output).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::lint::Repair;

    fn finding(severity: Severity, key: &str, why: &str) -> Finding {
        let (rule, table, repair) = ("swallowed", Table::Virtual, Repair::Words(String::new()));
        Finding { severity, rule, table, key: key.to_owned(), why: why.to_owned(), repair }
    }

    #[test]
    fn findings_are_counted_and_not_compared_word_for_word() {
        let warning = |key: &str, why: &str| finding(Severity::Warning, key, why);
        let before = vec![warning("@a", "2 of them, bob for instance"), warning("@b", "x")];
        let other = vec![warning("@a", "3 of them, eve for instance"), warning("@b", "x")];
        assert!(more(before.clone(), other).is_empty());
        let twice = vec![warning("@b", "y"), warning("@b", "x"), warning("@a", "")];
        assert_eq!(more(before.clone(), twice), [warning("@b", "y")]);
        let note = finding(Severity::Note, "@c", "");
        assert!(more(Vec::new(), vec![note.clone()]).is_empty());
        assert_eq!(more(vec![note], vec![warning("@c", "")]).len(), 1, "it has become worse");
    }
}
