//! Sentences of `Catalog::stamp`, of stores that can be changed: it differs whenever a table differs, and not otherwise.

use super::editor::{alias, apply, numbered, one_of_each, virtual_row};
use super::{Case, Part};
use crate::check::{Outcome, ensure, equal};
use crate::model::soon;
use crate::server::slapd;
use crate::shape::Need;
use crate::subject::{Ctx, text};
use libtest_mimic::Failed;
use qmail_lookup_core::{Change, Table, TableRow};

pub(super) fn cases() -> Vec<Case> {
    let case = |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("catalog", Part::Editor, needs, sentence, run);
    vec![
        case(&[], "a_stamp_differs_after_every_insert_replace_and_delete", |c| {
            let alias = alias("edit.stamp", "x", text("."), text("/Maildir/"));
            for row in one_of_each(c, "edit.stamp").into_iter().chain([alias]) {
                let table = row.table();
                let mut seen = Seen::new(c, &[table])?;
                apply(c, [Change::Insert(row.clone())])?;
                seen.differs("the insert")?;
                let old = numbered(c, &row)?;
                let changed = with_last_cell_changed(&old);
                apply(c, [Change::Replace { old, new: changed.clone() }])?;
                seen.differs("the replace")?;
                apply(c, [Change::Delete(changed)])?;
                seen.differs_from_last("the delete")?;
            }
            Ok(())
        }),
        case(&[], "a_stamp_of_several_tables_differs_with_each_of_them", |c| {
            let mut seen = Seen::new(c, &[Table::Virtual, Table::Rcpthosts])?;
            for row in one_of_each(c, "edit.stamps").into_iter() {
                if matches!(row.table(), Table::Virtual | Table::Rcpthosts) {
                    apply(c, [Change::Insert(row.clone())])?;
                    seen.differs("the insert")?;
                    apply(c, [Change::Delete(row)])?;
                    seen.differs_from_last("the delete")?;
                }
            }
            Ok(())
        }),
        case(&[], "a_stamp_counts_rows_that_are_equal", |c| {
            let row = virtual_row("edit.stamp-twice.com", "x", "iain");
            let mut seen = Seen::new(c, &[Table::Virtual])?;
            for _ in 0..4 {
                apply(c, [Change::Insert(row.clone())])?;
                seen.differs("one more")?;
            }
            apply(c, vec![Change::Delete(row); 4])
        }),
        case(&[], "a_stamp_knows_where_a_cell_ends_and_its_case", |c| {
            let rows = [("edit.ab.com", "c"), ("edit.ab.co", "mc"), ("edit.AB.com", "c"), ("edit.ab.com", "C")];
            let mut rows = rows.map(|(host, user)| virtual_row(host, user, "iain")).into_iter();
            let mut old = rows.next().ok_or("no row")?;
            apply(c, [Change::Insert(old.clone())])?;
            let mut seen = Seen::new(c, &[Table::Virtual])?;
            for new in rows {
                apply(c, [Change::Replace { old, new: new.clone() }])?;
                seen.differs(&format!("{new:?}"))?;
                old = new;
            }
            apply(c, [Change::Delete(old)])
        }),
        case(&[Need::Nulls], "a_stamp_tells_null_from_empty", |c| {
            let with = |ext| TableRow::from_cells(Table::Virtual, [text("edit.nul.com"), text("u"), text("iain"), ext]);
            apply(c, [Change::Insert(with(None))])?;
            let mut seen = Seen::new(c, &[Table::Virtual])?;
            apply(c, [Change::Replace { old: with(None), new: with(text("")) }])?;
            seen.differs("the replace")?;
            apply(c, [Change::Delete(with(text("")))])
        }),
        case(&[], "a_stamp_stays_as_it_is_while_its_tables_do", |c| {
            let tables = [Table::Virtual, Table::Rcpthosts];
            let before = stamp(c, &tables)?;
            let row = one_of_each(c, "edit.other").remove(0);
            ensure(!tables.contains(&row.table()), "a row of another table was wanted")?;
            apply(c, [Change::Insert(row.clone())])?;
            equal("after a change of another table", stamp(c, &tables)?, before.clone())?;
            apply(c, [Change::Delete(row)])?;
            equal("stamp", stamp(c, &tables)?, before)
        }),
    ]
}

/// All stamps of some tables so far.
struct Seen<'a, 'c> {
    c: &'a Ctx<'c>,
    tables: Vec<Table>,
    stamps: Vec<Option<Vec<u8>>>,
}

impl<'a, 'c> Seen<'a, 'c> {
    fn new(c: &'a Ctx<'c>, tables: &[Table]) -> Result<Self, Failed> {
        Ok(Self { c, tables: tables.to_vec(), stamps: vec![stamp(c, tables)?] })
    }

    /// Fails if the stamp is one that was there before.
    fn differs(&mut self, after: &str) -> Outcome {
        let new = stamp(self.c, &self.tables)?;
        ensure(new.is_none() || !self.stamps.contains(&new), format!("{:?} after {after}: {new:?}", self.tables))?;
        self.stamps.push(new);
        Ok(())
    }

    /// Fails if the stamp is still the last one; the tables are what they once were.
    fn differs_from_last(&mut self, after: &str) -> Outcome {
        let new = stamp(self.c, &self.tables)?;
        let last = self.stamps.last();
        ensure(new.is_none() || Some(&new) != last, format!("{:?} after {after}: {new:?}", self.tables))?;
        self.stamps.push(new);
        Ok(())
    }
}

/// `None` only of a directory that has none.
fn stamp(c: &Ctx<'_>, tables: &[Table]) -> Result<Option<Vec<u8>>, Failed> {
    let catalog = c.store.catalog().ok_or("an editor without a catalog")?;
    let stamp = c.wait(catalog.stamp(tables, soon()))?;
    let may_lack = c.store.kind() == "ldap" && !slapd::has_stamps();
    ensure(stamp.is_some() || may_lack, "no stamp")?;
    Ok(stamp)
}

/// The row with one byte more in its last cell that is text.
fn with_last_cell_changed(row: &TableRow) -> TableRow {
    let mut cells: Vec<_> = row.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
    let place = match row.table() {
        Table::Mailbox => 4,
        Table::Alias => 3,
        Table::Virtual => 3,
        Table::Rcpthosts => 0,
    };
    cells[place].get_or_insert_default().push(b'z');
    TableRow::from_cells(row.table(), cells)
}
