//! What can be asked over one connection.

use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::rules::Ask;
use qmail_lookup_core::{AliasKey, Cell, Host, Table, Username, VirtualKey};

/// One question. Keys are unique.
#[derive(Clone, Debug)]
pub(super) enum Question {
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
    pub(super) fn table(&self) -> Table {
        match self {
            Self::Mailboxes(_) | Self::Credentials(_) | Self::AnyMailbox => Table::Mailbox,
            Self::Aliases(_) => Table::Alias,
            Self::Virtuals(_) => Table::Virtual,
            Self::Rcpthosts(_) => Table::Rcpthosts,
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

    /// True if a row, cells in the order of [`Table::columns`], belongs to one of the keys by its bytes. A server's
    /// matching rules ignore blanks, too.
    pub(super) fn asks_for(&self, row: &[Cell]) -> bool {
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
