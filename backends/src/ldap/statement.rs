//! Changes as LDIF (RFC 2849) for people to give to ldapmodify. Never sent to a server, and never with a password.

use super::entry::{self, Stored};
use super::mapping::Mapping;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qmail_lookup_core::{Change, Table, TableRow};

/// The change record that makes `change`. `None` if no record is sure to name the row's own entry: an entry may have
/// any name, and hold more than the row.
pub(super) fn text(change: &Change, mapping: &Mapping) -> Option<String> {
    match change {
        Change::Insert(row) => insert(row, mapping),
        Change::Replace { old, new } if old.table() == new.table() => replace(old, new, mapping),
        Change::Replace { .. } | Change::Delete(_) => None,
    }
}

fn insert(row: &TableRow, mapping: &Mapping) -> Option<String> {
    let (table, values) = (row.table(), shown(row)?);
    let mut lines = vec![dn(table, &values, mapping)?, "changetype: add".to_owned()];
    lines.extend(entry::classes(table).iter().map(|class| line(entry::OBJECT_CLASS, class.as_bytes())));
    let name = entry::name(table, &values, 0)?;
    let more = name.parts().iter().filter(|part| !values.contains(part));
    lines.extend(values.iter().chain(more).map(|(name, value)| line(name, value)));
    Some(lines.join("\n") + "\n")
}

/// Every value that the entry must still hold is taken away and added again, so that of another entry nothing changes.
fn replace(old: &TableRow, new: &TableRow, mapping: &Mapping) -> Option<String> {
    let (table, values) = (old.table(), shown(old)?);
    let name = entry::name(table, &values, 0)?;
    let touched = entry::changes(old, new).ok()?;
    let names = |attribute: &str| name.parts().iter().any(|(part, _)| *part == attribute);
    if touched.is_empty() || touched.iter().any(|(attribute, _)| names(attribute) || *attribute == entry::PASSWORD) {
        return None;
    }
    let mut lines = vec![dn(table, &values, mapping)?, "changetype: modify".to_owned()];
    let mut modify = |word: &str, attribute: &str, value: &[u8]| {
        lines.extend([format!("{word}: {attribute}"), line(attribute, value), "-".to_owned()]);
    };
    for (attribute, value) in values.iter().filter(|(attribute, _)| !names(attribute)) {
        modify("delete", attribute, value);
        if !touched.iter().any(|(touched, _)| touched == attribute) {
            modify("add", attribute, value);
        }
    }
    for (attribute, value) in touched {
        if let Some(value) = value {
            modify("add", attribute, &value);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The values of the row's entry that may be shown.
fn shown(row: &TableRow) -> Option<Vec<Stored>> {
    let mut values = entry::attributes(row).ok()?;
    values.retain(|(name, _)| *name != entry::PASSWORD);
    let named = row.table() != Table::Alias || values.iter().any(|(name, _)| *name == entry::SEQ);
    named.then_some(values)
}

fn dn(table: Table, values: &[Stored], mapping: &Mapping) -> Option<String> {
    let name = entry::name(table, values, 0)?;
    Some(line("dn", name.dn(mapping.place(table)?.base).as_bytes()))
}

/// `name: value`, or `name:: ` and base64 where the value is not plain text.
fn line(name: &str, value: &[u8]) -> String {
    let plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let edges = value.first().is_none_or(|first| !b" :<".contains(first)) && value.last() != Some(&b' ');
    match std::str::from_utf8(value) {
        Ok(text) if plain && edges => format!("{name}: {text}"),
        _ => format!("{name}:: {}", STANDARD.encode(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: Table, cells: &[&str]) -> TableRow {
        TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())))
    }

    #[test]
    fn a_row_that_is_added_gets_its_usual_name() {
        let mapping = Mapping::native("dc=x");
        let said = text(&Change::Insert(row(Table::Virtual, &["bar.com", "ïn", "iain", ""])), &mapping);
        assert_eq!(said, None, "what no entry can hold");
        let said = text(&Change::Insert(row(Table::Virtual, &["bar.com", "in fo", "iain", ""])), &mapping).unwrap();
        assert!(said.starts_with("dn: qlookVirtualUser=in\\20fo+qlookVirtualHost=bar.com,"), "{said}");
        assert!(said.contains("\nchangetype: add\nobjectClass: qlookVirtual\n"), "{said}");
        assert!(said.ends_with("qlookUser: iain\n"), "{said}");
        assert_eq!(text(&Change::Insert(row(Table::Alias, &["iain", "", ".", "/Maildir/"])), &mapping), None);
    }

    #[test]
    fn a_password_is_never_shown_nor_changed() {
        let mapping = Mapping::native("dc=x");
        let old = row(Table::Mailbox, &["iain", "800", "100", "/h", "hunter2", "Password", "Y"]);
        let new = row(Table::Mailbox, &["iain", "800", "100", "/h", "hunter2", "Password", "N"]);
        let said = text(&Change::Replace { old: old.clone(), new }, &mapping).unwrap();
        assert!(!said.contains("hunter2") && said.contains("delete: qlookSuspended\n"), "{said}");
        let said = text(&Change::Insert(old.clone()), &mapping).unwrap();
        assert!(!said.contains("hunter2") && !said.contains("userPassword"), "{said}");
        let new = row(Table::Mailbox, &["iain", "800", "100", "/h", "other", "Password", "Y"]);
        assert_eq!(text(&Change::Replace { old, new }, &mapping), None);
    }

    #[test]
    fn no_record_renames_or_removes_an_entry() {
        let mapping = Mapping::native("dc=x");
        let old = row(Table::Virtual, &["bar.com", "", "iain", ""]);
        let new = row(Table::Virtual, &["bar.com", "%", "iain", ""]);
        assert!(text(&Change::Delete(old.clone()), &mapping).is_none());
        assert!(text(&Change::Replace { old: new.clone(), new: old }, &mapping).is_none());
        let bad = row(Table::Alias, &["iain", "x", "", "", "7"]);
        let good = row(Table::Alias, &["iain", "x", ".", "/Maildir/", "7"]);
        let said = text(&Change::Replace { old: bad, new: good }, &mapping).unwrap();
        assert!(
            said.starts_with("dn: qlookSeq=7,")
                && said.contains("add: qlookInstruction\nqlookInstruction: ./Maildir/\n")
        );
        assert!(said.contains("delete: qlookUser\nqlookUser: iain\n-\nadd: qlookUser\nqlookUser: iain\n-\n"), "{said}");
    }
}
