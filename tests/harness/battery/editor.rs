//! Sentences of `Editor`, of stores that have one. Each case has keys of its own and leaves nothing behind.

use super::{Case, Part};
use crate::check::{Outcome, ensure, equal, must_fail};
use crate::model::{Question, soon};
use crate::shape::Need;
use crate::subject::{Ctx, text};
use libtest_mimic::Failed;
use qmail_lookup_core::{Applied, Cell, Change, EditCause, EditError, Table, TableOptions, TableRow};

pub(super) fn cases() -> Vec<Case> {
    let case = |needs, sentence, run: fn(&Ctx<'_>) -> Outcome| Case::new("editor", Part::Editor, needs, sentence, run);
    vec![
        case(&[], "an_inserted_row_is_found_and_a_deleted_one_absent", |c| {
            for row in one_of_each(c, "edit.round") {
                apply(c, [Change::Insert(row.clone())])?;
                equal("after the insert", seen(c, &row)?, 1)?;
                apply(c, [Change::Delete(row.clone())])?;
                equal("after the delete", seen(c, &row)?, 0)?;
            }
            Ok(())
        }),
        case(&[], "cells_are_stored_as_they_are", |c| {
            let home = text("/home/'a' \"b\" \\c %d _e;-- ?  ");
            kept(c, &mailbox(c, "edit.cells", "1234", home, text("p'w\"\\ ")))?;
            let rows = [
                alias("edit.cells", "x", text("|"), text("echo a\necho \\b \t ")),
                alias("edit.cells", "y", text(""), text("")),
            ];
            rows.into_iter().try_for_each(|row| kept(c, &row))
        }),
        case(&[Need::UnicodeValues], "another_script_is_stored_as_it_is", |c| {
            kept(c, &alias("edit.script", "x", text("."), text("/Maildir/.\u{1f600}\u{e4}/")))
        }),
        case(&[Need::Nulls], "null_is_stored_as_null_and_empty_as_empty", |c| {
            kept(c, &alias("edit.null", "x", None, text("")))?;
            kept(c, &alias("edit.null", "y", text(""), None))
        }),
        case(&[Need::LargeIds], "the_largest_ids_are_stored_as_they_are", |c| {
            kept(c, &mailbox(c, "edit.largest", "4294967294", text("/h"), text("p")))
        }),
        case(&[], "a_password_is_stored_as_it_is", |c| {
            let row = mailbox(c, "edit.password", "1000", text("/h"), text("$6$abc$'\"\\%_ "));
            kept(c, &row)
        }),
        case(&[], "replace_puts_the_new_row_in_the_place_of_the_old", |c| {
            let (old, new) = (
                mailbox(c, "edit.replace", "1000", text("/old"), text("p")),
                mailbox(c, "edit.replace", "1001", text("/new"), text("q")),
            );
            apply(c, [Change::Insert(old.clone())])?;
            apply(c, [Change::Replace { old: old.clone(), new: new.clone() }])?;
            equal("old, new", (seen(c, &old)?, seen(c, &new)?), (0, 1))?;
            apply(c, [Change::Delete(new)])
        }),
        case(&[], "replace_fails_unless_the_old_row_is_there", |c| {
            let (old, new) = (
                mailbox(c, "edit.noold", "1000", text("/old"), text("p")),
                mailbox(c, "edit.noold", "1001", text("/new"), text("q")),
            );
            is_gone(c, Change::Replace { old, new: new.clone() })?;
            equal("rows", seen(c, &new)?, 0)
        }),
        case(&[], "replace_may_change_the_key", |c| {
            let (old, new) = (
                mailbox(c, "edit.key1", "1000", text("/h"), text("p")),
                mailbox(c, "edit.key2", "1000", text("/h"), text("p")),
            );
            apply(c, [Change::Insert(old.clone()), Change::Replace { old: old.clone(), new: new.clone() }])?;
            equal("old, new", (seen(c, &old)?, seen(c, &new)?), (0, 1))?;
            apply(c, [Change::Delete(new)])
        }),
        case(&[], "a_delete_fails_unless_the_row_is_there", |c| {
            is_gone(c, Change::Delete(alias("edit.gone", "x", text("a"), text("b"))))
        }),
        case(&[], "a_row_that_differs_in_one_cell_is_another_row", differs_in_one_cell),
        case(&[], "a_row_that_differs_in_case_is_another_row", |c| {
            let row = alias("edit.case", "x", text("Mixed"), text("Host"));
            apply(c, [Change::Insert(row.clone())])?;
            is_gone(c, Change::Delete(alias("edit.case", "x", text("mixed"), text("Host"))))?;
            is_gone(c, Change::Delete(alias("Edit.case", "x", text("Mixed"), text("Host"))))?;
            apply(c, [Change::Delete(numbered(c, &row)?)])
        }),
        case(&[], "a_row_that_differs_in_a_trailing_blank_is_another_row", |c| {
            let row = alias("edit.pad", "x", text("|"), text("true"));
            apply(c, [Change::Insert(row.clone())])?;
            is_gone(c, Change::Delete(alias("edit.pad", "x", text("|"), text("true "))))?;
            apply(c, [Change::Delete(numbered(c, &row)?)])
        }),
        case(&[Need::Nulls], "null_and_empty_are_different_rows", |c| {
            let row = alias("edit.nulls", "x", text("a"), None);
            apply(c, [Change::Insert(row.clone())])?;
            is_gone(c, Change::Delete(alias("edit.nulls", "x", text("a"), text(""))))?;
            apply(c, [Change::Delete(numbered(c, &row)?)])
        }),
        case(&[], "a_delete_takes_one_of_two_equal_rows", |c| {
            let row = virtual_row("edit.twins.com", "x", "iain");
            apply(c, [Change::Insert(row.clone()), Change::Insert(row.clone())])?;
            equal("before", seen(c, &row)?, 2)?;
            apply(c, [Change::Delete(row.clone())])?;
            equal("after", seen(c, &row)?, 1)?;
            apply(c, [Change::Delete(row)])
        }),
        case(&[], "a_replace_takes_one_of_two_equal_rows", |c| {
            let (row, new) = (virtual_row("edit.swap.com", "x", "iain"), virtual_row("edit.swap.com", "x", "dmp"));
            apply(c, [Change::Insert(row.clone()), Change::Insert(row.clone())])?;
            apply(c, [Change::Replace { old: row.clone(), new: new.clone() }])?;
            equal("old, new", (seen(c, &row)?, seen(c, &new)?), (1, 1))?;
            apply(c, [Change::Delete(row), Change::Delete(new)])
        }),
        case(&[], "several_changes_are_carried_out_in_order", |c| {
            let (a, b) = (virtual_row("edit.order.com", "a", "iain"), virtual_row("edit.order.com", "b", "iain"));
            let changes = [
                Change::Insert(a.clone()),
                Change::Replace { old: a.clone(), new: b.clone() },
                Change::Insert(a.clone()),
                Change::Delete(b.clone()),
            ];
            apply(c, changes)?;
            equal("a, b", (seen(c, &a)?, seen(c, &b)?), (1, 0))?;
            apply(c, [Change::Delete(a)])
        }),
        case(&[], "a_change_that_fails_says_how_much_was_done", fails_in_the_middle),
        case(&[Need::Unique], "a_second_mailbox_of_one_name_is_refused", |c| {
            let row = mailbox(c, "edit.unique", "1000", text("/h"), text("p"));
            let second = mailbox(c, "EDIT.unique", "1001", text("/h2"), text("p"));
            apply(c, [Change::Insert(row.clone())])?;
            is_refused(c, Change::Insert(second))?;
            apply(c, [Change::Delete(row)])
        }),
        case(&[Need::Unique], "a_name_that_does_not_fit_is_refused_and_never_cut", |c| {
            let name = format!("edit.{}", "w".repeat(300));
            is_refused(c, Change::Insert(mailbox(c, &name, "1000", text("/h"), text("p"))))
        }),
        case(&[Need::Unique], "a_null_name_is_refused", |c| {
            is_refused(
                c,
                Change::Insert(TableRow::from_cells(
                    Table::Mailbox,
                    [None, text("1"), text("1"), text("/h"), text("p")],
                )),
            )
        }),
        case(&[], "no_changes_change_nothing", |c| apply(c, [])),
        case(&[], "many_changes_are_one_call", |c| {
            let rows: Vec<_> = (0..60).map(|n| virtual_row("edit.many.com", &format!("u{n}"), "iain")).collect();
            apply(c, rows.iter().cloned().map(Change::Insert))?;
            let all = Question::exact((0..60).map(|n| ("edit.many.com".to_owned(), format!("u{n}"))));
            equal("rows", c.ask(&all)?.len(), 60)?;
            apply(c, rows.into_iter().map(Change::Delete))?;
            equal("rows", c.ask(&all)?.len(), 0)
        }),
        case(&[], "tables_that_are_there_are_not_made_again", |c| {
            let editor = c.store.editor().ok_or("no editor")?;
            let made = c.wait(editor.create_tables(&Table::ALL, TableOptions::default(), soon()))?;
            ensure(made.iter().all(|(_, made)| !made), format!("{made:?}"))?;
            equal("iain", c.mailboxes(["iain"])?.len(), 1)
        }),
    ]
}

fn try_apply(c: &Ctx<'_>, changes: &[Change]) -> Result<Result<(), EditError>, Failed> {
    let editor = c.store.editor().ok_or("no editor")?;
    Ok(c.wait(editor.apply(changes, soon())))
}

pub(super) fn apply(c: &Ctx<'_>, changes: impl IntoIterator<Item = Change>) -> Outcome {
    let changes: Vec<_> = changes.into_iter().collect();
    Ok(try_apply(c, &changes)??)
}

/// How many rows equal to `row` a scan finds. The number of an alias row is the store's business.
fn seen(c: &Ctx<'_>, row: &TableRow) -> Result<usize, Failed> {
    Ok(found(c, row)?.len())
}

fn found(c: &Ctx<'_>, row: &TableRow) -> Result<Vec<TableRow>, Failed> {
    let catalog = c.store.catalog().ok_or("an editor without a catalog")?;
    let mut scan = c.wait(catalog.scan(row.table(), None, soon()))?;
    let mut all = Vec::new();
    loop {
        let batch = c.wait(scan.next(5000, soon()))?;
        if batch.is_empty() {
            break;
        }
        all.extend(batch);
    }
    all.retain(|found| unnumbered(found) == unnumbered(row));
    Ok(all)
}

fn unnumbered(row: &TableRow) -> TableRow {
    let mut row = row.clone();
    if let TableRow::Alias(alias) = &mut row {
        alias.seq = None;
    }
    row
}

/// The row as it is stored, with the number that the store gave it.
pub(super) fn numbered(c: &Ctx<'_>, row: &TableRow) -> Result<TableRow, Failed> {
    found(c, row)?.pop().ok_or_else(|| "the row is gone".into())
}

/// Inserts, compares, deletes.
fn kept(c: &Ctx<'_>, row: &TableRow) -> Outcome {
    apply(c, [Change::Insert(row.clone())])?;
    let stored = numbered(c, row).map_err(|_| "it did not come back as it was")?;
    apply(c, [Change::Delete(stored)])
}

fn is_gone(c: &Ctx<'_>, change: Change) -> Outcome {
    let error = must_fail("a row that is not there", try_apply(c, &[change])?)?;
    ensure(matches!(error.cause, EditCause::RowIsGone), format!("{error:?}"))?;
    equal("applied", error.applied, Applied::Nothing)
}

pub(super) fn is_refused(c: &Ctx<'_>, change: Change) -> Outcome {
    let error = must_fail("a row that does not fit", try_apply(c, &[change])?)?;
    ensure(matches!(error.cause, EditCause::RowRefused(_)), format!("{error:?}"))?;
    equal("applied", error.applied, Applied::Nothing)
}

fn differs_in_one_cell(c: &Ctx<'_>) -> Outcome {
    let row = mailbox(c, "edit.differs", "1000", text("/h"), text("p"));
    apply(c, [Change::Insert(row.clone())])?;
    let cells: Vec<Cell> = row.cells().into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
    let others =
        [text("edit.differs2"), text("1001"), text("101"), text("/H"), text("P"), text("Crypt-Password"), text("Y")];
    for (n, other) in others.into_iter().enumerate() {
        if cells[n].is_none() {
            continue;
        }
        let mut changed = cells.clone();
        changed[n] = other;
        is_gone(c, Change::Delete(TableRow::from_cells(Table::Mailbox, changed)))?;
    }
    apply(c, [Change::Delete(row)])
}

fn fails_in_the_middle(c: &Ctx<'_>) -> Outcome {
    let rows: Vec<_> = (0..4).map(|n| virtual_row("edit.middle.com", &format!("u{n}"), "iain")).collect();
    let absent = virtual_row("edit.middle.com", "absent", "iain");
    let inserts = rows.iter().cloned().map(Change::Insert);
    let changes: Vec<_> = inserts.clone().take(2).chain([Change::Delete(absent)]).chain(inserts.skip(2)).collect();
    let error = must_fail("a list with a bad change", try_apply(c, &changes)?)?;
    equal("change", error.change, Some(2))?;
    ensure(matches!(error.cause, EditCause::RowIsGone), format!("{error:?}"))?;
    let mut there = 0;
    for row in &rows {
        there += seen(c, row)?;
    }
    let said = match error.applied {
        Applied::Nothing => 0,
        Applied::Partial { applied } => applied,
        Applied::Unknown => return Err("the store answers, and does not know".into()),
    };
    equal("rows there", there, said)?;
    apply(c, rows.into_iter().take(there).map(Change::Delete))
}

pub(super) fn one_of_each(c: &Ctx<'_>, key: &str) -> Vec<TableRow> {
    let mut rows = vec![
        mailbox(c, key, "1000", text("/home/mail/edit"), text("secret")),
        virtual_row(&format!("{key}.com"), "user", "iain"),
        TableRow::from_cells(Table::Rcpthosts, [text(&format!("{key}.com"))]),
    ];
    if !c.shape.seq {
        rows.push(alias(key, "x", text("."), text("/Maildir/")));
    }
    rows
}

pub(super) fn mailbox(c: &Ctx<'_>, name: &str, uid: &str, home: Cell, password: Cell) -> TableRow {
    let login = |word| if c.shape.login_columns { text(word) } else { None };
    TableRow::from_cells(
        Table::Mailbox,
        [text(name), text(uid), text("100"), home, password, login("Password"), login("N")],
    )
}

pub(super) fn alias(owner: &str, ext: &str, user: Cell, host: Cell) -> TableRow {
    TableRow::from_cells(Table::Alias, [text(owner), text(ext), user, host])
}

pub(super) fn virtual_row(host: &str, user: &str, owner: &str) -> TableRow {
    TableRow::from_cells(Table::Virtual, [text(host), text(user), text(owner), text("")])
}
