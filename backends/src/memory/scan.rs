//! Reading whole tables: a sorted copy is the simplest consistent scan.

use super::Memory;
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
}

struct Rest(std::vec::IntoIter<TableRow>);

#[async_trait]
impl Scan for Rest {
    async fn next(&mut self, max: usize, _by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        Ok(self.0.by_ref().take(max).collect())
    }
}
