//! What can be asked over one connection, and what is known about the tables there.

use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{AliasKey, Cell, Host, Table, Username, VirtualKey};
use std::time::{Duration, Instant};

/// How long a column counts as missing before it is asked for again: one that was added, above all `suspended`, must
/// be honoured soon.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// One question. Keys are unique.
#[derive(Clone, Debug)]
pub(super) enum Question {
    Mailboxes(Vec<Username>),
    Credentials(Vec<Username>),
    Aliases(Vec<AliasKey>),
    Virtuals(Vec<VirtualKey>),
    Rcpthosts(Vec<Host>),
    AnyMailbox,
}

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

impl Question {
    pub(super) fn table(&self) -> Table {
        match self {
            Self::Mailboxes(_) | Self::Credentials(_) | Self::AnyMailbox => Table::Mailbox,
            Self::Aliases(_) => Table::Alias,
            Self::Virtuals(_) => Table::Virtual,
            Self::Rcpthosts(_) => Table::Rcpthosts,
        }
    }

    /// The columns that are read. Questions of routing never name those of passwords.
    pub(super) fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Mailboxes(_) => &["username", "uid", "gid", "home", "suspended"],
            _ => self.table().columns(),
        }
    }

    /// The same question in pieces of at most one statement's keys.
    pub(super) fn pieces(self) -> Vec<Self> {
        fn cut<K: Clone + Ord>(mut keys: Vec<K>, wrap: impl Fn(Vec<K>) -> Question) -> Vec<Question> {
            keys.sort_unstable();
            keys.dedup();
            keys.chunks(KEYS_PER_STATEMENT).map(|piece| wrap(piece.to_vec())).collect()
        }
        match self {
            Self::Mailboxes(keys) => cut(keys, Self::Mailboxes),
            Self::Credentials(keys) => cut(keys, Self::Credentials),
            Self::Aliases(keys) => cut(keys, Self::Aliases),
            Self::Virtuals(keys) => cut(keys, Self::Virtuals),
            Self::Rcpthosts(keys) => cut(keys, Self::Rcpthosts),
            Self::AnyMailbox => vec![self],
        }
    }

    /// True if a row belongs to one of the keys by its bytes. Others, which only a collation takes for equal, are left
    /// out here: in another piece of the question they would come a second time.
    pub(super) fn asks_for(&self, row: &[Cell]) -> bool {
        let cell = |n: usize| row.get(n).and_then(|cell| cell.as_deref());
        match self {
            Self::AnyMailbox => true,
            Self::Mailboxes(keys) | Self::Credentials(keys) => keys.iter().any(|key| key.matches(cell(0))),
            Self::Rcpthosts(keys) => keys.iter().any(|key| key.matches(cell(0))),
            Self::Aliases(keys) => keys.iter().any(|key| key.username.matches(cell(0)) && key.alias.matches(cell(1))),
            Self::Virtuals(keys) => keys.iter().any(|key| {
                key.host().matches(cell(0))
                    && match key {
                        VirtualKey::Exact { user, .. } => user.matches(cell(1)),
                        VirtualKey::Patterns { .. } => {
                            cell(1).is_none_or(|user| user.is_empty() || user.iter().any(|b| b"%_".contains(b)))
                        }
                        VirtualKey::Any { .. } => true,
                    }
            }),
        }
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
