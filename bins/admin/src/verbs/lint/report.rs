//! What is printed of the findings. However many there are, few are kept.

use crate::exit::Exit;
use crate::output::{Failure, Output};
use indicatif::ProgressBar;
use qmail_lookup_config::Stores;
use qmail_lookup_core::editor::Change;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::{Backend, Table};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most findings of one rule and severity that are printed one by one; the others are counted.
const PRINTED: u64 = 1000;

/// See the module.
pub(super) struct Report<'a> {
    stores: &'a Stores,
    output: &'a mut Output,
    bar: ProgressBar,
    /// For JSON, which is one value at the end.
    kept: Vec<Value>,
    /// The findings themselves, for who prints them in another way.
    collected: Option<Vec<Finding>>,
    counts: BTreeMap<(&'static str, Severity), u64>,
}

/// How many findings there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) errors: u64,
    pub(super) warnings: u64,
    pub(super) notes: u64,
}

impl<'a> Report<'a> {
    /// An empty one. Lines are printed beside `bar`.
    pub(super) fn new(stores: &'a Stores, output: &'a mut Output, bar: ProgressBar) -> Self {
        Self { stores, output, bar, kept: Vec::new(), collected: None, counts: BTreeMap::new() }
    }

    /// One that prints nothing, and keeps every finding.
    pub(super) fn collecting(stores: &'a Stores, output: &'a mut Output, bar: ProgressBar) -> Self {
        Self { collected: Some(Vec::new()), ..Self::new(stores, output, bar) }
    }

    /// What was collected.
    pub(super) fn collected(self) -> Vec<Finding> {
        self.collected.unwrap_or_default()
    }

    /// Takes a finding: prints it, or only counts it if there were very many of its rule.
    pub(super) fn push(&mut self, finding: Finding) {
        if let Some(collected) = &mut self.collected {
            collected.push(finding);
            return;
        }
        let (severity, rule) = (finding.severity, finding.rule);
        let count = self.counts.entry((rule, severity)).or_default();
        *count += 1;
        if *count > PRINTED {
            return;
        }
        let (value, text) = worded(self.stores, finding);
        if self.output.is_json() {
            self.kept.push(value);
            return;
        }
        let output = &mut *self.output;
        self.bar.suspend(|| {
            output.line(text);
            output.flush();
        });
    }

    /// How many findings there are so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts.iter().fold(Counts::default(), |mut sum, ((_, severity), count)| {
            match severity {
                Severity::Error => sum.errors += count,
                Severity::Warning => sum.warnings += count,
                Severity::Note => sum.notes += count,
            }
            sum
        })
    }

    /// Prints the sums, and decides the exit status.
    pub(super) fn finish(self, done: Result<(), Failure>, strict: bool) -> Exit {
        let counts = self.counts();
        let found = counts.errors > 0 || counts.warnings > 0 || (strict && counts.notes > 0);
        let result = match &done {
            Err(_) => "error",
            Ok(()) if found => "findings",
            Ok(()) => "clean",
        };
        let mut value = json!({ "findings": self.kept, "counts": by_rule(&self.counts), "result": result });
        if let Err(failure) = &done {
            value["error"] = failure.to_json();
        }
        self.output.result(&value, |out| print(out, &self.counts, counts, done.is_ok()));
        match done {
            Err(failure) => {
                self.output.complain(&failure.line());
                failure.exit()
            }
            Ok(()) if found => Exit::No,
            Ok(()) => Exit::Yes,
        }
    }
}

/// A finding for scripts, and for people.
pub(crate) fn worded(stores: &Stores, finding: Finding) -> (Value, String) {
    let Finding { severity, rule, table, key, why, repair } = finding;
    let severity = severity.as_str();
    let (kind, repair) = mended(stores, repair);
    let space = if key.is_empty() { "" } else { " " };
    let head = format!("{severity:8}{rule} {table}{space}{key}: {why}");
    let text = match repair.contains('\n') {
        // LDIF means something only line by line.
        true => format!("{} (repair:\n{repair})", one_line(&head)),
        false => one_line(&format!("{head} (repair: {repair})")),
    };
    let value = json!({
        "severity": severity, "rule": rule, "table": table.name(), "key": key, "why": why, "repair": repair,
        "repair_kind": kind,
    });
    (value, text)
}

/// What mends it, for people to run, or to read; and which of the two.
fn mended(stores: &Stores, repair: Repair) -> (&'static str, String) {
    let change = match repair {
        Repair::Words(text) => return ("words", text),
        Repair::Command(text) => return ("command", text),
        Repair::Change(change) => change,
    };
    let (Change::Insert(row) | Change::Delete(row) | Change::Replace { old: row, .. }) = &change;
    let store: &dyn Backend = match row.table() {
        Table::Mailbox => stores.mailbox.as_ref(),
        Table::Alias => stores.alias.as_ref(),
        Table::Virtual | Table::Rcpthosts => stores.virtuals.as_ref(),
    };
    store.change_text(&change).map_or_else(|| ("words", in_words(&change)), |text| ("statement", text))
}

fn print(out: &mut Output, by_rule: &BTreeMap<(&'static str, Severity), u64>, counts: Counts, whole: bool) {
    for ((rule, severity), count) in by_rule {
        let hidden = count.saturating_sub(PRINTED);
        let more = if hidden > 0 { format!(", {hidden} of them not shown") } else { String::new() };
        out.line(format!("{rule:12}{count} {}{more}", plural(*severity, *count)));
    }
    let end = if whole { "" } else { "; not everything was looked at" };
    let Counts { errors, warnings, notes } = counts;
    let sums = [(Severity::Error, errors), (Severity::Warning, warnings), (Severity::Note, notes)];
    let sums = sums.map(|(severity, count)| format!("{count} {}", plural(severity, count)));
    out.line(sums.join(", ") + end);
}

fn plural(severity: Severity, count: u64) -> String {
    format!("{}{}", severity.as_str(), if count == 1 { "" } else { "s" })
}

/// `{"K3": {"error": 2, "shown": 2}, ...}`.
fn by_rule(counts: &BTreeMap<(&'static str, Severity), u64>) -> Value {
    let mut rules = Map::new();
    for ((rule, severity), count) in counts {
        let of_rule = rules.entry(*rule).or_insert_with(|| json!({}));
        of_rule[severity.as_str()] = json!(count);
        let shown = of_rule["shown"].as_u64().unwrap_or_default() + (*count).min(PRINTED);
        of_rule["shown"] = json!(shown);
    }
    Value::Object(rules)
}

/// A change of a store that has no words for it.
fn in_words(change: &Change) -> String {
    match change {
        Change::Insert(row) => format!("add the row to table {}", row.table()),
        Change::Replace { new, .. } => format!("correct the row of table {}", new.table()),
        Change::Delete(row) => format!("remove the row from table {}", row.table()),
    }
}

/// Nothing of a row may steer the reader's terminal, or look like another line.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}
