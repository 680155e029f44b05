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
    use crate::statement::of;
    use qmail_lookup_core::{Change, Table, TableRow};

    #[test]
    fn nothing_in_a_statement_is_run_by_a_shell() {
        let cells = ["iain", "$(id)", "|", "`id`"].map(|cell| Some(cell.as_bytes().to_vec()));
        let row = TableRow::from_cells(Table::Alias, cells);
        let new = TableRow::from_cells(Table::Alias, ["\"", "!x", "", "$x"].map(|cell| Some(cell.as_bytes().to_vec())));
        for change in [Change::Insert(row.clone()), Change::Delete(row.clone()), Change::Replace { old: row, new }] {
            let said = of(&change, &DIALECT).unwrap();
            assert!(!said.contains(['$', '`', '"', '!', '\\', '|']), "{said}");
        }
    }
}
