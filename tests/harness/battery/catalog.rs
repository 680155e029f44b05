//! Sentences of `Catalog` and `Scan`, of stores that have one.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal, must_fail};
use crate::dataset::EDITED;
use crate::model::soon;
use crate::shape::Need;
use crate::subject::Ctx;
use libtest_mimic::Failed;
use qmail_lookup_core::{Catalog, Deadline, Mark, Table, TableRow};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for table in Table::ALL {
        let mut add = |sentence: &str, run: fn(&Ctx<'_>, Table) -> Outcome| {
            let sentence = format!("{sentence}_{table}");
            cases.push(Case::new("catalog", Part::Catalog, &[], &sentence, move |c: &Ctx<'_>| run(c, table)));
        };
        add("a_scan_gives_every_row_in_order_of", |c, table| compare(c, table, &scan(c, table, None, 100)?));
        add("the_size_of_a_batch_changes_nothing_in", |c, table| {
            [7, 10_000].iter().try_for_each(|&size| compare(c, table, &scan(c, table, None, size)?))
        });
        add("a_scan_goes_on_after_every_row_of", continues);
        add("a_scan_after_the_last_row_is_empty_in", |c, table| {
            let rows = wanted(c, table);
            let mark = rows.last().map(|last| mark(&rows, rows.len() - 1, last));
            equal("rows", scan(c, table, mark.as_ref(), 10)?.len(), 0)
        });
    }
    let case =
        |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("catalog", Part::Catalog, needs, sentence, run);
    cases.extend([
        case(&[], "a_batch_holds_at_most_what_was_asked_for", |c| {
            let mut scan = c.wait(catalog(c)?.scan(Table::Mailbox, None, soon()))?;
            for max in [1, 2, 50] {
                let batch = c.wait(scan.next(max, soon()))?;
                ensure(!batch.is_empty() && batch.len() <= max, format!("{} rows of at most {max}", batch.len()))?;
            }
            Ok(())
        }),
        case(&[], "an_empty_batch_stays_empty", |c| {
            let mut scan = c.wait(catalog(c)?.scan(Table::Rcpthosts, None, soon()))?;
            while !c.wait(scan.next(10_000, soon()))?.is_empty() {}
            equal("rows", c.wait(scan.next(10_000, soon()))?.len(), 0)
        }),
        case(&[], "passwords_are_part_of_a_scan", |c| {
            let rows = scan(c, Table::Mailbox, None, 1000)?;
            let plain = rows.iter().any(|row| row.cells().get(4).copied().flatten() == Some(b"sesame"));
            ensure(plain, "no password came")
        }),
        case(&[], "duplicates_are_kept", |c| {
            let rows = scan(c, Table::Virtual, None, 3)?;
            let again = rows.iter().filter(|row| row.cells().get(1).copied().flatten() == Some(b"again"));
            equal("rows", again.count(), 2)
        }),
        case(&[], "a_mark_between_duplicates_leaves_the_rest_of_them", |c| {
            let rows = wanted(c, Table::Virtual);
            let first = rows.windows(2).position(|pair| pair[0] == pair[1]).ok_or("no duplicates were stored")?;
            let after = Mark { row: rows[first].clone(), seen: 1 };
            equal("rows", scan(c, Table::Virtual, Some(&after), 5)?.get(..3), rows.get(first + 1..first + 4))
        }),
        case(&[Need::Nulls], "null_comes_before_empty", |c| {
            let rows = scan(c, Table::Alias, None, 100)?;
            let both = rows.iter().filter(|row| row.cells().first().copied().flatten() == Some(b"both"));
            let cells: Vec<_> = both.map(|row| row.cells().get(1).copied().flatten().map(<[u8]>::to_vec)).collect();
            equal("order", cells, [None, Some(Vec::new())])
        }),
        case(&[], "a_mark_that_is_no_row_any_more_still_finds_its_place", |c| {
            let rows = wanted(c, Table::Mailbox);
            let gone = TableRow::from_cells(Table::Mailbox, [Some(b"iain+gone".to_vec())]);
            let after = scan(c, Table::Mailbox, Some(&Mark { row: gone.clone(), seen: 1 }), 1000)?;
            let want: Vec<_> = rows.into_iter().filter(|row| row.order() > gone.order()).collect();
            equal("rows", after, want)
        }),
        case(&[], "a_scan_that_is_dropped_harms_nobody", |c| {
            for _ in 0..10 {
                let mut scan = c.wait(catalog(c)?.scan(Table::Alias, None, soon()))?;
                drop(c.wait(scan.next(2, soon()))?);
            }
            equal("iain", c.mailboxes(["iain"])?.len(), 1)
        }),
        case(&[], "two_scans_at_once_do_not_mix", |c| {
            let mut one = c.wait(catalog(c)?.scan(Table::Mailbox, None, soon()))?;
            let mut two = c.wait(catalog(c)?.scan(Table::Virtual, None, soon()))?;
            for _ in 0..5 {
                let (a, b) = (c.wait(one.next(9, soon()))?, c.wait(two.next(9, soon()))?);
                ensure(a.iter().all(|row| row.table() == Table::Mailbox), "a virtual row among mailboxes")?;
                ensure(b.iter().all(|row| row.table() == Table::Virtual), "a mailbox row among virtuals")?;
            }
            Ok(())
        }),
        case(&[], "questions_are_answered_while_a_scan_is_open", |c| {
            let mut scan = c.wait(catalog(c)?.scan(Table::Mailbox, None, soon()))?;
            drop(c.wait(scan.next(1, soon()))?);
            equal("iain", c.mailboxes(["iain"])?.len(), 1)
        }),
        case(&[], "a_passed_deadline_is_never_the_end_of_the_table", |c| {
            let mut scan = c.wait(catalog(c)?.scan(Table::Virtual, None, soon()))?;
            drop(c.wait(scan.next(5, soon()))?);
            match c.wait(scan.next(5, Deadline::after(Duration::ZERO))) {
                Ok(rows) => ensure(!rows.is_empty(), "an empty batch")?,
                Err(_) => match c.wait(scan.next(5, soon())) {
                    Ok(rows) => ensure(!rows.is_empty(), "an empty batch after the error")?,
                    again => must_fail("after the error", again).map(drop)?,
                },
            }
            Ok(())
        }),
    ]);
    cases
}

fn catalog<'a>(c: &Ctx<'a>) -> Result<&'a dyn Catalog, Failed> {
    c.store.catalog().ok_or_else(|| "no catalog".into())
}

/// The whole rest of a table in batches of `size`, without the rows of the editor's cases.
fn scan(c: &Ctx<'_>, table: Table, after: Option<&Mark>, size: usize) -> Result<Vec<TableRow>, Failed> {
    let mut scan = c.wait(catalog(c)?.scan(table, after, soon()))?;
    let mut rows = Vec::new();
    loop {
        let batch = c.wait(scan.next(size, soon()))?;
        if batch.is_empty() {
            rows.retain(|row| !is_edited(row));
            return Ok(rows);
        }
        rows.extend(batch);
    }
}

fn is_edited(row: &TableRow) -> bool {
    row.cells().first().copied().flatten().is_some_and(|key| key.starts_with(EDITED))
}

fn wanted(c: &Ctx<'_>, table: Table) -> Vec<TableRow> {
    let mut rows: Vec<_> = c.rows.iter().filter(|row| row.table() == table).cloned().collect();
    rows.sort_by_cached_key(TableRow::order);
    rows
}

fn compare(c: &Ctx<'_>, table: Table, got: &[TableRow]) -> Outcome {
    let want = wanted(c, table);
    let differs = got.iter().zip(&want).position(|(got, want)| got != want);
    if let Some(n) = differs {
        return equal(&format!("row {n} of {table}"), &got[n], &want[n]);
    }
    equal(&format!("rows of {table}"), got.len(), want.len())
}

/// The place after row `n` of `rows`.
fn mark(rows: &[TableRow], n: usize, row: &TableRow) -> Mark {
    let seen = rows[..=n].iter().rev().take_while(|before| *before == row).count();
    Mark { row: row.clone(), seen: u64::try_from(seen).unwrap_or(u64::MAX) }
}

/// Not after each of a thousand rows: after the first, the last but one, and some between.
fn continues(c: &Ctx<'_>, table: Table) -> Outcome {
    let rows = wanted(c, table);
    let places = (0..rows.len().saturating_sub(1)).step_by(rows.len() / 12 + 1);
    for n in places.chain([rows.len().saturating_sub(2)]) {
        let rest = scan(c, table, Some(&mark(&rows, n, &rows[n])), 400)?;
        equal(&format!("first row after row {n}"), rest.first(), rows.get(n + 1))?;
        equal(&format!("rows after row {n}"), rest.len(), rows.len() - n - 1)?;
    }
    Ok(())
}
