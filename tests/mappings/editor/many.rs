//! Many rows in one list.

use super::{all, editor, empty, mailbox, row, sorted};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Applied, Backend, Change, EditCause, Table, TableRow};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal, must_fail};
use qmail_lookup_tests::load::ldap::base;
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::subjects::ldap::native_server;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("mapping::ldap::editor::many::{name}"), run);
    vec![
        trial("rows_of_every_table_arrive_as_they_are", every_table),
        trial("a_set_without_numbers_keeps_its_order", sets),
        trial("a_number_in_use_does_not_put_a_set_out_of_order", taken),
        trial("a_row_that_is_refused_leaves_those_before_it", refused),
        trial("a_key_twice_in_a_list_is_found_before_anything_is_written", twice),
    ]
}

fn apply(store: &dyn Backend, rows: &[TableRow]) -> Outcome {
    let changes: Vec<_> = rows.iter().cloned().map(Change::Insert).collect();
    Ok(block_on(editor(store)?.apply(&changes, soon()))?)
}

fn every_table() -> Outcome {
    for (name, reads_back) in [("edit-many", false), ("edit-many-read", true)] {
        let store = empty(name)?;
        let mut rows: Vec<_> = (0..150).map(|n| mailbox(&format!("user{n}"), "/h", "p")).collect();
        rows.extend((0..100).map(|n| row(Table::Alias, &[&format!("user{}", n / 3), "x", "a", "b", "4294967295"])));
        rows.extend((100..200).map(|n| row(Table::Alias, &["user", "x", "a", "b", &n.to_string()])));
        rows.extend((0..150).map(|n| row(Table::Virtual, &["many.test", &format!("u{}%", n / 2), "user1", ""])));
        rows.extend((0..100).map(|n| row(Table::Rcpthosts, &[&format!("h{n}.test")])));
        for some in rows.chunks(230) {
            let changes: Vec<_> = some.iter().cloned().map(Change::Insert).collect();
            let editor = editor(&*store)?;
            block_on(async {
                if reads_back {
                    editor.apply_and_read_back(&changes, soon()).await
                } else {
                    editor.apply(&changes, soon()).await
                }
            })?;
        }
        for table in Table::ALL {
            let want = sorted(rows.iter().filter(|row| row.table() == table).cloned().collect());
            equal(&format!("{name} {table}"), all(&*store, table)?, want)?;
        }
    }
    Ok(())
}

/// The hosts of each set of the table, in the order of their numbers.
fn in_order(store: &dyn Backend, owner: &str) -> Result<Vec<String>, Failed> {
    let rows = all(store, Table::Alias)?;
    let text = |cell: Option<&[u8]>| String::from_utf8_lossy(cell.unwrap_or_default()).into_owned();
    let mut hosts: Vec<_> = rows
        .iter()
        .filter(|row| row.cells()[0] == Some(owner.as_bytes()))
        .map(|row| (text(row.cells()[4]).parse::<u64>().ok(), text(row.cells()[3])))
        .collect();
    hosts.sort_unstable();
    ensure(hosts.iter().all(|(number, _)| number.is_some()), "a row without a number")?;
    Ok(hosts.into_iter().map(|(_, host)| host).collect())
}

fn unnumbered(owner: &str, n: usize) -> TableRow {
    row(Table::Alias, &[owner, "x", "a", &format!("h{n:03}")])
}

fn want(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("h{n:03}")).collect()
}

fn sets() -> Outcome {
    let store = empty("edit-sets")?;
    // Three sets, in turn, over several calls; each call but the first finds the numbers of the ones before in use.
    for from in [0, 40, 80] {
        let rows: Vec<_> = (from..from + 40).flat_map(|n| ["a", "b", "c"].map(|owner| unnumbered(owner, n))).collect();
        apply(&*store, &rows)?;
    }
    for owner in ["a", "b", "c"] {
        equal(owner, in_order(&*store, owner)?, want(0, 120))?;
    }
    Ok(())
}

fn taken() -> Outcome {
    let store = empty("edit-taken")?;
    // Of another set: somebody has these numbers.
    let others: Vec<_> = [3, 4, 9, 20].map(|n| row(Table::Alias, &["other", "x", "a", "b", &n.to_string()])).into();
    apply(&*store, &others)?;
    let rows: Vec<_> = (0..70).map(|n| unnumbered("a", n)).collect();
    apply(&*store, &rows)?;
    equal("order", in_order(&*store, "a")?, want(0, 70))?;
    equal("others", in_order(&*store, "other")?.len(), 4)
}

/// An entry that is no row has the name of one that is to come: nobody can foresee that.
fn refused() -> Outcome {
    let store = empty("edit-refused")?;
    native_server()?.add(&format!(
        "dn: qlookRcptHost=h20.test,ou=rcpthosts,{}\nobjectClass: device\nobjectClass: extensibleObject\ncn: x\nqlookRcptHost: h20.test\n\n",
        base("edit-refused")
    ))?;
    let rows: Vec<_> = (0..60).map(|n| row(Table::Rcpthosts, &[&format!("h{n:02}.test")])).collect();
    let changes: Vec<_> = rows.iter().cloned().map(Change::Insert).collect();
    let error = must_fail("a name that is taken", block_on(editor(&*store)?.apply(&changes, soon())))?;
    equal("applied", (error.applied, error.change), (Applied::Partial { applied: 20 }, Some(20)))?;
    ensure(matches!(error.cause, EditCause::RowRefused(_)), error.to_string())?;
    equal("rows", all(&*store, Table::Rcpthosts)?, rows[..20].to_vec())
}

fn twice() -> Outcome {
    let store = empty("edit-twice")?;
    for (second, place) in [("USER7", 150), ("user7 ", 150), ("user 8", 151)] {
        let mut rows: Vec<_> = (0..150).map(|n| mailbox(&format!("user{n}"), "/h", "p")).collect();
        if place == 151 {
            rows.push(mailbox("user  8", "/h", "p"));
        }
        rows.push(mailbox(second, "/h", "p"));
        let changes: Vec<_> = rows.into_iter().map(Change::Insert).collect();
        let error = must_fail("a key twice", block_on(editor(&*store)?.apply(&changes, soon())))?;
        equal(second, (error.applied, error.change), (Applied::Nothing, Some(place)))?;
        equal("rows", all(&*store, Table::Mailbox)?.len(), 0)?;
    }
    Ok(())
}
