//! The keys that a sample is made of.

use crate::table_key::TableKey;
use qmail_lookup_core::{AliasKey, Host, Table, Username, VirtualKey};

/// A key by what a sample needs of it.
pub(super) trait Key: TableKey {
    /// The table that it is a key of.
    const TABLE: Table;

    /// True if it stands for the same rows whenever it is asked.
    fn can_be_sampled(&self) -> bool {
        true
    }

    /// True if it belongs to the share of keys that are found.
    fn counts(&self) -> bool {
        true
    }

    /// True if nobody needs to know that it has no row, because another of the `keys` has one in `rows`.
    fn is_settled_by(&self, _keys: &[Self], _rows: &[Self::Row]) -> bool {
        false
    }
}

impl Key for Username {
    const TABLE: Table = Table::Mailbox;
}

impl Key for AliasKey {
    const TABLE: Table = Table::Alias;
}

impl Key for Host {
    const TABLE: Table = Table::Rcpthosts;
}

impl Key for VirtualKey {
    const TABLE: Table = Table::Virtual;

    fn can_be_sampled(&self) -> bool {
        matches!(self, Self::Exact { .. })
    }

    /// The blank row and `%` are asked for with every address, and most hosts have neither.
    fn counts(&self) -> bool {
        matches!(self, Self::Exact { user, .. } if !matches!(user.as_bytes(), b"" | b"%"))
    }

    /// The exact row is final (rule V2): once it is there, the other rows of its host decide nothing.
    fn is_settled_by(&self, keys: &[Self], rows: &[Self::Row]) -> bool {
        let named = |key: &&Self| key.counts() && key.host() == self.host();
        !self.counts() && keys.iter().filter(named).any(|key| rows.iter().any(|row| key.is_of(row)))
    }
}
