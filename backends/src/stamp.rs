//! A stamp of rows, for stores that have nothing cheaper: equal for equal rows, in whatever order they are read.

use sha2::{Digest, Sha256};

/// What was read of one table so far.
#[derive(Default)]
pub(crate) struct Stamp {
    rows: u64,
    sum: u128,
}

impl Stamp {
    /// Adds one row. NULL is not the empty cell.
    pub(crate) fn add<'a>(&mut self, cells: impl IntoIterator<Item = Option<&'a [u8]>>) {
        let mut row = Sha256::new();
        for cell in cells {
            row.update(cell.map_or(u64::MAX, |cell| u64::try_from(cell.len()).unwrap_or(u64::MAX)).to_be_bytes());
            row.update(cell.unwrap_or_default());
        }
        // A sum and not an exclusive or: two equal rows must not cancel each other.
        let half = row.finalize().iter().take(16).fold(0, |number, &byte| number << 8 | u128::from(byte));
        self.sum = self.sum.wrapping_add(half);
        self.rows += 1;
    }

    /// The whole table.
    pub(crate) fn finish(self) -> Vec<u8> {
        [&self.rows.to_be_bytes()[..], &self.sum.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
        let mut stamp = Stamp::default();
        rows.iter().for_each(|row| stamp.add(row.iter().copied()));
        stamp.finish()
    }

    #[test]
    fn only_the_rows_count_and_not_their_order() {
        let a: &[Option<&[u8]>] = &[Some(b"ab"), None];
        let b: &[Option<&[u8]>] = &[Some(b""), Some(b"x")];
        assert_eq!(stamp(&[a, b]), stamp(&[b, a]));
        let others: [&[&[Option<&[u8]>]]; 7] = [
            &[],
            &[a],
            &[a, a, b],
            &[a, b, b],
            &[&[Some(b"ab"), Some(b"")], b],
            &[&[Some(b"a"), Some(b"b")], b],
            &[&[Some(b"Ab"), None], b],
        ];
        for other in others {
            assert_ne!(stamp(&[a, b]), stamp(other), "{other:?}");
        }
        assert_ne!(stamp(&[]), stamp(&[a, a]), "two equal rows do not cancel each other");
    }
}
