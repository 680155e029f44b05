//! Whether a row that was read is the one that was written.

use qmail_lookup_core::TableRow;

/// What is said of a row that is not stored as it was given.
pub(crate) fn otherwise(column: Option<&str>) -> String {
    match column {
        Some(column) => format!("reads back as something else (column {column})"),
        None => "does not read back under its key".to_owned(),
    }
}

/// The first column in which `read` is not what was `written`. Only a number that was left out is the table's to fill:
/// what another column is filled with may let somebody in.
pub(crate) fn differs(written: &TableRow, read: &TableRow) -> Option<&'static str> {
    let table = written.table();
    let pairs = written.cells().into_iter().zip(read.cells());
    let mut differing = table.columns().iter().zip(pairs).filter(|(_, (written, read))| written != read);
    differing.find(|(column, (written, _))| written.is_some() || **column != "seq").map(|(column, _)| *column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::{Cell, Table};

    fn row(cells: [Option<&str>; 5]) -> TableRow {
        let cell = |cell: Option<&str>| -> Cell { cell.map(|text| text.as_bytes().to_vec()) };
        TableRow::from_cells(Table::Alias, cells.map(cell))
    }

    #[test]
    fn only_a_number_may_be_filled() {
        let written = row([Some("iain"), Some("x"), None, Some("h"), None]);
        assert_eq!(differs(&written, &written), None);
        assert_eq!(differs(&written, &row([Some("iain"), Some("x"), None, Some("h"), Some("7")])), None);
        let numbered = row([Some("iain"), Some("x"), None, Some("h"), Some("7")]);
        assert_eq!(differs(&numbered, &row([Some("iain"), Some("x"), None, Some("h"), Some("8")])), Some("seq"));
        assert_eq!(differs(&numbered, &written), Some("seq"));
        assert_eq!(
            differs(&written, &row([Some("iain"), Some("x"), Some(""), Some("h"), None])),
            Some("alias_username")
        );
        assert_eq!(differs(&written, &row([Some("Iain"), Some("x"), None, Some("H"), None])), Some("username"));
        let login = |kind: Option<&str>, suspended: Option<&str>| {
            let cell = |cell: &str| Some(cell.as_bytes().to_vec());
            let cells = ["iain", "800", "100", "/h", "secret"].map(cell);
            TableRow::from_cells(
                Table::Mailbox,
                cells.into_iter().chain([kind.and_then(cell), suspended.and_then(cell)]),
            )
        };
        let none = login(None, None);
        assert_eq!(differs(&none, &none), None);
        assert_eq!(differs(&none, &login(Some("Password"), None)), Some("password_type"));
        assert_eq!(differs(&none, &login(None, Some("Y"))), Some("suspended"));
    }
}
