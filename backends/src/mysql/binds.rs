//! What is bound to a statement, and what is known about the tables of a connection.

use qmail_lookup_core::Table;
use std::time::{Duration, Instant};

/// How long a column counts as missing before it is asked for again: one that was added, above all `suspended`, must
/// be honoured soon.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// Keys bound to a statement, in order. A key is always ASCII text.
pub(super) struct Binds(Vec<String>);

impl Binds {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, key: &str) {
        self.0.push(key.to_owned());
    }

    pub(super) fn into_keys(self) -> Vec<String> {
        self.0
    }
}

/// Optional columns that the tables of one connection were found to lack.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing(Vec<(Table, &'static str, Instant)>);

impl Missing {
    pub(super) fn has(&self, table: Table, column: &str) -> bool {
        let fresh = |since: &Instant| since.elapsed() < MISSING_FOR;
        self.0.iter().any(|(t, c, since)| *t == table && *c == column && fresh(since))
    }

    /// Notes that `table` lacks `column`. False if it may not, or if that was known already.
    pub(super) fn note(&mut self, table: Table, column: &str) -> bool {
        let optional = table.optional_columns().iter().find(|name| name.eq_ignore_ascii_case(column));
        let Some(&name) = optional.filter(|name| !self.has(table, name)) else { return false };
        self.0.retain(|(t, c, _)| (*t, *c) != (table, name));
        self.0.push((table, name, Instant::now()));
        true
    }
}
