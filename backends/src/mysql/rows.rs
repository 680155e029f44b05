//! Rows of the driver as cells, and cells as rows of the core.

use crate::question::Question;
use qmail_lookup_core::{Cell, MailboxRow};
use sqlx::Row;
use sqlx::mysql::MySqlRow;

/// What the driver says when a cell is not there or not of the expected type.
pub(super) type Undecodable = sqlx::Error;

/// The first `n` cells of a row. Every statement reads binary strings, whose bytes are the stored ones.
pub(super) fn cells(row: &MySqlRow, n: usize) -> Result<Vec<Cell>, Undecodable> {
    (0..n).map(|i| row.try_get::<Option<Vec<u8>>, _>(i)).collect()
}

/// A cell as text, for facts; NULL is empty.
pub(super) fn text(row: &MySqlRow, n: usize) -> Result<String, Undecodable> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>(n)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The rows that answer `question`. A row that stands for its host as a whole counts only if no other row of that
/// host is there, so that no row comes twice.
pub(super) fn answer(question: &Question, rows: &[MySqlRow]) -> Result<Vec<Vec<Cell>>, Undecodable> {
    let width = question.columns().len();
    if matches!(question, Question::AnyMailbox) {
        return Ok(rows.iter().map(|_| Vec::new()).collect());
    }
    let mut answer: Vec<Vec<Cell>> = Vec::with_capacity(rows.len());
    for row in rows {
        let cells = cells(row, width)?;
        if !question.asks_for(&cells) {
            continue;
        }
        if matches!(question, Question::Virtuals(_)) && row.try_get::<Vec<u8>, _>(width)? == b"1" {
            let host = |row: &[Cell]| row.first().cloned().flatten().map(|host| host.to_ascii_lowercase());
            if answer.iter().any(|other| host(other) == host(&cells)) {
                continue;
            }
        }
        answer.push(cells);
    }
    Ok(answer)
}

pub(super) fn mailbox(cells: Vec<Cell>) -> MailboxRow {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().flatten();
    MailboxRow { username: next(), uid: next(), gid: next(), home: next(), suspended: next() }
}
