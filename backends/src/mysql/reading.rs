//! Reading whole rows for changes: those of a key, and those that were just written.

use super::connection::Connection;
use super::rows;
use super::shape::{Shape, plain};
use super::sql;
use crate::written::differs;
use qmail_lookup_core::{Change, Numbering, Table, TableRow};
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlRow;

fn whole(table: Table, found: &[MySqlRow]) -> Result<Vec<TableRow>, sqlx::Error> {
    let width = table.columns().len();
    found.iter().map(|row| Ok(TableRow::from_cells(table, rows::cells(row, width)?))).collect()
}

/// The rows whose first key column is `key` when folded, in order.
pub(super) async fn rows(conn: &mut Connection, table: Table, key: &[u8]) -> Result<Vec<TableRow>, sqlx::Error> {
    let shape = Shape { columns: conn.columns().await?, engines: Vec::new() };
    let text = plain(key).filter(|_| folds(&shape, table));
    let query = sqlx::query(AssertSqlSafe(sql::of_key(table, &shape.missing(), text.is_some())));
    let query = match text {
        Some(text) => query.bind(text),
        None => query.bind(key.to_ascii_lowercase()),
    };
    let mut found = whole(table, &query.fetch_all(&mut conn.sql).await?)?;
    found.retain(|row| row.cells().first().copied().flatten().is_some_and(|cell| cell.eq_ignore_ascii_case(key)));
    found.sort_by_cached_key(TableRow::order);
    Ok(found)
}

/// True if the collation of the first key column takes at least those keys for equal that differ in the case of ASCII
/// letters only; to the Turkish ones I and i are different letters.
fn folds(shape: &Shape, table: Table) -> bool {
    let kind = table.columns().first().and_then(|name| shape.column(table, name)).map(|column| column.kind.as_str());
    let collation = kind.and_then(|kind| kind.rsplit_once(" collate ")).map(|(_, collation)| collation);
    collation.is_some_and(|name| name.ends_with("_ci") && !name.contains("turkish") && !name.contains("_tr_"))
}

/// What table alias does with numbers.
pub(super) async fn numbering(conn: &mut Connection) -> Result<Numbering, sqlx::Error> {
    let shape = Shape { columns: conn.columns().await?, engines: Vec::new() };
    let Some(column) = shape.column(Table::Alias, "seq") else {
        // If the table is not there either, the server says so.
        sqlx::query("SELECT 1 FROM `alias` LIMIT 0").fetch_all(&mut conn.sql).await?;
        return Ok(Numbering::None);
    };
    let unique = column.counts || !sqlx::query(sql::SEQ_IS_UNIQUE).fetch_all(&mut conn.sql).await?.is_empty();
    Ok(if unique { Numbering::Unique } else { Numbering::Free })
}

/// The rows that have the key of `row`, as the column compares it.
pub(super) async fn alike(conn: &mut Connection, shape: &Shape, row: &TableRow) -> Result<Vec<TableRow>, sqlx::Error> {
    whole(row.table(), &shape.alike(row).query().fetch_all(&mut conn.sql).await?)
}

/// The rows that a change has added to those that were there `before` with its key.
pub(super) async fn stored(
    conn: &mut Connection,
    shape: &Shape,
    change: &Change,
    mut before: Vec<TableRow>,
) -> Result<Vec<TableRow>, sqlx::Error> {
    let mut take = |row: &TableRow| before.iter().position(|other| other == row).map(|at| before.swap_remove(at));
    let row = match change {
        Change::Insert(row) | Change::Delete(row) => row,
        Change::Replace { old, new } => {
            take(old);
            new
        }
    };
    let mut stored = alike(conn, shape, row).await?;
    stored.retain(|row| take(row).is_none());
    Ok(stored)
}

/// The column that differs if none of the rows that were `stored` is the one that was written; none if its key itself
/// is another.
pub(super) fn is_as_written(written: &TableRow, stored: &[TableRow]) -> Result<(), Option<&'static str>> {
    let columns: Vec<_> = stored.iter().map(|row| differs(written, row)).collect();
    if columns.contains(&None) { Ok(()) } else { Err(columns.into_iter().flatten().next()) }
}
