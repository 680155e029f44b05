//! Sentences of `Editor` about reading what is to be changed, reading back what was, and trying rows beforehand.

use super::editor::{alias, apply, is_refused, mailbox, one_of_each, virtual_row};
use super::{Case, Part};
use crate::check::{Outcome, ensure, equal, must_fail};
use crate::dataset::{self, EDITED};
use crate::model::soon;
use crate::shape::Need;
use crate::subject::{Ctx, text};
use libtest_mimic::Failed;
use qmail_lookup_core::{
    Applied, Backend, Cell, Change, EditCause, EditError, Editor, Numbering, Table, TableOptions, TableRow,
};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of each table that are asked for.
const KEYS: usize = 60;

pub(super) fn cases() -> Vec<Case> {
    let case = |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("editor", Part::Editor, needs, sentence, run);
    vec![
        case(&[], "the_rows_of_a_key_are_whole_folded_and_in_order", rows_of_keys),
        case(&[], "a_key_that_is_not_there_has_no_rows", |c| {
            for key in ["edit.absent", "ia_n", "%", "_", "", "'", "\\", "iain ", "\u{e4}bsent"] {
                for table in Table::ALL {
                    let want = of_key(c.rows, table, key.as_bytes());
                    equal(key, c.wait(editor(c.store)?.rows(table, key.as_bytes(), soon()))?, want)?;
                }
            }
            Ok(())
        }),
        case(&[], "a_row_just_written_is_among_those_of_its_key", |c| {
            for row in one_of_each(c, "edit.keyed") {
                apply(c, [Change::Insert(row.clone())])?;
                let upper = key(&row).to_ascii_uppercase();
                equal("rows", c.wait(editor(c.store)?.rows(row.table(), &upper, soon()))?, vec![row.clone()])?;
                apply(c, [Change::Delete(row)])?;
            }
            Ok(())
        }),
        case(&[], "changes_that_are_read_back_are_the_same_changes", read_back),
        case(&[], "numbers_are_what_the_store_says_of_them", numbers),
        case(&[Need::Unique], "the_one_bad_row_of_many_is_named", |c| bad_row_of_many(c, 600, 700)),
        case(&[Need::Unique], "a_bad_row_at_the_end_of_many_is_named", |c| bad_row_of_many(c, 299, 300)),
        case(&[], "many_rows_of_several_tables_are_all_written", many_rows),
        case(&[], "a_rehearsal_refuses_exactly_what_is_refused", refuses_the_same),
        case(&[Need::Unique], "a_rehearsal_remembers_the_rows_of_earlier_calls", |c| {
            let Some(mut rehearsal) = c.wait(editor(c.store)?.rehearse(TableOptions::default(), soon()))? else {
                return Ok(());
            };
            let row = mailbox(c, "edit.again", "1000", text("/h"), text("p"));
            equal("first", c.wait(rehearsal.insert(std::slice::from_ref(&row), soon()))?, vec![])?;
            let second = c.wait(rehearsal.insert(std::slice::from_ref(&row), soon()))?;
            equal("second", second.iter().map(|(place, _)| *place).collect::<Vec<_>>(), vec![0])
        }),
        case(&[], "a_rehearsal_changes_nothing_that_anybody_sees", |c| {
            let before = (c.wait(c.store.facts(soon()))?.tables, all(c)?);
            let Some(mut rehearsal) = c.wait(editor(c.store)?.rehearse(TableOptions::default(), soon()))? else {
                return Ok(());
            };
            let rows = one_of_each(c, "edit.unseen");
            equal("refused", c.wait(rehearsal.insert(&rows, soon()))?, vec![])?;
            equal("while it lasts", (c.wait(c.store.facts(soon()))?.tables, all(c)?), before.clone())?;
            drop(rehearsal);
            equal("after it", (c.wait(c.store.facts(soon()))?.tables, all(c)?), before)
        }),
    ]
}

fn editor(store: &dyn Backend) -> Result<&dyn Editor, Failed> {
    store.editor().ok_or_else(|| "no editor".into())
}

fn key(row: &TableRow) -> Vec<u8> {
    row.cells().first().copied().flatten().unwrap_or_default().to_vec()
}

fn of_key(rows: &[TableRow], table: Table, wanted: &[u8]) -> Vec<TableRow> {
    let is = |row: &&TableRow| {
        row.table() == table && row.cells()[0].is_some_and(|stored| stored.eq_ignore_ascii_case(wanted))
    };
    let mut rows: Vec<_> = rows.iter().filter(is).cloned().collect();
    rows.sort_by_cached_key(TableRow::order);
    rows
}

/// Every row, in order.
fn all(c: &Ctx<'_>) -> Result<Vec<TableRow>, Failed> {
    let catalog = c.store.catalog().ok_or("no catalog")?;
    let mut rows = Vec::new();
    for table in Table::ALL {
        let mut scan = c.wait(catalog.scan(table, None, soon()))?;
        loop {
            let batch = c.wait(scan.next(5000, soon()))?;
            if batch.is_empty() {
                break;
            }
            rows.extend(batch);
        }
    }
    Ok(rows)
}

fn rows_of_keys(c: &Ctx<'_>) -> Outcome {
    for table in Table::ALL {
        let rows = c.rows.iter().filter(|row| row.table() == table && row.cells()[0].is_some());
        let keys: BTreeSet<_> = rows.map(|row| key(row).to_ascii_lowercase()).collect();
        // Awkward ones first, and not too many.
        let mut keys: Vec<_> = keys.into_iter().filter(|key| !key.starts_with(EDITED)).collect();
        keys.sort_by_key(|key| key.iter().all(u8::is_ascii_alphanumeric));
        ensure(!keys.is_empty(), "no keys")?;
        for key in keys.into_iter().take(KEYS) {
            let want = of_key(c.rows, table, &key);
            for asked in [key.to_ascii_uppercase(), key] {
                let got = c.wait(editor(c.store)?.rows(table, &asked, soon()))?;
                equal(&format!("{table} {}", asked.escape_ascii()), &got, &want)?;
            }
        }
    }
    Ok(())
}

fn read_back(c: &Ctx<'_>) -> Outcome {
    let editor = editor(c.store)?;
    let put = |changes: &[Change]| c.wait(editor.apply_and_read_back(changes, soon()));
    let key = "edit.readback";
    for row in one_of_each(c, key) {
        put(&[Change::Insert(row.clone())])?;
        put(&[Change::Replace { old: row.clone(), new: row.clone() }])?;
        put(&[Change::Delete(row)])?;
    }
    let (old, new) = (virtual_row("edit.back.com", "a", "iain"), virtual_row("edit.back.com", "b", "dmp"));
    let replace = Change::Replace { old: old.clone(), new: new.clone() };
    put(&[Change::Insert(old.clone()), Change::Insert(new.clone()), replace.clone()])?;
    let rows = c.wait(editor.rows(Table::Virtual, b"edit.back.com", soon()))?;
    equal("rows", rows, vec![new.clone(), new.clone()])?;
    let error = must_fail("a row that is not there", put(&[replace]))?;
    ensure(matches!(error.cause, EditCause::RowIsGone), format!("{error:?}"))?;
    equal("change", error.change, Some(0))?;
    put(&[Change::Delete(new.clone()), Change::Delete(new)])?;
    put(&[]).map_err(Failed::from)
}

/// Alias rows with these numbers, each under the same key.
fn numbered(seq: &[Option<&str>]) -> Vec<TableRow> {
    let rows = seq.iter().enumerate().map(|(n, seq)| {
        let mut row = alias("edit.number", "x", text("."), text(&format!("/{n}/")));
        if let TableRow::Alias(alias) = &mut row {
            alias.seq = seq.map(|seq| seq.as_bytes().to_vec());
        }
        row
    });
    rows.collect()
}

fn numbers(c: &Ctx<'_>) -> Outcome {
    let editor = editor(c.store)?;
    let inserts = |rows: Vec<TableRow>| rows.into_iter().map(Change::Insert).collect::<Vec<_>>();
    match c.wait(editor.numbering(soon()))? {
        Numbering::None => {
            ensure(!c.shape.seq, "there is a column seq")?;
            is_refused(c, Change::Insert(numbered(&[Some("7000001")]).remove(0)))
        }
        Numbering::Free => {
            ensure(c.shape.seq, "there is no column seq")?;
            let rows = numbered(&[Some("7000001"), Some("7000001"), None]);
            apply(c, inserts(rows.clone()))?;
            let mut stored = c.wait(editor.rows(Table::Alias, b"edit.number", soon()))?;
            apply(c, stored.iter().cloned().map(Change::Delete))?;
            // A store may fill a number in that is left out.
            for row in stored.iter_mut().filter(|row| row.cells()[3] == Some(b"/2/")) {
                *row = numbered(&[None; 3]).remove(2);
            }
            equal("rows", stored, of_key(&rows, Table::Alias, b"edit.number"))
        }
        Numbering::Unique => {
            ensure(c.shape.seq, "there is no column seq")?;
            let twins = inserts(numbered(&[Some("7000001"), Some("7000001")]));
            let error = must_fail("a number twice", c.wait(editor.apply(&twins, soon())))?;
            equal("change", error.change, Some(1))?;
            // Those without a number are numbered in the order in which they come.
            let rows = numbered(&[None; 700]);
            apply(c, inserts(rows.clone()))?;
            let mut stored = c.wait(editor.rows(Table::Alias, b"edit.number", soon()))?;
            let number = |row: &TableRow| {
                let digits = row.cells()[4].map(|digits| String::from_utf8_lossy(digits).into_owned());
                digits.and_then(|digits| digits.parse::<u64>().ok())
            };
            stored.sort_by_key(number);
            let host = |row: &TableRow| row.cells()[3].map(<[u8]>::to_vec);
            equal("order", stored.iter().map(host).collect::<Vec<_>>(), rows.iter().map(host).collect::<Vec<_>>())?;
            apply(c, stored.into_iter().map(Change::Delete))
        }
    }
}

fn bad_row_of_many(c: &Ctx<'_>, bad: usize, count: usize) -> Outcome {
    let row = |n: usize| mailbox(c, &format!("edit.bulk{n}"), "1000", text("/home/bulk"), text("p"));
    let mut rows: Vec<_> = (0..count).map(row).collect();
    rows[bad] = row(7);
    let changes: Vec<_> = rows.into_iter().map(Change::Insert).collect();
    let error = must_fail("a row twice", c.wait(editor(c.store)?.apply(&changes, soon())))?;
    equal("change", error.change, Some(bad))?;
    ensure(matches!(error.cause, EditCause::RowRefused(_)), format!("{error:?}"))?;
    let mut there: Vec<_> = all(c)?.into_iter().filter(|row| key(row).starts_with(b"edit.bulk")).collect();
    let want = match error.applied {
        Applied::Nothing => 0,
        Applied::Partial { applied } => applied,
        Applied::Unknown => return Err("the store answers, and does not know".into()),
    };
    equal("rows there", there.len(), want)?;
    apply(c, there.drain(..).map(Change::Delete))
}

fn many_rows(c: &Ctx<'_>) -> Outcome {
    let before = all(c)?;
    let mut rows = Vec::new();
    for n in 0..300 {
        rows.push(virtual_row("edit.lots.com", &format!("u{n}"), "iain"));
        if n % 7 == 0 {
            rows.push(mailbox(c, &format!("edit.lots{n}"), "1000", text("/h"), text("p")));
        }
        if n > 200 && !c.shape.seq {
            rows.push(alias("edit.lots", &format!("x{n}"), text("."), text(&"/long".repeat(150))));
        }
    }
    apply(c, rows.iter().cloned().map(Change::Insert))?;
    let mut want: Vec<_> = before.iter().cloned().chain(rows.clone()).collect();
    want.sort_by_cached_key(|row| (row.table(), row.order()));
    ensure(all(c)? == want, "not exactly these rows were added")?;
    apply(c, rows.into_iter().map(Change::Delete))?;
    ensure(all(c)? == before, "not exactly these rows were taken away")
}

/// Rows of every kind, and rows that are bad in ways that only some stores mind.
fn on_trial(c: &Ctx<'_>) -> Vec<TableRow> {
    let crowd = |row: &&TableRow| row.cells().iter().flatten().any(|cell| cell.starts_with(b"crowd"));
    let mut rows: Vec<_> = dataset::rows().iter().filter(|row| !crowd(row)).step_by(3).cloned().collect();
    let good = mailbox(c, "edit.trial", "1000", text("/h"), text("p"));
    let cells: Vec<Cell> = good.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
    let long = "w".repeat(300);
    let others: &[(usize, &[u8])] = &[
        (0, long.as_bytes()),
        (0, "edit.\u{e4}".as_bytes()),
        (0, b"EDIT.TRIAL"),
        (0, b"edit.trial "),
        (1, b"007"),
        (1, b"+7"),
        (1, b" 7"),
        (1, b"-1"),
        (1, b"4294967295"),
        (1, b"4294967296"),
        (1, b"1e3"),
        (1, b"x"),
        (1, b""),
        (3, b"/blank "),
        (3, b"/\xe4"),
        (3, "/\u{1f600}".as_bytes()),
        (3, b""),
        (5, b"password"),
        (5, b"Password "),
        (5, b"1"),
        (6, b"y"),
        (6, b"2"),
        (6, b""),
    ];
    rows.push(good.clone());
    for (n, (column, cell)) in others.iter().enumerate() {
        let mut cells = cells.clone();
        cells[0] = text(&format!("edit.trial{n}"));
        cells[*column] = Some(cell.to_vec());
        rows.push(TableRow::from_cells(Table::Mailbox, cells.clone()));
        cells[0] = text(&format!("edit.null{n}"));
        cells[*column] = None;
        rows.push(TableRow::from_cells(Table::Mailbox, cells));
    }
    rows.push(good);
    rows.extend(numbered(&[Some("7000001"), Some("7000001"), Some("0"), Some("4294967295"), Some("x"), None, None]));
    rows
}

fn refuses_the_same(c: &Ctx<'_>) -> Outcome {
    let Some(empty) = c.empty else { return Ok(()) };
    let editor = editor(empty)?;
    let rows = on_trial(c);
    let options = TableOptions { username_width: 128, with_seq: c.shape.seq };
    let Some(mut rehearsal) = c.wait(editor.rehearse(options, soon()))? else { return Ok(()) };
    let mut said = BTreeMap::new();
    for (n, chunk) in rows.chunks(100).enumerate() {
        let refused = c.wait(rehearsal.insert(chunk, soon()))?;
        ensure(refused.is_sorted_by_key(|(place, _)| *place), "not in order")?;
        said.extend(refused.into_iter().map(|(place, why)| (n * 100 + place, why)));
    }
    drop(rehearsal);
    let mut wrong = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let change = [Change::Insert(row.clone())];
        let refused = match c.wait(editor.apply_and_read_back(&change, soon())) {
            Ok(()) => None,
            Err(EditError { cause: EditCause::RowRefused(why), .. }) => Some(why),
            Err(error) => return Err(error.into()),
        };
        if refused.is_some() != said.contains_key(&place) {
            wrong.push(format!("{row:?}: refused: {refused:?}, in the rehearsal: {:?}", said.get(&place)));
        }
    }
    let quoted = said.values().find(|why| why.contains("edit.") || why.contains("www"));
    let clean = Ctx { store: empty, empty: None, shape: c.shape, rows: &[] };
    apply(&clean, all(&clean)?.into_iter().map(Change::Delete))?;
    ensure(wrong.is_empty(), wrong.join("\n"))?;
    ensure(quoted.is_none(), format!("a value was given away: {quoted:?}"))
}
