//! Puts rows in order, with constant memory: in a temporary database of SQLite's own.
//!
//! A database without a name is a file that SQLite makes with mode 0600 in the directory that SQLITE_TMPDIR or TMPDIR
//! names (else /var/tmp), and unlinks before it writes to it.

use qmail_lookup_core::{Cell, Mark, Table, TableRow};
use rusqlite::{Connection, Error, Result, Rows, Statement, types::Type};

/// Memory for pages and for sorting; the rest goes to the file. Unit: KiB.
const CACHE: i64 = 4096;

/// Rows that are still coming.
pub struct Spool {
    conn: Connection,
}

impl Spool {
    /// An empty one.
    pub fn open() -> Result<Self> {
        let conn = Connection::open("")?;
        conn.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE};
             CREATE TABLE spool (sorted BLOB NOT NULL); BEGIN"
        ))?;
        Ok(Self { conn })
    }

    /// Adds a row.
    pub fn add(&self, row: &TableRow) -> Result<()> {
        self.conn.prepare_cached("INSERT INTO spool VALUES (?1)")?.execute([encode(&row.order())]).map(drop)
    }

    /// No more rows will be added: from here on [`Spool::page`] finds its place quickly.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub fn finish(&self) -> Result<()> {
        self.conn.execute_batch("CREATE INDEX IF NOT EXISTS placed ON spool (sorted)")
    }

    /// How many rows were added.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn rows(&self) -> Result<u64> {
        self.conn.query_row("SELECT count(*) FROM spool", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    }

    /// At most `max` rows of `table` after `place`, in order; none at the end. `place` moves behind them.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn page(&self, table: Table, place: &mut Place, max: usize) -> Result<Vec<TableRow>> {
        let text = "SELECT sorted, rowid FROM spool WHERE (sorted, rowid) > (?1, ?2) ORDER BY sorted, rowid LIMIT ?3";
        let mut statement = self.conn.prepare_cached(text)?;
        let mut rows = statement.query((&place.sorted, place.number, i64::try_from(max).unwrap_or(i64::MAX)))?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            place.sorted = row.get(0)?;
            place.number = row.get(1)?;
            page.push(row_of(table, &place.sorted)?);
        }
        Ok(page)
    }

    /// The statement that gives the rows in order.
    pub fn sorted(&self) -> Result<Statement<'_>> {
        self.conn.prepare("SELECT sorted FROM spool WHERE sorted >= ?1 ORDER BY sorted")
    }
}

/// The rows after a mark, in order.
pub struct Sorted<'s> {
    table: Table,
    rows: Rows<'s>,
    /// Place of the mark, and how many rows there are still to be left out.
    skip: Option<(Vec<u8>, u64)>,
}

impl<'s> Sorted<'s> {
    /// Of a statement that [`Spool::sorted`] made.
    pub fn new(statement: &'s mut Statement<'_>, table: Table, after: Option<&Mark>) -> Result<Self> {
        let skip = after.map(|mark| (encode(&mark.row.order()), mark.seen));
        statement.raw_bind_parameter(1, skip.as_ref().map_or(&[][..], |(place, _)| place))?;
        Ok(Self { table, rows: statement.raw_query(), skip })
    }

    /// At most `max` rows; fewer only at the end.
    pub fn take(&mut self, max: usize) -> Result<Vec<TableRow>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            let Some(row) = self.rows.next()? else { break };
            let sorted: Vec<u8> = row.get(0)?;
            match &mut self.skip {
                Some((place, left)) if *place == sorted && *left > 0 => {
                    *left -= 1;
                    continue;
                }
                _ => self.skip = None,
            }
            batch.push(row_of(self.table, &sorted)?);
        }
        Ok(batch)
    }
}

/// How far the rows of a [`Spool`] were taken.
#[derive(Clone, Debug, Default)]
pub struct Place {
    sorted: Vec<u8>,
    number: i64,
}

fn row_of(table: Table, sorted: &[u8]) -> Result<TableRow> {
    let damaged = || Error::InvalidColumnType(0, "sorted".to_owned(), Type::Blob);
    let cells = decode(sorted).ok_or_else(damaged)?;
    // The folded keys stand in front, for the order only.
    Ok(TableRow::from_cells(table, cells.into_iter().skip(table.key_columns())))
}

/// Bytes that compare as the cells do: NULL before empty, a shorter cell before a longer one that begins like it.
fn encode(cells: &[Cell]) -> Vec<u8> {
    let mut out = Vec::with_capacity(cells.iter().flatten().map(|cell| cell.len() + 3).sum::<usize>() + cells.len());
    for cell in cells {
        let Some(bytes) = cell else {
            out.push(0);
            continue;
        };
        out.push(1);
        for &b in bytes {
            out.push(b);
            if b == 0 {
                out.push(0xFF);
            }
        }
        out.extend([0, 0]);
    }
    out
}

fn decode(mut sorted: &[u8]) -> Option<Vec<Cell>> {
    let mut cells = Vec::new();
    while let [mark, rest @ ..] = sorted {
        sorted = rest;
        if *mark == 0 {
            cells.push(None);
            continue;
        }
        let mut cell = Vec::new();
        loop {
            match sorted {
                [0, 0, rest @ ..] => {
                    sorted = rest;
                    break;
                }
                [0, 0xFF, rest @ ..] => {
                    cell.push(0);
                    sorted = rest;
                }
                [0, ..] | [] => return None,
                [b, rest @ ..] => {
                    cell.push(*b);
                    sorted = rest;
                }
            }
        }
        cells.push(Some(cell));
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt;

    fn cells() -> impl Strategy<Value = Vec<Cell>> {
        // Few bytes, so that beginnings are often the same.
        let byte = prop::sample::select(vec![0, 1, 2, b'a', 0xFF]);
        prop::collection::vec(prop::option::of(prop::collection::vec(byte, 0..4)), 5)
    }

    /// The open files of this process that no name leads to: mode and length.
    fn unlinked() -> Vec<(u32, u64)> {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let deleted = |target: &std::path::Path| target.to_string_lossy().ends_with(" (deleted)");
        let mine = files.filter(|file| std::fs::read_link(file.path()).is_ok_and(|target| deleted(&target)));
        mine.flat_map(|file| std::fs::metadata(file.path())).map(|file| (file.mode() & 0o777, file.len())).collect()
    }

    #[test]
    fn what_does_not_fit_into_memory_goes_to_a_file_without_a_name_that_nobody_else_may_read() {
        let spool = Spool::open().unwrap();
        let value = vec![b'x'; 1000];
        let rows = usize::try_from(CACHE).unwrap() * 4;
        for n in 0..rows {
            let cells = [Some(format!("{:05}", (n * 7919) % rows).into_bytes()), Some(value.clone())];
            spool.add(&TableRow::from_cells(Table::Virtual, cells)).unwrap();
        }
        let files = unlinked();
        assert!(files.iter().any(|(mode, length)| *mode == 0o600 && *length > 1 << 20), "{files:?}");
        let mut statement = spool.sorted().unwrap();
        let mut sorted = Sorted::new(&mut statement, Table::Virtual, None).unwrap();
        let (mut count, mut last) = (0, Vec::new());
        loop {
            let batch = sorted.take(500).unwrap();
            let Some(end) = batch.last() else { break };
            assert!(batch.is_sorted_by_key(TableRow::order) && last <= end.order());
            (count, last) = (count + batch.len(), end.order());
        }
        assert_eq!(count, rows);
    }

    #[test]
    fn an_empty_spool_has_no_rows() {
        let spool = Spool::open().unwrap();
        spool.finish().unwrap();
        assert_eq!(spool.rows().unwrap(), 0);
        let mut place = Place::default();
        for _ in 0..2 {
            assert_eq!(spool.page(Table::Mailbox, &mut place, 10).unwrap(), []);
        }
    }

    #[test]
    fn null_comes_before_empty_and_neither_becomes_the_other() {
        let spool = Spool::open().unwrap();
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let row = |host: Cell, ext: Cell| TableRow::from_cells(Table::Virtual, [host, cell("u"), cell("o"), ext]);
        let rows = [row(None, cell("")), row(cell(""), None), row(cell(""), cell("")), row(cell("A"), None)];
        rows.iter().rev().for_each(|row| spool.add(row).unwrap());
        spool.finish().unwrap();
        assert_eq!(spool.page(Table::Virtual, &mut Place::default(), 10).unwrap(), rows);
    }

    proptest! {
        #[test]
        fn pages_of_any_size_give_every_row_once_and_in_order(
            all in prop::collection::vec(cells(), 0..40), copies in 1_usize..5, size in 1_usize..9
        ) {
            let rows = all.into_iter().map(|cells| TableRow::from_cells(Table::Alias, cells));
            let mut rows: Vec<_> = rows.flat_map(|row| vec![row; copies]).collect();
            let spool = Spool::open().unwrap();
            rows.iter().for_each(|row| spool.add(row).unwrap());
            spool.finish().unwrap();
            prop_assert_eq!(spool.rows().unwrap(), rows.len() as u64);
            rows.sort_by_cached_key(TableRow::order);
            let (mut place, mut got) = (Place::default(), Vec::new());
            loop {
                let page = spool.page(Table::Alias, &mut place, size).unwrap();
                prop_assert!(page.len() <= size);
                if page.is_empty() { break }
                got.extend(page);
            }
            prop_assert_eq!(got, rows);
        }

        #[test]
        fn the_bytes_compare_as_the_cells_do_and_read_back(one in cells(), two in cells()) {
            prop_assert_eq!(encode(&one).cmp(&encode(&two)), one.cmp(&two));
            prop_assert_eq!(decode(&encode(&one)), Some(one));
        }

        #[test]
        fn rows_come_in_order_from_any_mark(all in prop::collection::vec(cells(), 1..40), at in 0_usize..40, size in 1_usize..9) {
            let mut rows: Vec<_> = all.into_iter().map(|cells| TableRow::from_cells(Table::Virtual, cells)).collect();
            let spool = Spool::open().unwrap();
            rows.iter().for_each(|row| spool.add(row).unwrap());
            rows.sort_by_cached_key(TableRow::order);
            let at = at % rows.len();
            let seen = rows[..=at].iter().rev().take_while(|row| **row == rows[at]).count();
            let mark = Mark { row: rows[at].clone(), seen: seen.try_into().unwrap() };
            for (after, want) in [(None, &rows[..]), (Some(&mark), &rows[at + 1..])] {
                let mut statement = spool.sorted().unwrap();
                let mut sorted = Sorted::new(&mut statement, Table::Virtual, after).unwrap();
                let mut got = Vec::new();
                loop {
                    let batch = sorted.take(size).unwrap();
                    prop_assert!(batch.len() <= size);
                    if batch.is_empty() { break }
                    got.extend(batch);
                }
                prop_assert_eq!(&got[..], want);
            }
        }
    }
}
