//! Changing rows, over a connection of its own for each list of changes.

use super::Store;
use super::connection::{Connection, MysqlServer};
use super::error::{database, lookup_error, refusal};
use super::facts::Keeps;
use super::reading;
use super::rehearsal::MysqlRehearsal;
use super::shape::{Shape, Unwritable, insert};
use super::sql::{self, Session};
use crate::written::otherwise;
use async_trait::async_trait;
use qmail_lookup_core::{
    Applied, Change, Deadline, EditCause, EditError, Editor, LookupError, Numbering, Rehearsal, Table, TableOptions,
    TableRow,
};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::time::timeout_at;

/// How far a list of changes got.
#[derive(Clone, Copy)]
enum Stage {
    Preparing,
    /// The first `made` were made, and the next `sent` were sent together.
    Changing {
        made: usize,
        sent: usize,
    },
    Committing,
}

impl Store {
    async fn carry_out(&self, changes: &[Change], reads_back: bool, by: Deadline) -> Result<(), EditError> {
        if changes.is_empty() {
            return Ok(());
        }
        let nothing = |cause| EditError { applied: Applied::Nothing, change: None, cause };
        let reached = self.reach(Session::Edit(by.left()), by).await;
        let (server, mut conn) = reached.map_err(|error| nothing(EditCause::Store(error)))?;
        let shape = server.within(by, conn.shape()).await.map_err(|error| nothing(EditCause::Store(error)))?;
        let mut stage = Stage::Preparing;
        let work = carry_out(&mut conn, changes, &shape, reads_back, &mut stage);
        let result = timeout_at(by.instant().into(), work).await;
        let trouble = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => None,
        };
        // Whatever the server answers, a transaction without COMMIT is undone; without an answer it is undone there
        // when the connection closes, and only a COMMIT under way may or may not have happened.
        let answered = match &trouble {
            None => false,
            Some(Trouble::Driver(error)) => database(error).is_some(),
            Some(Trouble::Gone | Trouble::Spoiled { .. } | Trouble::Unwritable(_)) => true,
        };
        if answered {
            let rollback = conn.sql.execute(sql::ROLLBACK);
            let _ = timeout_at(by.instant().into(), rollback).await;
        }
        drop(conn);
        Err(error(changes, &shape, stage, trouble, answered, server))
    }
}

#[async_trait]
impl Editor for Store {
    async fn apply(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry_out(changes, false, by).await
    }

    async fn apply_and_read_back(&self, changes: &[Change], by: Deadline) -> Result<(), EditError> {
        self.carry_out(changes, true, by).await
    }

    async fn rows(&self, table: Table, key: &[u8], by: Deadline) -> Result<Vec<TableRow>, LookupError> {
        let (server, mut conn) = self.reach(Session::Lookup(by.left()), by).await?;
        server.within(by, reading::rows(&mut conn, table, key)).await
    }

    async fn numbering(&self, by: Deadline) -> Result<Numbering, LookupError> {
        let (server, mut conn) = self.reach(Session::Lookup(by.left()), by).await?;
        server.within(by, reading::numbering(&mut conn)).await
    }

    async fn rehearse(&self, options: TableOptions, by: Deadline) -> Result<Option<Box<dyn Rehearsal>>, LookupError> {
        let (server, conn) = self.reach(Session::Edit(by.left()), by).await?;
        let rehearsal = MysqlRehearsal::begin(server, conn, options, by).await?;
        Ok(rehearsal.map(|rehearsal| -> Box<dyn Rehearsal> { Box::new(rehearsal) }))
    }

    async fn create_tables(
        &self,
        tables: &[Table],
        options: TableOptions,
        by: Deadline,
    ) -> Result<Vec<(Table, bool)>, EditError> {
        let nothing = |error| EditError { applied: Applied::Nothing, change: None, cause: EditCause::Store(error) };
        let (server, mut conn) = self.reach(Session::Edit(by.left()), by).await.map_err(nothing)?;
        let mut made = Vec::new();
        for &table in tables {
            let result = server.within(by, create(&mut conn, table, options)).await;
            let new = result.map_err(|error| EditError {
                applied: match error.kind() {
                    qmail_lookup_core::ErrorKind::Timeout | qmail_lookup_core::ErrorKind::Unreachable => {
                        Applied::Unknown
                    }
                    _ if made.iter().any(|(_, new)| *new) => Applied::Partial { applied: made.len() },
                    _ => Applied::Nothing,
                },
                change: None,
                cause: EditCause::Store(error),
            })?;
            made.push((table, new));
        }
        Ok(made)
    }
}

/// True if the table was not there.
async fn create(conn: &mut Connection, table: Table, options: TableOptions) -> Result<bool, sqlx::Error> {
    conn.sql.execute(AssertSqlSafe(sql::create(table, options))).await?;
    let warnings: Vec<MySqlRow> = sqlx::raw_sql(sql::WARNINGS).fetch_all(&mut conn.sql).await?;
    let code = |row: &MySqlRow| row.try_get_unchecked::<String, _>(1);
    Ok(!warnings.iter().any(|row| code(row).is_ok_and(|code| code == "1050")))
}

enum Trouble {
    Driver(sqlx::Error),
    Gone,
    Unwritable(Unwritable),
    /// A row was not stored as it was given, and could not be taken away again if it `stays`.
    Spoiled {
        column: Option<&'static str>,
        stays: bool,
    },
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

async fn carry_out(
    conn: &mut Connection,
    changes: &[Change],
    shape: &Shape,
    reads_back: bool,
    stage: &mut Stage,
) -> Result<(), Trouble> {
    conn.sql.execute(sql::BEGIN).await?;
    let (mut made, mut one_by_one) = (0, 0);
    while let Some(change) = changes.get(made) {
        *stage = Stage::Changing { made, sent: 1 };
        if made >= one_by_one && !reads_back {
            match several(conn, shape, changes, stage).await? {
                // One of them was refused: which one, and why, is found out by sending each alone.
                Sent::Refused(count) => one_by_one = made + count,
                Sent::Made(count) if count > 0 => {
                    made += count;
                    continue;
                }
                Sent::Made(_) => {}
            }
            *stage = Stage::Changing { made, sent: 1 };
        }
        one(conn, change, shape, reads_back).await?;
        made += 1;
    }
    *stage = Stage::Committing;
    conn.sql.execute(sql::COMMIT).await?;
    Ok(())
}

/// What became of rows that were sent in one statement.
enum Sent {
    Made(usize),
    Refused(usize),
}

/// Sends the inserts that come next in one statement, if that is undone as a whole when one row is refused.
async fn several(conn: &mut Connection, shape: &Shape, changes: &[Change], stage: &mut Stage) -> Result<Sent, Trouble> {
    let Stage::Changing { made, .. } = *stage else { return Ok(Sent::Made(0)) };
    let inserts = changes.iter().skip(made).map_while(|change| match change {
        Change::Insert(row) => Some(row),
        Change::Replace { .. } | Change::Delete(_) => None,
    });
    let Some(table) = inserts.clone().next().map(TableRow::table).filter(|&table| shape.keeps(table) == Keeps::Nothing)
    else {
        return Ok(Sent::Made(0));
    };
    let rows = shape.together(inserts).map_err(Trouble::Unwritable)?;
    if rows.len() < 2 {
        return Ok(Sent::Made(0));
    }
    let sent = rows.len();
    *stage = Stage::Changing { made, sent };
    match insert(table.name(), &rows).query().execute(&mut conn.sql).await {
        Ok(done) if usize::try_from(done.rows_affected()).is_ok_and(|count| count == sent) => Ok(Sent::Made(sent)),
        Ok(_) => Err(Trouble::Gone),
        Err(error) if refusal(&error).is_some() => Ok(Sent::Refused(sent)),
        Err(error) => Err(error.into()),
    }
}

async fn one(conn: &mut Connection, change: &Change, shape: &Shape, reads_back: bool) -> Result<(), Trouble> {
    let statement = shape.statement(change).map_err(Trouble::Unwritable)?;
    let written = match change {
        Change::Insert(row) | Change::Replace { new: row, .. } if reads_back => Some(row),
        _ => None,
    };
    let before = match written {
        Some(row) => reading::alike(conn, shape, row).await?,
        None => Vec::new(),
    };
    run(conn, statement).await?.then_some(()).ok_or(Trouble::Gone)?;
    let Some(row) = written else { return Ok(()) };
    let stored = reading::stored(conn, shape, change, before).await?;
    let Err(column) = reading::is_as_written(row, &stored) else { return Ok(()) };
    let undo = match (change, stored.as_slice()) {
        (Change::Insert(_), [stored]) => Some(Change::Delete(stored.clone())),
        (Change::Replace { old, .. }, [stored]) => Some(Change::Replace { old: stored.clone(), new: old.clone() }),
        _ => None,
    };
    // A transaction undoes it by itself.
    let stays = shape.keeps(row.table()) != Keeps::Nothing && !undone(conn, shape, undo).await;
    Err(Trouble::Spoiled { column, stays })
}

async fn undone(conn: &mut Connection, shape: &Shape, undo: Option<Change>) -> bool {
    let Some(statement) = undo.and_then(|undo| shape.statement(&undo).ok()) else { return false };
    run(conn, statement).await.unwrap_or(false)
}

/// True if the statement changed or found one row. The driver asks for the number of rows found, so that a row that is
/// not altered counts too.
async fn run(conn: &mut Connection, statement: super::shape::Statement) -> Result<bool, sqlx::Error> {
    let reads = statement.reads;
    let query = statement.query();
    if reads {
        return Ok(query.fetch_optional(&mut conn.sql).await?.is_some());
    }
    Ok(query.execute(&mut conn.sql).await?.rows_affected() == 1)
}

fn table_of(change: &Change) -> Table {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Replace { old: row, .. } => row.table(),
    }
}

fn error(
    changes: &[Change],
    shape: &Shape,
    stage: Stage,
    trouble: Option<Trouble>,
    answered: bool,
    server: &MysqlServer,
) -> EditError {
    let keeps = |change: &Change| shape.keeps(table_of(change));
    let (done, change, open) = match stage {
        Stage::Preparing => (0, None, Keeps::Nothing),
        Stage::Changing { made, sent } => {
            (made, (sent == 1).then_some(made), changes.get(made).map_or(Keeps::Nothing, keeps))
        }
        Stage::Committing => (changes.len(), None, Keeps::Unknown),
    };
    let made = changes.get(..done).unwrap_or_default();
    let stays = matches!(trouble, Some(Trouble::Spoiled { stays: true, .. }));
    let applied = if stays || !answered && open != Keeps::Nothing {
        Applied::Unknown
    } else if made.iter().all(|change| keeps(change) == Keeps::Nothing) {
        Applied::Nothing
    } else if made.iter().all(|change| keeps(change) == Keeps::Everything) {
        Applied::Partial { applied: done }
    } else {
        Applied::Unknown
    };
    let cause = match trouble {
        None => EditCause::Store(server.too_late()),
        Some(Trouble::Gone) => EditCause::RowIsGone,
        Some(Trouble::Unwritable(Unwritable(why))) => EditCause::RowRefused(why),
        Some(Trouble::Spoiled { column, stays }) => EditCause::RowRefused(if stays {
            format!("{}, and stays there: the table has no transactions", otherwise(column))
        } else {
            otherwise(column)
        }),
        Some(Trouble::Driver(error)) => match refusal(&error) {
            Some(text) => EditCause::RowRefused(text),
            None => EditCause::Store(lookup_error(error, server.context())),
        },
    };
    EditError { applied, change, cause }
}
