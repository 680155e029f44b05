//! What can be asked over one connection of a networked store.

use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{AliasKey, Cell, Host, Table, Username, VirtualKey};

/// One question. Keys are unique.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Mailboxes(Vec<Username>),
    /// With their passwords.
    Credentials(Vec<Username>),
    Aliases(Vec<AliasKey>),
    Virtuals(Vec<VirtualKey>),
    Rcpthosts(Vec<Host>),
    AnyMailbox,
}

impl From<&Ask> for Question {
    fn from(ask: &Ask) -> Self {
        match ask {
            Ask::Mailboxes(names) => Self::Mailboxes(names.clone()),
            Ask::Aliases(keys) => Self::Aliases(keys.clone()),
            Ask::Virtuals(keys) => Self::Virtuals(keys.clone()),
            Ask::Rcpthosts(hosts) => Self::Rcpthosts(hosts.clone()),
        }
    }
}

impl Question {
    pub(crate) fn table(&self) -> Table {
        match self {
            Self::Mailboxes(_) | Self::Credentials(_) | Self::AnyMailbox => Table::Mailbox,
            Self::Aliases(_) => Table::Alias,
            Self::Virtuals(_) => Table::Virtual,
            Self::Rcpthosts(_) => Table::Rcpthosts,
        }
    }

    /// The columns that are read, in order. Questions of routing never name those of passwords.
    pub(crate) fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Mailboxes(_) => &["username", "uid", "gid", "home", "suspended"],
            _ => self.table().columns(),
        }
    }

    /// The same question in pieces of at most one statement's keys.
    pub(crate) fn pieces(self) -> Vec<Self> {
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

    /// True if a row, whose key cells come first, belongs to one of the keys by its bytes. Others, which only a collation
    /// or a matching rule takes for equal, are left out: in another piece of the question they would come a second time.
    pub(crate) fn asks_for(&self, row: &[Cell]) -> bool {
        let cell = |n: usize| row.get(n).and_then(|cell| cell.as_deref());
        match self {
            Self::AnyMailbox => true,
            Self::Mailboxes(keys) | Self::Credentials(keys) => keys.iter().any(|key| key.matches(cell(0))),
            Self::Rcpthosts(keys) => keys.iter().any(|key| key.matches(cell(0))),
            Self::Aliases(keys) => keys.iter().any(|key| key.username.matches(cell(0)) && key.alias.matches(cell(1))),
            Self::Virtuals(keys) => keys.iter().any(|key| key.host().matches(cell(0)) && fits(key, cell(1))),
        }
    }
}

/// True if a row of the key's host is one that `key` is about.
fn fits(key: &VirtualKey, user: Option<&[u8]>) -> bool {
    match key {
        VirtualKey::Exact { user: wanted, .. } => wanted.matches(user),
        VirtualKey::Patterns { .. } => {
            user.is_none_or(|user| user.is_empty() || user.iter().any(|b| b"%_".contains(b)))
        }
        VirtualKey::Any { .. } => true,
    }
}
