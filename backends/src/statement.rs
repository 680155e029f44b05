//! Changes as statements for people to run, in SQL: what the SQL stores have in common. Never sent to a server, and
//! never with a password.

use qmail_lookup_core::{Change, Table, TableRow};

/// The column that no statement shows.
const SECRET: &str = "password";

/// How a store writes what statements are made of.
pub(crate) struct Dialect {
    /// The value of a cell that is stored.
    pub(crate) value: fn(&[u8]) -> String,
    /// The condition that the column holds exactly these bytes.
    pub(crate) equals: fn(&str, &[u8]) -> String,
    /// The part behind WHERE that names one row of the table, out of those that fulfil a condition.
    pub(crate) one_of: fn(Table, &str) -> String,
}

/// The statement that makes `change`. `None` if it is one of a password.
///
/// A column that old tables may lack is left out where the row has no value for it.
pub(crate) fn of(change: &Change, dialect: &Dialect) -> Option<String> {
    match change {
        Change::Insert(row) => {
            let (names, values): (Vec<_>, Vec<_>) = named(row)
                .filter(|(name, cell)| cell.is_some() || !row.table().optional_columns().contains(name))
                .map(|(name, cell)| (quoted(name), value(cell, dialect)))
                .unzip();
            let table = quoted(row.table().name());
            Some(format!("INSERT INTO {table} ({}) VALUES ({});", names.join(", "), values.join(", ")))
        }
        Change::Delete(row) => {
            Some(format!("DELETE FROM {} WHERE {};", quoted(row.table().name()), condition(row, dialect)))
        }
        Change::Replace { old, new } if old.table() == new.table() => {
            let pairs = cells(old).zip(cells(new)).filter(|((_, before), (_, after))| before != after);
            let pairs: Vec<_> = pairs.map(|((name, _), (_, after))| (name, after)).collect();
            if pairs.is_empty() || pairs.iter().any(|(name, _)| *name == SECRET) {
                return None;
            }
            let sets = pairs.iter().map(|(name, after)| format!("{} = {}", quoted(name), value(*after, dialect)));
            let sets = sets.collect::<Vec<_>>().join(", ");
            Some(format!("UPDATE {} SET {sets} WHERE {};", quoted(old.table().name()), condition(old, dialect)))
        }
        Change::Replace { .. } => None,
    }
}

fn cells(row: &TableRow) -> impl Iterator<Item = (&'static str, Option<&[u8]>)> {
    row.table().columns().iter().copied().zip(row.cells())
}

/// The cells that may be shown.
fn named(row: &TableRow) -> impl Iterator<Item = (&'static str, Option<&[u8]>)> {
    cells(row).filter(|(name, _)| *name != SECRET)
}

/// A name of ours, in backquotes only if it is a reserved word: a shell would run what stands in them.
pub(crate) fn quoted(name: &str) -> String {
    if name == Table::Virtual.name() { format!("`{name}`") } else { name.to_owned() }
}

fn value(cell: Option<&[u8]>, dialect: &Dialect) -> String {
    cell.map_or_else(|| "NULL".to_owned(), dialect.value)
}

fn condition(row: &TableRow, dialect: &Dialect) -> String {
    let optional = row.table().optional_columns();
    let one = |(name, cell): (&'static str, Option<&[u8]>)| match cell {
        Some(bytes) => Some((dialect.equals)(&quoted(name), bytes)),
        // The table may not have the column at all.
        None if optional.contains(&name) => None,
        None => Some(format!("{} IS NULL", quoted(name))),
    };
    let all = named(row).filter_map(one).collect::<Vec<_>>().join(" AND ");
    (dialect.one_of)(row.table(), &all)
}

/// Bytes that are the same in every dialect, in every character set, and in a shell's double quotes too (people pass
/// statements to `mysql -e`), in quotes; else `None`.
pub(crate) fn literal(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._@/+=:%,-".contains(&byte));
    plain.then(|| format!("'{text}'"))
}

/// Any bytes, as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

/// Fails unless hostile cells give statements in which a shell finds nothing to run.
#[cfg(test)]
pub(crate) fn never_run_by_a_shell(dialect: &Dialect) {
    let cells = ["iain", "$(id)", "|", "`id`"].map(|cell| Some(cell.as_bytes().to_vec()));
    let row = TableRow::from_cells(Table::Alias, cells);
    let new = TableRow::from_cells(Table::Alias, ["\"", "!x", "", "$x"].map(|cell| Some(cell.as_bytes().to_vec())));
    for change in [Change::Insert(row.clone()), Change::Delete(row.clone()), Change::Replace { old: row, new }] {
        let said = of(&change, dialect).unwrap();
        assert!(!said.contains(['$', '`', '"', '!', '\\', '|']), "{said}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_text_is_written_as_it_is() {
        assert_eq!(literal(b"a b%_").as_deref(), Some("'a b%_'"));
        for bytes in [
            &b"$(id)"[..],
            b"`id`",
            b"a\"b",
            b"a!b",
            b"a;b",
            b"a'b",
            b"a\\b",
            b"a\n",
            "\u{ef}".as_bytes(),
            b"\xff",
            b"\x7f",
        ] {
            assert_eq!(literal(bytes), None);
        }
        assert_eq!(hex(b"a'\xff"), "x'6127ff'");
    }

    #[test]
    fn only_a_reserved_word_stands_in_backquotes() {
        assert_eq!(Table::ALL.map(|table| quoted(table.name())).concat().matches('`').count(), 2);
    }
}
