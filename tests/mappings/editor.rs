//! What the editor of a directory promises beyond the battery: rows of a key, rows that are read back, a trial of rows,
//! and many rows at a time.

mod broken;
mod many;

use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{
    Applied, Backend, Change, EditCause, EditError, Editor, ErrorKind, Numbering, Table, TableOptions, TableRow,
};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal, must_fail};
use qmail_lookup_tests::dataset;
use qmail_lookup_tests::load::ldap::foreign::Foreign;
use qmail_lookup_tests::load::ldap::{Names, at, base, create, filled, with};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::server::slapd::{PASSWORD, SUFFIX};
use qmail_lookup_tests::subjects::ldap::{foreign_server, native_server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("mapping::ldap::editor::{name}"), run);
    let mut all = vec![
        trial("the_rows_of_a_key_are_whole_and_in_order", rows_of_keys),
        trial("what_is_hidden_of_a_row_is_an_error_and_not_a_row_without_it", hidden),
        trial("a_rehearsal_refuses_what_the_directory_refuses", rehearsed),
        trial("a_rehearsal_sees_a_key_again_wherever_it_comes", rehearsed_keys),
        trial("a_rehearsal_needs_schema_and_base_but_no_tables", rehearsed_nowhere),
        trial("a_row_that_does_not_read_back_is_taken_away_again", not_as_written),
        trial("a_change_that_does_not_read_back_is_put_back", put_back),
        trial("keys_too_long_for_a_name_are_stored_all_the_same", long_names),
    ];
    all.extend(many::trials());
    all.extend(broken::trials());
    all
}

fn editor(store: &dyn Backend) -> Result<&dyn Editor, Failed> {
    store.editor().ok_or_else(|| "no editor".into())
}

fn insert(store: &dyn Backend, rows: &[TableRow]) -> Result<Result<(), EditError>, Failed> {
    let changes: Vec<_> = rows.iter().cloned().map(Change::Insert).collect();
    Ok(block_on(editor(store)?.apply(&changes, soon())))
}

fn rows(store: &dyn Backend, table: Table, key: &str) -> Result<Vec<TableRow>, Failed> {
    Ok(block_on(editor(store)?.rows(table, key.as_bytes(), soon()))?)
}

/// All rows of a table, by a scan.
fn all(store: &dyn Backend, table: Table) -> Result<Vec<TableRow>, Failed> {
    let catalog = store.catalog().ok_or("no catalog")?;
    let mut scan = block_on(catalog.scan(table, None, soon()))?;
    let mut all = Vec::new();
    loop {
        let batch = block_on(scan.next(1000, soon()))?;
        if batch.is_empty() {
            return Ok(all);
        }
        all.extend(batch);
    }
}

fn sorted(mut rows: Vec<TableRow>) -> Vec<TableRow> {
    rows.sort_by_cached_key(TableRow::order);
    rows
}

fn row(table: Table, cells: &[&str]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())))
}

fn mailbox(name: &str, home: &str, password: &str) -> TableRow {
    row(Table::Mailbox, &[name, "1000", "100", home, password, "Password", "N"])
}

/// An empty base.
fn empty(name: &str) -> Result<Arc<dyn Backend>, Failed> {
    let server = native_server()?;
    create(server, name, Names::ByKey, &[])?;
    at(server, name)
}

/// The store of a base, as an account that may do less.
fn limited(name: &str, who: &str) -> Result<Arc<dyn Backend>, Failed> {
    let user = format!("cn={who},{SUFFIX}");
    with(&[&native_server()?.ldapi()], &user, PASSWORD, name, &[("auth", "compare".into())])
}

fn rows_of_keys() -> Outcome {
    let want = Names::ByKey.shape().rows(&dataset::rows());
    let store = filled(native_server()?, "edit-rows", Names::ByKey, &want, &[("auth", "compare".into())])?.store;
    let mut keys: BTreeMap<(Table, Vec<u8>), Vec<TableRow>> = BTreeMap::new();
    for row in want {
        let key = row.cells()[0].unwrap_or_default().to_ascii_lowercase();
        keys.entry((row.table(), key)).or_default().push(row);
    }
    for ((table, key), want) in keys {
        let upper = key.to_ascii_uppercase();
        let found = block_on(editor(&*store)?.rows(table, &upper, soon()))?;
        equal(&format!("{table} {}", String::from_utf8_lossy(&key)), found, sorted(want))?;
    }
    for (table, key) in [(Table::Mailbox, "nobody"), (Table::Mailbox, ""), (Table::Virtual, "ïn"), (Table::Alias, "*")]
    {
        equal(key, rows(&*store, table, key)?, Vec::new())?;
    }
    equal("numbering", block_on(editor(&*store)?.numbering(soon()))?, Numbering::Free)
}

fn hidden() -> Outcome {
    let server = native_server()?;
    let there = [
        mailbox("iain", "/home/iain", "secret"),
        mailbox("open", "/home/open", ""),
        row(Table::Alias, &["iain", "x", ".", "/Maildir/", "1"]),
        row(Table::Virtual, &["bar.com", "x", "iain", ""]),
    ];
    create(server, "edit-hidden", Names::ByKey, &there)?;
    let full = at(server, "edit-hidden")?;
    for row in &there {
        let key = String::from_utf8_lossy(row.cells()[0].unwrap_or_default()).into_owned();
        equal(&key, rows(&*full, row.table(), &key)?, vec![row.clone()])?;
    }
    for (who, table, key, attribute) in [
        ("reader", Table::Mailbox, "iain", "userPassword"),
        // There is none, but who may not look cannot know.
        ("reader", Table::Mailbox, "open", "userPassword"),
        ("homeless", Table::Mailbox, "iain", "qlookHome"),
        ("unreading", Table::Alias, "iain", "qlookAlias"),
        ("unsearching", Table::Virtual, "bar.com", "qlookVirtualUser"),
        ("unsearching", Table::Mailbox, "open", "qlookSuspended"),
    ] {
        let store = limited("edit-hidden", who)?;
        let error = must_fail(who, block_on(editor(&*store)?.rows(table, key.as_bytes(), soon())))?;
        equal(who, error.kind(), ErrorKind::Refused)?;
        ensure(error.to_string().contains(attribute), format!("{who}: {error}"))?;
    }
    Ok(())
}

fn rehearse(store: &dyn Backend, rows: &[TableRow], batch: usize) -> Result<BTreeSet<usize>, Failed> {
    let trial = block_on(editor(store)?.rehearse(TableOptions::default(), soon()))?;
    let mut trial = trial.ok_or("no rehearsal")?;
    let mut refused = BTreeSet::new();
    for (n, some) in rows.chunks(batch).enumerate() {
        for (place, why) in block_on(trial.insert(some, soon()))? {
            ensure(!why.is_empty(), "no reason")?;
            refused.insert(n * batch + place);
        }
    }
    Ok(refused)
}

/// Row for row, over everything that any store is known to hold, and what none can.
fn rehearsed() -> Outcome {
    let store = empty("edit-rehearsed")?;
    let mut rows = dataset::rows();
    // The large sets are alike.
    rows.retain(|row| row.cells()[0].is_none_or(|key| !key.starts_with(b"crowd")));
    rows.extend([
        mailbox("TRAIL", "/h", "p"),
        mailbox("trail  ", "/h", "p"),
        mailbox("two  blanks", "/h", "p"),
        mailbox("Two Blanks", "/h", "p"),
        mailbox("scheme", "/h", "{CRYPT}x"),
        mailbox(&",".repeat(128), "/h", "p"),
        mailbox(&"n".repeat(129), "/h", "p"),
        row(Table::Rcpthosts, &[&"h".repeat(255)]),
        row(Table::Rcpthosts, &[&"H".repeat(255)]),
        row(Table::Rcpthosts, &[&"h".repeat(256)]),
        row(Table::Virtual, &[&"h".repeat(255), &"%".repeat(128), &"o".repeat(128), &"e".repeat(255)]),
        row(Table::Alias, &["iain", "digits", "x", "y", "1e3"]),
        row(Table::Alias, &["iain", "constant", "x", "y", "4294967295"]),
        row(Table::Alias, &["iain", "constant", "x", "y", "4294967295"]),
    ]);
    let trial = rehearse(&*store, &rows, 100)?;
    ensure(trial.len() > 20 && trial.len() * 2 < rows.len(), format!("{} of {}", trial.len(), rows.len()))?;
    equal("nothing is seen of it", all(&*store, Table::Mailbox)?.len(), 0)?;
    for (n, row) in rows.iter().enumerate() {
        let refused = match insert(&*store, std::slice::from_ref(row))? {
            Ok(()) => false,
            Err(EditError { applied: Applied::Nothing, cause: EditCause::RowRefused(_), .. }) => true,
            Err(other) => return Err(format!("{row:?}: {other:?}").into()),
        };
        equal(&format!("{row:?} refused"), refused, trial.contains(&n))?;
    }
    Ok(())
}

fn rehearsed_keys() -> Outcome {
    let store = empty("edit-keys")?;
    let mut rows: Vec<_> = (0..3000).map(|n| mailbox(&format!("u{}", (n * 7919) % 3000), "/h", "p")).collect();
    rows.push(mailbox("U2999", "/h", "p"));
    rows.push(row(Table::Rcpthosts, &["u2999"]));
    rows.push(row(Table::Rcpthosts, &["U2999"]));
    let refused = rehearse(&*store, &rows, 500)?;
    equal("refused", refused, BTreeSet::from([3000, 3002]))
}

fn rehearsed_nowhere() -> Outcome {
    let server = native_server()?;
    let trial = |store: &dyn Backend| rehearse(store, &[mailbox("x", "/h", "p")], 1);
    must_fail("no base", trial(&*at(server, "edit-nowhere")?)).map(drop)?;
    create(server, "edit-bare", Names::ByKey, &[])?;
    for table in Table::ALL {
        server.delete(&format!("ou={table},{}", base("edit-bare")))?;
    }
    let bare = at(server, "edit-bare")?;
    equal("no tables yet", trial(&*bare)?.len(), 0)?;
    let error = must_fail("numbering", block_on(editor(&*bare)?.numbering(soon())))?;
    equal("numbering", error.kind(), ErrorKind::Schema)?;
    must_fail("rows", rows(&*bare, Table::Mailbox, "x")).map(drop)?;
    let other = foreign_server(Foreign::Posix)?;
    create(other, "edit-other", Names::ByKey, &[])?;
    let other = with(&[&other.ldapi()], qmail_lookup_tests::server::slapd::USER, PASSWORD, "edit-other", &[])?;
    must_fail("no schema", trial(&*other)).map(drop)
}

/// The account may write passwords and not read them: what it wrote it cannot know.
fn not_as_written() -> Outcome {
    let full = empty("edit-unread")?;
    let store = limited("edit-unread", "writer")?;
    let write = |changes: &[Change]| Ok::<_, Failed>(block_on(editor(&*store)?.apply_and_read_back(changes, soon())));
    let refused = |error: &EditError| matches!(&error.cause, EditCause::RowRefused(why) if why.contains("password"));
    let one = Change::Insert(mailbox("one", "/h", "secret"));
    let error = must_fail("a password that is hidden", write(std::slice::from_ref(&one))?)?;
    ensure(refused(&error) && !error.to_string().contains("secret"), error.to_string())?;
    equal("applied", (error.applied, error.change), (Applied::Nothing, Some(0)))?;
    equal("rows", all(&*full, Table::Mailbox)?.len(), 0)?;
    block_on(editor(&*store)?.apply(&[one], soon()))?;
    equal("without looking", all(&*full, Table::Mailbox)?.len(), 1)?;

    // Many at a time: those before it stay, those after it go.
    let password = |n: usize| if n == 20 { "secret" } else { "" };
    let many: Vec<_> = (0..30).map(|n| mailbox(&format!("many{n:02}"), "/h", password(n))).collect();
    let changes: Vec<_> = many.iter().cloned().map(Change::Insert).collect();
    let error = must_fail("one of many", write(&changes)?)?;
    ensure(refused(&error), error.to_string())?;
    equal("applied", (error.applied, error.change), (Applied::Partial { applied: 20 }, Some(20)))?;
    let there: Vec<_> = all(&*full, Table::Mailbox)?.into_iter().filter(|row| row.cells()[4] == Some(b"")).collect();
    equal("rows", there, many[..20].to_vec())
}

fn put_back() -> Outcome {
    let full = empty("edit-back")?;
    let store = limited("edit-back", "writer")?;
    let apply = |changes: &[Change]| Ok::<_, Failed>(block_on(editor(&*store)?.apply_and_read_back(changes, soon())));
    let (old, host) = (mailbox("back", "/old", ""), row(Table::Rcpthosts, &["old.test"]));
    insert(&*full, &[old.clone(), host.clone()])??;
    let error = must_fail(
        "a new password",
        apply(&[Change::Replace { old: old.clone(), new: mailbox("back", "/new", "secret") }])?,
    )?;
    ensure(matches!(&error.cause, EditCause::RowRefused(why) if why.contains("password")), error.to_string())?;
    equal("applied", error.applied, Applied::Nothing)?;
    equal("row", all(&*full, Table::Mailbox)?, vec![old.clone()])?;
    // A new name is a new entry: it goes before the old one would.
    let renamed = mailbox("moved", "/old", "secret");
    let error = must_fail("a new name", apply(&[Change::Replace { old: old.clone(), new: renamed }])?)?;
    equal("applied", error.applied, Applied::Nothing)?;
    equal("row", all(&*full, Table::Mailbox)?, vec![old.clone()])?;
    let new = mailbox("moved", "/new", "");
    let moved = row(Table::Rcpthosts, &["new.test"]);
    apply(&[Change::Replace { old, new: new.clone() }, Change::Replace { old: host, new: moved.clone() }])??;
    equal("rows", (all(&*full, Table::Mailbox)?, all(&*full, Table::Rcpthosts)?), (vec![new], vec![moved]))
}

fn long_names() -> Outcome {
    let store = empty("edit-long")?;
    let (host, user, owner) = ("h".repeat(255), "u".repeat(128), "o".repeat(128));
    let mut rows = vec![
        row(Table::Rcpthosts, &[&host]),
        mailbox(&",".repeat(128), "/h", "p"),
        row(Table::Virtual, &[&host, &user, &owner, ""]),
        row(Table::Virtual, &[&host, &user, &owner, ""]),
        row(Table::Virtual, &[&host, &user, "other", ""]),
    ];
    rows.extend((0..4).map(|n| row(Table::Alias, &[&owner, &user, "x", &format!("h{}", n % 3), "4294967295"])));
    // Around the limit, none of which may fail.
    rows.extend((215..240).map(|n| row(Table::Rcpthosts, &[&"r".repeat(n)])));
    insert(&*store, &rows)??;
    for table in Table::ALL {
        let want: Vec<_> = rows.iter().filter(|row| row.table() == table).cloned().collect();
        equal(table.name(), all(&*store, table)?, sorted(want))?;
    }
    let again = must_fail("the same host", insert(&*store, &[row(Table::Rcpthosts, &[&host.to_uppercase()])])?)?;
    ensure(matches!(again.cause, EditCause::RowRefused(_)), again.to_string())?;
    let deletes: Vec<_> = rows.iter().cloned().map(Change::Delete).collect();
    block_on(editor(&*store)?.apply(&deletes, soon()))?;
    insert(&*store, &rows)??;
    equal("again", all(&*store, Table::Virtual)?.len(), 3)
}
