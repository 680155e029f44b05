//! Keys of the four tables by what layers need of them: how to ask, and which rows of an answer are whose.

use qmail_lookup_core::{
    AliasKey, AliasRow, Backend, Cell, Deadline, Host, HostRow, LookupError, MailboxRow, Username, VirtualKey,
    VirtualRow,
};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::Hash;
use std::pin::Pin;

/// An answer on its way.
pub(crate) type Answer<'a, R> = Pin<Box<dyn Future<Output = Result<Vec<R>, LookupError>> + Send + 'a>>;

/// What one table is asked by.
pub(crate) trait TableKey: Clone + Ord + Hash + Send + Sync + 'static {
    /// Its rows.
    type Row: Clone + Default + PartialEq + Send + Sync + 'static;

    /// Asks `store` for the rows of `keys`.
    fn ask<'a>(store: &'a dyn Backend, keys: &'a [Self], by: Deadline) -> Answer<'a, Self::Row>;

    /// Places of the keys that `row` fits (rule K2), ascending. `keys` are sorted, and each is there once.
    fn places<K: Borrow<Self>>(keys: &[K], row: &Self::Row) -> impl Iterator<Item = usize>;

    /// True if `row` is one of this key (rule K2).
    fn is_of(&self, row: &Self::Row) -> bool {
        Self::places(std::slice::from_ref(self), row).next().is_some()
    }

    /// True if one row, whichever, is all that the key asks for.
    fn is_any(&self) -> bool {
        false
    }
}

/// How `key` stands to a cell as stored, folded; NULL is the empty key.
fn order(key: &[u8], cell: &Cell) -> Ordering {
    key.iter().copied().cmp(cell.iter().flatten().map(u8::to_ascii_lowercase))
}

impl TableKey for Username {
    type Row = MailboxRow;

    fn ask<'a>(store: &'a dyn Backend, keys: &'a [Self], by: Deadline) -> Answer<'a, MailboxRow> {
        store.mailboxes(keys, by)
    }

    fn places<K: Borrow<Self>>(keys: &[K], row: &MailboxRow) -> impl Iterator<Item = usize> {
        keys.binary_search_by(|key| order(key.borrow().as_bytes(), &row.username)).into_iter()
    }
}

impl TableKey for AliasKey {
    type Row = AliasRow;

    fn ask<'a>(store: &'a dyn Backend, keys: &'a [Self], by: Deadline) -> Answer<'a, AliasRow> {
        store.aliases(keys, by)
    }

    fn places<K: Borrow<Self>>(keys: &[K], row: &AliasRow) -> impl Iterator<Item = usize> {
        let compare = |key: &K| {
            let Self { username, alias } = key.borrow();
            order(username.as_bytes(), &row.username).then_with(|| order(alias.as_bytes(), &row.alias))
        };
        keys.binary_search_by(compare).into_iter()
    }
}

impl TableKey for Host {
    type Row = HostRow;

    fn ask<'a>(store: &'a dyn Backend, keys: &'a [Self], by: Deadline) -> Answer<'a, HostRow> {
        store.rcpthosts(keys, by)
    }

    fn places<K: Borrow<Self>>(keys: &[K], row: &HostRow) -> impl Iterator<Item = usize> {
        keys.binary_search_by(|key| order(key.borrow().as_bytes(), &row.host)).into_iter()
    }
}

impl TableKey for VirtualKey {
    type Row = VirtualRow;

    fn ask<'a>(store: &'a dyn Backend, keys: &'a [Self], by: Deadline) -> Answer<'a, VirtualRow> {
        store.virtuals(keys, by)
    }

    // The derived order puts all exact keys before all patterns, and those before every `Any`.
    fn places<K: Borrow<Self>>(keys: &[K], row: &VirtualRow) -> impl Iterator<Item = usize> {
        let at = |host: &Host| order(host.as_bytes(), &row.virtual_host);
        let exact = keys.binary_search_by(|key| match key.borrow() {
            Self::Exact { host, user } => at(host).then_with(|| order(user.as_bytes(), &row.virtual_username)),
            Self::Patterns { .. } | Self::Any { .. } => Ordering::Greater,
        });
        let patterns = keys.binary_search_by(|key| match key.borrow() {
            Self::Exact { .. } => Ordering::Less,
            Self::Patterns { host } => at(host),
            Self::Any { .. } => Ordering::Greater,
        });
        let any = keys.binary_search_by(|key| match key.borrow() {
            Self::Exact { .. } | Self::Patterns { .. } => Ordering::Less,
            Self::Any { host } => at(host),
        });
        let user = row.virtual_username.as_deref().unwrap_or_default();
        let is_pattern = user.is_empty() || user.iter().any(|byte| b"%_".contains(byte));
        [exact.ok(), patterns.ok().filter(|_| is_pattern), any.ok()].into_iter().flatten()
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Any { .. })
    }
}

/// Which rows of an answer are those of which key. Each [`TableKey::is_any`] key has one at most.
pub(crate) struct ByKey(Vec<(usize, usize)>);

impl ByKey {
    /// `keys` are sorted, and each is there once.
    pub(crate) fn new<K: TableKey>(keys: &[K], rows: &[K::Row]) -> Self {
        let places = |(n, row)| K::places(keys, row).map(move |place| (place, n));
        let mut pairs: Vec<_> = rows.iter().enumerate().flat_map(places).collect();
        pairs.sort_unstable();
        pairs.dedup_by(|later, first| later.0 == first.0 && keys.get(first.0).is_some_and(K::is_any));
        Self(pairs)
    }

    /// Numbers of the rows of the key at `place`, in the order of the answer.
    pub(crate) fn rows(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let from = self.0.partition_point(|(at, _)| *at < place);
        self.0.iter().skip(from).take_while(move |(at, _)| *at == place).map(|(_, row)| *row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qmail_lookup_core::{Ext, VirtualUser};

    fn sorted<K: Ord>(mut keys: Vec<K>) -> Vec<K> {
        keys.sort();
        keys.dedup();
        keys
    }

    /// What the keys' own `matches` says.
    fn matching<K>(keys: &[K], fits: impl Fn(&K) -> bool) -> Vec<usize> {
        keys.iter().enumerate().filter(|(_, key)| fits(key)).map(|(place, _)| place).collect()
    }

    fn cell(max: usize) -> impl Strategy<Value = Cell> {
        let byte = prop_oneof![prop::sample::select(b"aAbB%_. ".to_vec()), any::<u8>()];
        prop::option::of(prop::collection::vec(byte, 0..=max))
    }

    proptest! {
        #[test]
        fn a_row_has_the_places_of_the_keys_that_match_it(
            names in prop::collection::vec("[abAB]{1,2}", 0..6),
            exts in prop::collection::vec("[abAB%_]{0,2}", 6),
            (a, b) in (cell(3), cell(3)),
        ) {
            let users = sorted(names.iter().filter_map(|name| Username::new(name.as_bytes())).collect());
            let row = MailboxRow { username: a.clone(), ..MailboxRow::default() };
            let places: Vec<_> = Username::places(&users, &row).collect();
            prop_assert_eq!(places, matching(&users, |key| key.matches(a.as_deref())));

            let hosts = sorted(names.iter().filter_map(|name| Host::new(name.as_bytes())).collect());
            let places: Vec<_> = Host::places(&hosts, &HostRow { host: a.clone() }).collect();
            prop_assert_eq!(places, matching(&hosts, |key| key.matches(a.as_deref())));

            let pairs = names.iter().zip(&exts);
            let aliases = sorted(pairs.clone().filter_map(|(name, ext)| {
                Some(AliasKey { username: Username::new(name.as_bytes())?, alias: Ext::new(ext.as_bytes())? })
            }).collect());
            let row = AliasRow { username: a.clone(), alias: b.clone(), ..AliasRow::default() };
            let places: Vec<_> = AliasKey::places(&aliases, &row).collect();
            let fits = |key: &AliasKey| key.username.matches(a.as_deref()) && key.alias.matches(b.as_deref());
            prop_assert_eq!(places, matching(&aliases, fits));

            let virtuals = sorted(pairs.filter_map(|(name, user)| {
                let (host, user) = (Host::new(name.as_bytes())?, VirtualUser::new(user.as_bytes())?);
                let one = |host| VirtualKey::Patterns { host };
                Some([VirtualKey::Exact { host: host.clone(), user }, one(host.clone()), VirtualKey::Any { host }])
            }).flatten().collect());
            let row = VirtualRow { virtual_host: a.clone(), virtual_username: b.clone(), ..VirtualRow::default() };
            let places: Vec<_> = VirtualKey::places(&virtuals, &row).collect();
            let fits = |key: &VirtualKey| key.host().matches(a.as_deref()) && match key {
                VirtualKey::Exact { user, .. } => user.matches(b.as_deref()),
                VirtualKey::Patterns { .. } => {
                    b.as_ref().is_none_or(|user| user.is_empty() || user.contains(&b'%') || user.contains(&b'_'))
                }
                VirtualKey::Any { .. } => true,
            };
            prop_assert_eq!(places, matching(&virtuals, fits));
        }
    }
}
