//! What is kept of one table: the rows of a key, and when the table was seen to hold them.

use crate::table_key::{ByKey, TableKey};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Instant;

/// Entries that room is made for at once. Unit: keys.
const AT_ONCE: u64 = 4096;

/// When a question was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Higher than that of every question before it.
    pub(super) number: u64,
    pub(super) sent: Instant,
}

/// The rows of one key.
#[derive(Clone)]
struct Entry<R> {
    rows: Arc<[R]>,
    /// The latest question that brought them.
    last: Moment,
    /// Number of the first one that did, without another answer in between.
    first: u64,
}

/// Entries of one table. What is too old is found so when it is looked up, and dropped for lack of room only.
pub(super) struct Kept<K: TableKey>(Cache<K, Entry<K::Row>, ByRows>);

/// An entry takes the room of its rows.
#[derive(Clone)]
struct ByRows;

impl<K, R> Weighter<K, Entry<R>> for ByRows {
    fn weight(&self, _: &K, entry: &Entry<R>) -> u64 {
        u64::try_from(entry.rows.len()).unwrap_or(u64::MAX).max(1)
    }
}

impl<K: TableKey> Kept<K> {
    pub(super) fn new(entries: u64) -> Self {
        let at_once = usize::try_from(entries.min(AT_ONCE)).unwrap_or_default();
        Self(Cache::with_weighter(at_once, entries, ByRows))
    }

    /// The rows of `keys`, if the entry of each is there and `fresh`, and all of them held at one moment.
    pub(super) fn answer(&self, keys: &[K], fresh: impl Fn(&Moment) -> bool) -> Option<Vec<K::Row>> {
        let find = |key: &K| self.0.get(key).filter(|entry| fresh(&entry.last));
        if let [key] = keys {
            return find(key).map(|entry| entry.rows.to_vec());
        }
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let entries = keys.iter().map(|key| find(key)).collect::<Option<Vec<_>>>()?;
        let first = entries.iter().map(|entry| entry.first).max()?;
        let last = entries.iter().map(|entry| entry.last.number).min()?;
        if first > last {
            return None;
        }
        let mut answer: Vec<K::Row> = Vec::new();
        for (place, (key, entry)) in keys.iter().zip(&entries).enumerate() {
            if key.is_any() && answer.iter().any(|row| K::places(&[*key], row).next().is_some()) {
                continue;
            }
            // A row that fits several keys comes with the first of them.
            let of_this_key = |row: &&K::Row| K::places(&keys, row).next() == Some(place);
            let before = answer.len();
            answer.extend(entry.rows.iter().filter(of_this_key).cloned());
            // Its only row belongs to a key that has none: it is newer or older than that.
            if key.is_any() && answer.len() == before && !entry.rows.is_empty() {
                return None;
            }
        }
        Some(answer)
    }

    /// Keeps what an answer says about each of `keys`.
    pub(super) fn keep(&self, keys: &[K], rows: &[K::Row], asked: Moment) {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let by_key = ByKey::new(&keys, rows);
        for (place, key) in keys.into_iter().enumerate() {
            let rows: Arc<[K::Row]> = by_key.rows(place).filter_map(|n| rows.get(n)).cloned().collect();
            let same = |old: &Entry<K::Row>| {
                if key.is_any() { old.rows.is_empty() == rows.is_empty() } else { old.rows == rows }
            };
            let entry = match self.0.get(&key) {
                // This answer was overtaken by one to a later question.
                Some(old) if old.last.number > asked.number => continue,
                Some(old) if same(&old) => Entry { rows, last: asked, first: old.first },
                _ => Entry { rows, last: asked, first: asked.number },
            };
            self.0.insert(key, entry);
        }
    }

    /// Rows, and keys without any, once what is too much is dropped.
    #[cfg(test)]
    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}
