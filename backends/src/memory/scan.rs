//! Reading whole tables: a sorted copy is the simplest consistent scan.

use super::Memory;
use crate::stamp::Stamp;
use async_trait::async_trait;
use qmail_lookup_core::{Catalog, Deadline, LookupError, Mark, Scan, Table, TableRow};

#[async_trait]
impl Catalog for Memory {
    async fn scan(&self, table: Table, after: Option<&Mark>, _by: Deadline) -> Result<Box<dyn Scan>, LookupError> {
        let mut rows = self.pick(|row| (row.table() == table).then(|| row.clone()));
        rows.sort_by_cached_key(TableRow::order);
        if let Some(mark) = after {
            let order = mark.row.order();
            let mut equal = 0;
            rows.retain(|row| match row.order().cmp(&order) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => {
                    equal += 1;
                    equal > mark.seen
                }
                std::cmp::Ordering::Greater => true,
            });
        }
        Ok(Box::new(Rest(rows.into_iter())))
    }

    async fn stamp(&self, tables: &[Table], _by: Deadline) -> Result<Option<Vec<u8>>, LookupError> {
        let one = |&table: &Table| {
            let mut stamp = Stamp::default();
            self.pick(|row| (row.table() == table).then(|| row.clone())).iter().for_each(|row| stamp.add(row.cells()));
            stamp.finish()
        };
        Ok(Some(tables.iter().flat_map(one).collect()))
    }
}

struct Rest(std::vec::IntoIter<TableRow>);

#[async_trait]
impl Scan for Rest {
    async fn next(&mut self, max: usize, _by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        Ok(self.0.by_ref().take(max).collect())
    }
}
