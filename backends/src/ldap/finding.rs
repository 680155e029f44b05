//! Which entries hold rows of a key.

use super::editing::Editing;
use super::entry;
use super::filter::escaped;
use super::name::compared;
use super::pages::{Found, class_filter};
use qmail_lookup_core::{EditCause, Table, TableRow};
use std::collections::HashMap;

/// What the directory compares rows by: a table and its key columns, as servers compare them.
pub(super) type Key = (Table, Vec<Vec<u8>>);

/// Keys that one search asks for.
const KEYS: usize = 64;

impl Editing<'_> {
    /// The entries that hold rows of this key.
    pub(super) async fn of_key(&self, row: &TableRow) -> Result<Vec<Found>, EditCause> {
        let table = row.table();
        let base = self.base(table)?;
        let Some(place) = self.mapping.place(table) else { return Ok(Vec::new()) };
        // A key that is not ASCII cannot be in the directory.
        let Some(filter) = key_filter(row) else { return Ok(Vec::new()) };
        let found = self.writer.search(base, class_filter(&place, &filter)).await;
        found.map_err(|trouble| self.store(trouble, base))
    }

    /// The entries that hold rows of the keys of `rows`, by key; few searches for many rows.
    pub(super) async fn of_keys(&self, rows: &[&TableRow]) -> Result<HashMap<Key, Vec<Found>>, EditCause> {
        let mut all: HashMap<Key, Vec<Found>> = HashMap::new();
        for table in Table::ALL {
            let mut asked: HashMap<Key, &TableRow> = HashMap::new();
            // A key that no entry can have is not asked for.
            for row in rows.iter().filter(|row| row.table() == table && key_filter(row).is_some()) {
                asked.entry(key(row)).or_insert(row);
            }
            let asked: Vec<_> = asked.into_iter().collect();
            for some in asked.chunks(KEYS) {
                all.extend(self.of_some(table, some).await?);
            }
        }
        Ok(all)
    }

    async fn of_some(&self, table: Table, asked: &[(Key, &TableRow)]) -> Result<HashMap<Key, Vec<Found>>, EditCause> {
        let mut some: HashMap<Key, Vec<Found>> = asked.iter().map(|(key, _)| (key.clone(), Vec::new())).collect();
        let base = self.base(table)?;
        let filters: Vec<_> = asked.iter().filter_map(|(_, row)| key_filter(row)).collect();
        let (Some(place), false) = (self.mapping.place(table), filters.is_empty()) else { return Ok(some) };
        let filter = filters.iter().map(|filter| format!("(&{filter})")).collect::<String>();
        let found = self.writer.search(base, class_filter(&place, &format!("(|{filter})"))).await;
        let found = found.map_err(|trouble| self.store(trouble, base))?;
        for found in found {
            let mut keys: Vec<_> = entry::rows(table, &found.1).iter().map(key).collect();
            keys.dedup();
            keys.retain(|key| some.contains_key(key));
            if keys.is_empty() {
                // The server compares otherwise than we, so it has to say itself what it takes for which key.
                for (key, row) in asked {
                    some.insert(key.clone(), self.of_key(row).await?);
                }
                return Ok(some);
            }
            for key in keys {
                some.entry(key).or_default().push(found.clone());
            }
        }
        Ok(some)
    }

    /// The entry that holds `row`.
    pub(super) async fn find(&self, row: &TableRow) -> Result<Found, EditCause> {
        let found = self.of_key(row).await?;
        let holds = |(_, entry): &Found| entry::rows(row.table(), entry).contains(row);
        found.into_iter().find(holds).ok_or(EditCause::RowIsGone)
    }
}

/// What the directory compares `row` by.
pub(super) fn key(row: &TableRow) -> Key {
    let (table, cells) = (row.table(), row.cells());
    let keys = cells.iter().take(table.key_columns());
    (table, keys.map(|cell| compared(cell.unwrap_or_default())).collect())
}

/// The part of a filter that finds the entries which hold rows of the same key; `None` if no entry can.
fn key_filter(row: &TableRow) -> Option<String> {
    let cells = row.cells();
    let cell = |place: usize| cells.get(place).copied().flatten();
    if cells.iter().take(row.table().key_columns()).any(|cell| cell.is_none_or(|key| !key.is_ascii())) {
        return None;
    }
    let equals = |name: &str, place: usize| format!("({name}={})", escaped(cell(place).unwrap_or_default()));
    let blank = |place: usize| cell(place).is_none_or(<[u8]>::is_empty);
    Some(match row.table() {
        Table::Mailbox => equals(entry::USER, 0),
        Table::Rcpthosts => equals(entry::RCPT_HOST, 0),
        Table::Alias => {
            let absent = || format!("(|(!({0}=*))({0}=))", entry::ALIAS);
            equals(entry::USER, 0) + &if blank(1) { absent() } else { equals(entry::ALIAS, 1) }
        }
        Table::Virtual => {
            let (user, pattern) = (entry::VIRTUAL_USER, entry::VIRTUAL_PATTERN);
            let none = || format!("(|(&(!({user}=*))(!({pattern}=*)))({user}=)({pattern}=))");
            let either = || format!("(|{}{})", equals(user, 1), equals(pattern, 1));
            equals(entry::VIRTUAL_HOST, 0) + &if blank(1) { none() } else { either() }
        }
    })
}

/// True if the table of `row` holds a key once.
pub(super) fn is_unique(row: &TableRow) -> bool {
    matches!(row.table(), Table::Mailbox | Table::Rcpthosts)
}
