//! Alias sets: rows that are added to one, and rows that hold given lines.

use crate::alias::{AliasRow, without_trailing_blanks};
use crate::editor::Numbering;
use crate::key::AliasKey;
use crate::mailbox::Cell;
use crate::moving::numbers::UNNUMBERED;

/// What the rows of a set that is not there yet get where the table leaves numbers to who writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// 1, 2 and so on.
    Numbered,
    /// The number that is none: the set is carried out as one of a table without numbers.
    Unnumbered,
}

/// Rows for `set` that hold `instructions`, (alias_username, alias_host) each, in their order, behind the rows that are
/// there. They get the next numbers, unless the table gives them itself, or its rows have none.
#[must_use]
pub fn added(
    there: &[AliasRow],
    set: &AliasKey,
    instructions: Vec<(Vec<u8>, Vec<u8>)>,
    numbering: Numbering,
    fresh: Fresh,
) -> Vec<AliasRow> {
    let number = |row: &AliasRow| -> Option<i128> { std::str::from_utf8(row.seq.as_deref()?).ok()?.parse().ok() };
    let has_none = |row: &&AliasRow| row.seq.as_deref() == Some(UNNUMBERED);
    let real = there.iter().filter(|row| !has_none(row)).filter_map(number);
    let mut next = match (numbering, real.max()) {
        (Numbering::Free, Some(last)) => Some(last.saturating_add(1)),
        (Numbering::Free, None) if there.is_empty() && fresh == Fresh::Numbered => Some(1),
        _ => None,
    };
    // Where all rows have the number that is none, so do these.
    let is_none = there.iter().any(|row| has_none(&row)) || (there.is_empty() && fresh == Fresh::Unnumbered);
    let none = is_none && numbering == Numbering::Free;
    let mut seq = || {
        let number = next?;
        next = Some(number.saturating_add(1));
        Some(number)
    };
    let row = |(user, host): (Vec<u8>, Vec<u8>)| AliasRow {
        username: Some(set.username.as_bytes().to_vec()),
        alias: Some(set.alias.as_bytes().to_vec()),
        alias_username: Some(user),
        alias_host: Some(host),
        seq: match seq() {
            Some(number) => Some(number.to_string().into_bytes()),
            None => none.then(|| UNNUMBERED.to_vec()),
        },
    };
    instructions.into_iter().map(row).collect()
}

/// For each of `instructions` one row of `there` that holds it, each row once.
///
/// # Errors
/// The place of an instruction that no (further) row holds.
pub fn with_lines<'a>(there: &'a [AliasRow], instructions: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<&'a AliasRow>, usize> {
    let mut left: Vec<&AliasRow> = there.iter().collect();
    let mut found = Vec::new();
    for (place, (user, host)) in instructions.iter().enumerate() {
        let is = |cell: &Cell, text: &[u8]| without_trailing_blanks(cell.as_deref().unwrap_or_default()) == text;
        let holds = |row: &&AliasRow| is(&row.alias_username, user) && is(&row.alias_host, host);
        let at = left.iter().position(holds).ok_or(place)?;
        found.push(left.remove(at));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Ext, Username};

    fn numbers(there: &[Option<&str>], numbering: Numbering) -> Vec<Option<String>> {
        numbers_of(there, numbering, Fresh::Numbered)
    }

    fn numbers_of(there: &[Option<&str>], numbering: Numbering, fresh: Fresh) -> Vec<Option<String>> {
        let set = AliasKey { username: Username::new(b"iain").unwrap(), alias: Ext::new(b"list").unwrap() };
        let row = |seq: &Option<&str>| AliasRow { seq: seq.map(|n| n.as_bytes().to_vec()), ..AliasRow::default() };
        let there: Vec<_> = there.iter().map(row).collect();
        let two = vec![(b"a".to_vec(), b"b".to_vec()), (b".".to_vec(), b"/M/".to_vec())];
        let rows = added(&there, &set, two, numbering, fresh);
        rows.into_iter().map(|row| row.seq.map(|seq| String::from_utf8(seq).unwrap())).collect()
    }

    #[test]
    fn rows_get_the_next_numbers_where_rows_have_numbers() {
        let are = |a: &str, b: &str| vec![Some(a.to_owned()), Some(b.to_owned())];
        let none = vec![None, None];
        assert_eq!(numbers(&[Some("3"), Some("-1")], Numbering::Free), are("4", "5"));
        assert_eq!(numbers(&[Some("3"), Some("4294967295")], Numbering::Free), are("4", "5"));
        assert_eq!(numbers(&[], Numbering::Free), are("1", "2"));
        assert_eq!(numbers(&[Some("4294967295")], Numbering::Free), are("4294967295", "4294967295"));
        assert_eq!(numbers(&[None], Numbering::Free), none);
        assert_eq!(numbers(&[Some("3")], Numbering::Unique), none, "the table gives the next one");
        assert_eq!(numbers(&[], Numbering::None), none);
        let directory = |there| numbers_of(there, Numbering::Free, Fresh::Unnumbered);
        assert_eq!(directory(&[]), are("4294967295", "4294967295"));
        assert_eq!(directory(&[Some("3")]), are("4", "5"));
        assert_eq!(numbers_of(&[], Numbering::Unique, Fresh::Unnumbered), none);
    }

    #[test]
    fn each_line_finds_a_row_of_its_own() {
        let row = |user: &str, host: &str| AliasRow {
            alias_username: Some(user.into()),
            alias_host: Some(host.into()),
            ..AliasRow::default()
        };
        let there = [row("a", "b"), row(".", "/M/ "), row("a", "b")];
        let line = |user: &str, host: &str| (user.as_bytes().to_vec(), host.as_bytes().to_vec());
        let found = with_lines(&there, &[line(".", "/M/"), line("a", "b"), line("a", "b")]).unwrap();
        assert!(found.len() == 3 && std::ptr::eq(found[0], &there[1]) && std::ptr::eq(found[2], &there[2]));
        assert_eq!(with_lines(&there, &[line("a", "b"), line("a", "b"), line("a", "b")]), Err(2));
        assert_eq!(with_lines(&there, &[line("A", "b")]), Err(0));
    }
}
