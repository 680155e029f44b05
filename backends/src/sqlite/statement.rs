//! Changes as statements for people to run.

use crate::statement::{Dialect, hex, literal, quoted};

pub(super) const DIALECT: Dialect = Dialect {
    value: |bytes| match (literal(bytes), std::str::from_utf8(bytes)) {
        (Some(literal), _) => literal,
        (None, Ok(_)) => format!("CAST({} AS TEXT)", hex(bytes)),
        (None, Err(_)) => hex(bytes),
    },
    // As BLOB, because a column's collation holds for its CAST to text too.
    equals: |column, bytes| match literal(bytes) {
        Some(literal) => format!("CAST({column} AS BLOB) = CAST({literal} AS BLOB)"),
        None => format!("CAST({column} AS BLOB) = {}", hex(bytes)),
    },
    // Not every SQLite knows LIMIT in a change.
    one_of: |table, condition| {
        format!("rowid = (SELECT rowid FROM {} WHERE {condition} LIMIT 1)", quoted(table.name()))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_statement_is_run_by_a_shell() {
        crate::statement::never_run_by_a_shell(&DIALECT);
    }
}
