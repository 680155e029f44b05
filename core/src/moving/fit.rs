//! Cells that may be NULL in one table and not in another, where a word means the same (rules P1 and P3).

use crate::catalog::TableRow;
use crate::credential::CredentialRow;
use crate::mailbox::Cell;
use crate::password::classify;

/// What becomes of NULL in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blank {
    /// It stays, and so does every word.
    #[default]
    Kept,
    /// The word that means the same takes its place.
    Word,
    /// The table has no such column: the word that means the same becomes NULL.
    Left,
}

/// How rows of table mailbox are made to fit the table that they go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Column suspended: NULL means `N`.
    pub suspended: Blank,
    /// Column password_type: NULL means the type that the stored value names itself.
    pub password_type: Blank,
}

const ACTIVE: &[u8] = b"N";

impl Fit {
    /// Nothing stays NULL for which there is a word.
    pub const WORDS: Self = Self { suspended: Blank::Word, password_type: Blank::Word };

    /// The row as it is to be written.
    #[must_use]
    pub fn of(self, row: TableRow) -> TableRow {
        let TableRow::Mailbox(mut row) = row else { return row };
        put(self.suspended, &mut row.mailbox.suspended, Some(ACTIVE));
        let implied = implied(&row);
        put(self.password_type, &mut row.password_type, implied);
        TableRow::Mailbox(row)
    }
}

fn put(blank: Blank, cell: &mut Cell, word: Option<&[u8]>) {
    match blank {
        Blank::Word if cell.is_none() => *cell = word.map(<[u8]>::to_vec),
        Blank::Left if cell.as_deref() == word => *cell = None,
        Blank::Kept | Blank::Word | Blank::Left => {}
    }
}

/// The type under which the stored value is verified exactly as it is without any.
fn implied(row: &CredentialRow) -> Option<&'static [u8]> {
    let stored = row.password.as_ref();
    if stored.is_none_or(|stored| stored.expose().is_empty()) {
        return Some(b"Password");
    }
    let types: [&'static [u8]; 3] = [b"Password", b"Crypt-Password", b"MySQL-Password"];
    let untyped = classify(stored, None).ok()?;
    types.into_iter().find(|kind| classify(stored, Some(kind)) == Ok(untyped))
}

/// The cells, with those made equal that mean the same: two rows are alike if these are equal.
#[must_use]
pub fn meaning(row: &TableRow) -> Vec<Cell> {
    let row = Fit::WORDS.of(super::meant(row.clone()));
    row.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Table;

    const SHA: &str =
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
    const MYSQL: &str = "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";

    fn row(password: &str, kind: Option<&str>, suspended: Option<&str>) -> TableRow {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let maybe = |text: Option<&str>| text.and_then(cell);
        TableRow::from_cells(
            Table::Mailbox,
            [cell("iain"), cell("800"), cell("100"), cell("/h"), cell(password), maybe(kind), maybe(suspended)],
        )
    }

    #[test]
    fn null_becomes_the_word_that_means_the_same_and_no_other() {
        for (password, kind) in [(SHA, "Crypt-Password"), (MYSQL, "MySQL-Password"), ("", "Password")] {
            assert_eq!(Fit::WORDS.of(row(password, None, None)), row(password, Some(kind), Some("N")), "{kind}");
        }
        // A type would let somebody in whom nothing lets in now.
        for password in ["secret", "abNANd1rDfiNc", "428567f408994404"] {
            assert_eq!(Fit::WORDS.of(row(password, None, Some("Y"))), row(password, None, Some("Y")), "{password}");
        }
        assert_eq!(Fit::default().of(row(SHA, None, None)), row(SHA, None, None));
    }

    #[test]
    fn a_table_without_the_column_takes_what_means_nothing_more() {
        let left = Fit { suspended: Blank::Left, password_type: Blank::Left };
        assert_eq!(left.of(row(SHA, Some("Crypt-Password"), Some("N"))), row(SHA, None, None));
        assert_eq!(left.of(row("secret", Some("Password"), Some("Y"))), row("secret", Some("Password"), Some("Y")));
    }

    #[test]
    fn alike_is_what_the_rules_treat_alike() {
        assert_eq!(meaning(&row(SHA, None, None)), meaning(&row(SHA, Some("Crypt-Password"), Some("N"))));
        assert_ne!(meaning(&row("secret", None, None)), meaning(&row("secret", Some("Password"), None)));
        assert_ne!(meaning(&row(SHA, None, None)), meaning(&row(SHA, None, Some("Y"))));
    }
}
