//! Rows put on trial in temporary tables, which no other connection sees and which vanish with this one.
//!
//! They have the columns and keys of the real tables, so that the server itself judges widths, character sets, NULLs
//! and duplicates. What triggers and foreign keys would say is not found out: the server gives them to no such table.

use super::connection::{Connection, MysqlServer};
use super::error::{Context, database, lacks_privilege, lookup_error, refusal};
use super::facts::{Column, Keeps};
use super::rows;
use super::shape::{Shape, Statement, Unwritable, insert};
use super::sql;
use crate::written::{differs, otherwise};
use async_trait::async_trait;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError, Rehearsal, Table, TableOptions, TableRow};
use sqlx::{AssertSqlSafe, Executor};
use std::ops::Range;
use tokio::time::timeout_at;

/// The server's numbers for: there is no temporary table like this one. It is a view, or has partitions (which MariaDB
/// says with the first of the last two, MySQL with the other).
const HAS_NO_LIKENESS: [u16; 3] = [1347, 1478, 1562];

/// Temporary tables, and the connection that they live on.
pub(super) struct MysqlRehearsal {
    /// Not there while a call is under way, and after one that failed: its rows are not known then.
    conn: Option<Connection>,
    shape: Shape,
    context: Context,
    /// The tables that are there twice.
    covered: Vec<Table>,
    /// The place that the next row gets.
    place: u64,
}

impl MysqlRehearsal {
    /// Makes the tables. `None` if none can be made: a view and a table with partitions have no likeness.
    pub(super) async fn begin(
        server: &MysqlServer,
        mut conn: Connection,
        options: TableOptions,
        by: Deadline,
    ) -> Result<Option<Self>, LookupError> {
        let context = server.context().clone();
        let made = timeout_at(by.instant().into(), make(&mut conn, options)).await.map_err(|_| server.too_late())?;
        match made {
            Ok((_, covered)) if covered.is_empty() => Ok(None),
            Ok((shape, covered)) => Ok(Some(Self { conn: Some(conn), shape, context, covered, place: 0 })),
            Err(error) if lacks_privilege(&error) => Err(may_not(&context)),
            Err(error) => Err(lookup_error(error, &context)),
        }
    }
}

fn may_not(context: &Context) -> LookupError {
    let Context { user, database, .. } = context;
    let what = format!("user {user} may make no temporary tables in database {database}, to try the rows on");
    let help = format!("GRANT CREATE TEMPORARY TABLES ON `{database}`.* TO '{user}'@...");
    context.error(ErrorKind::Refused, what).with_help(help)
}

async fn make(conn: &mut Connection, options: TableOptions) -> Result<(Shape, Vec<Table>), sqlx::Error> {
    let engines = conn.engines().await?;
    let (mut columns, mut covered) = (Vec::new(), Vec::new());
    for table in Table::ALL {
        let there = engines.iter().any(|engine| engine.table == table);
        let [like, number] = sql::rehearse(table, there, options);
        match conn.sql.execute(AssertSqlSafe(like)).await {
            Ok(_) => conn.sql.execute(AssertSqlSafe(number)).await?,
            Err(error) if database(&error).is_some_and(|error| HAS_NO_LIKENESS.contains(&error.number())) => continue,
            Err(error) => return Err(error),
        };
        covered.push(table);
        for row in sqlx::raw_sql(AssertSqlSafe(sql::rehearsed_columns(table))).fetch_all(&mut conn.sql).await? {
            let nullable = rows::text(&row, 2)?.eq_ignore_ascii_case("yes");
            let (name, kind) = (rows::text(&row, 0)?, rows::text(&row, 1)?);
            columns.push(Column { table, name, kind, nullable, counts: false });
        }
    }
    Ok((Shape { columns, engines }, covered))
}

#[async_trait]
impl Rehearsal for MysqlRehearsal {
    async fn insert(&mut self, all: &[TableRow], by: Deadline) -> Result<Vec<(usize, String)>, LookupError> {
        let lost = || self.context.error(ErrorKind::Unreachable, "the rehearsal was cut");
        let conn = self.conn.take().ok_or_else(lost)?;
        let mut trial = Trial { conn, shape: &self.shape, all, first: self.place, refused: Vec::new() };
        let result = timeout_at(by.instant().into(), trial.run()).await;
        let (conn, refused) = (trial.conn, trial.refused);
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lookup_error(error, &self.context)),
            Err(_) => return Err(self.context.error(ErrorKind::Timeout, "no answer before the deadline")),
        }
        self.conn = Some(conn);
        self.place += all.len() as u64;
        Ok(refused)
    }

    fn covers(&self, table: Table) -> bool {
        self.covered.contains(&table)
    }
}

/// One call.
struct Trial<'t> {
    conn: Connection,
    shape: &'t Shape,
    all: &'t [TableRow],
    /// The place of the first row.
    first: u64,
    refused: Vec<(usize, String)>,
}

impl Trial<'_> {
    async fn run(&mut self) -> Result<(), sqlx::Error> {
        let mut from = 0;
        while from < self.all.len() {
            from = match self.next(from) {
                Ok(count) => {
                    self.halve(from..from + count).await?;
                    from + count
                }
                Err(Unwritable(why)) => {
                    self.refused.push((from, why));
                    from + 1
                }
            };
        }
        Ok(())
    }

    /// How many rows from here on go out together. Where a statement is not undone as a whole, one.
    fn next(&self, from: usize) -> Result<usize, Unwritable> {
        let rows = self.all.get(from..).unwrap_or_default();
        let whole = rows.first().is_some_and(|row| self.shape.keeps(row.table()) == Keeps::Nothing);
        Ok(self.shape.together(rows.iter().take(if whole { usize::MAX } else { 1 }))?.len())
    }

    /// Sends rows; halves what is refused until the culprit is alone. Earlier rows go first, for a row may be refused
    /// because of one before it.
    async fn halve(&mut self, range: Range<usize>) -> Result<(), sqlx::Error> {
        let mut left = vec![range];
        while let Some(Range { start, end }) = left.pop() {
            match self.send(start..end).await {
                Ok(()) => self.compare(start..end).await?,
                Err(error) => match refusal(&error) {
                    Some(why) if end - start == 1 => self.refused.push((start, why)),
                    Some(_) => {
                        let middle = start.midpoint(end);
                        left.extend([middle..end, start..middle]);
                    }
                    None => return Err(error),
                },
            }
        }
        Ok(())
    }

    async fn send(&mut self, range: Range<usize>) -> Result<(), sqlx::Error> {
        let places: Vec<_> = range.clone().map(|n| self.place(n).to_string()).collect();
        let rows = self.all.get(range).unwrap_or_default();
        let Some(table) = rows.first().map(TableRow::table) else { return Ok(()) };
        let written = rows.iter().zip(&places).filter_map(|(row, place)| {
            let mut written = self.shape.written(row).ok()?;
            written.push((sql::PLACE, Some(place.as_bytes())));
            Some(written)
        });
        let statement: Statement = insert(&sql::rehearsed(table), &written.collect::<Vec<_>>());
        statement.query().execute(&mut self.conn.sql).await.map(drop)
    }

    /// Reads the rows back and takes away those that are not what was sent.
    async fn compare(&mut self, range: Range<usize>) -> Result<(), sqlx::Error> {
        let sent = self.all.get(range.clone()).unwrap_or_default();
        let Some(table) = sent.first().map(TableRow::table) else { return Ok(()) };
        let text = sql::rehearsed_rows(table, &self.shape.missing());
        let query = sqlx::query(AssertSqlSafe(text)).bind(self.place(range.start)).bind(self.place(range.end) - 1);
        let read = query.fetch_all(&mut self.conn.sql).await?;
        if read.len() != sent.len() {
            return Err(sqlx::Error::RowNotFound);
        }
        for ((n, sent), read) in range.zip(sent).zip(&read) {
            let read = TableRow::from_cells(table, rows::cells(read, table.columns().len())?);
            if let Some(column) = differs(sent, &read) {
                let text = sql::rehearsed_delete(table);
                sqlx::query(AssertSqlSafe(text)).bind(self.place(n)).execute(&mut self.conn.sql).await?;
                self.refused.push((n, otherwise(Some(column))));
            }
        }
        Ok(())
    }

    fn place(&self, n: usize) -> u64 {
        self.first + n as u64
    }
}
