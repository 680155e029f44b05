//! One statement: whose questions it asks, and who gets which rows of the answer.

use crate::table_key::{ByKey, TableKey};
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::{Deadline, LookupError};
use std::collections::VecDeque;
use std::mem;
use std::time::Instant;
use tokio::sync::oneshot;

/// Most keys of a batch of several questions; the canary of the trust layer rides along as one more.
pub(super) const KEYS_MAX: usize = KEYS_PER_STATEMENT - 1;

/// A question in the queue.
pub(super) struct Waiting<K: TableKey> {
    pub(super) keys: Vec<K>,
    pub(super) by: Deadline,
    pub(super) reply: oneshot::Sender<Result<Vec<K::Row>, LookupError>>,
}

/// Questions that go out together.
pub(super) struct Batch<K: TableKey> {
    /// Sorted, each once.
    pub(super) keys: Vec<K>,
    pub(super) callers: Vec<Waiting<K>>,
    /// The latest deadline among the callers.
    pub(super) by: Deadline,
    /// Questions whose deadline has passed. They are not asked.
    pub(super) late: Vec<Waiting<K>>,
}

impl<K: TableKey> Batch<K> {
    /// The questions at the head of the queue, as many as fit. One with more than [`KEYS_MAX`] keys goes alone.
    pub(super) fn take(queue: &mut VecDeque<Waiting<K>>) -> Self {
        let now = Instant::now();
        let mut batch = Self { keys: Vec::new(), callers: Vec::new(), by: Deadline::at(now), late: Vec::new() };
        while let Some(next) = queue.pop_front() {
            if next.reply.is_closed() {
                continue;
            }
            if next.by.instant() <= now {
                batch.late.push(next);
                continue;
            }
            if !batch.has_room_for(&next.keys) {
                queue.push_front(next);
                break;
            }
            batch.add(next);
        }
        batch
    }

    fn has_room_for(&self, keys: &[K]) -> bool {
        let room = KEYS_MAX.saturating_sub(self.keys.len());
        let fits = |keys: usize| self.callers.is_empty() || keys <= room;
        // The common case needs no look at the keys themselves.
        fits(keys.len())
            || self.keys.len() <= KEYS_MAX
                && fits(keys.iter().filter(|key| self.keys.binary_search(key).is_err()).count())
    }

    fn add(&mut self, question: Waiting<K>) {
        if self.callers.is_empty() {
            self.keys.clone_from(&question.keys);
            self.keys.sort_unstable();
            self.keys.dedup();
        } else {
            for key in &question.keys {
                if let Err(place) = self.keys.binary_search(key) {
                    self.keys.insert(place, key.clone());
                }
            }
        }
        self.by = self.by.max(question.by);
        self.callers.push(question);
    }

    /// Gives each caller its rows, in the order in which they came, or the error.
    pub(super) fn answer(mut self, outcome: Result<Vec<K::Row>, LookupError>) {
        let rows = match outcome {
            Ok(rows) => rows,
            Err(error) => {
                for caller in self.callers {
                    let _ = caller.reply.send(Err(error.clone()));
                }
                return;
            }
        };
        self.callers.retain(|caller| !caller.reply.is_closed());
        let by_key = ByKey::new(&self.keys, &rows);
        // Each row with the number of those who still want it: the last one gets it without a copy.
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row, 0_usize)).collect();
        let (mut shares, mut lengths) = (Vec::new(), Vec::with_capacity(self.callers.len()));
        let mut mine = Vec::new();
        for caller in &self.callers {
            mine.clear();
            for key in &caller.keys {
                mine.extend(self.keys.binary_search(key).into_iter().flat_map(|place| by_key.rows(place)));
            }
            if caller.keys.len() > 1 {
                mine.sort_unstable();
                mine.dedup();
            }
            for &n in &mine {
                if let Some((_, takers)) = rows.get_mut(n) {
                    *takers += 1;
                }
            }
            shares.extend_from_slice(&mine);
            lengths.push(mine.len());
        }
        let mut shares = shares.into_iter();
        for (caller, length) in self.callers.into_iter().zip(lengths) {
            let mut share = Vec::with_capacity(length);
            for n in shares.by_ref().take(length) {
                let Some((row, takers)) = rows.get_mut(n) else { continue };
                *takers -= 1;
                share.push(if *takers == 0 { mem::take(row) } else { row.clone() });
            }
            let _ = caller.reply.send(Ok(share));
        }
    }
}
