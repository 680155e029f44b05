//! Changes as statements for people to run. They mean the same whatever the session's sql_mode and character set.

use crate::statement::{Dialect, hex, literal};

pub(super) const DIALECT: Dialect = Dialect {
    value: |bytes| literal(bytes).unwrap_or_else(|| hex(bytes)),
    // Byte for byte, where the column's collation would fold case, drop accents or fill up with blanks.
    equals: |column, bytes| format!("CAST({column} AS BINARY) = {}", literal(bytes).unwrap_or_else(|| hex(bytes))),
    one_of: |_, condition| format!("{condition} LIMIT 1"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_statement_is_run_by_a_shell() {
        crate::statement::never_run_by_a_shell(&DIALECT);
    }
}
