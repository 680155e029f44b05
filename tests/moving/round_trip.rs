//! From store to store and back: nothing is lost on the way.

use super::places::{World, trial};
use libtest_mimic::Trial;
use qmail_lookup_core::TableRow;
use qmail_lookup_tests::Shape;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::dataset;
use qmail_lookup_tests::load::ldap::Names;
use qmail_lookup_tests::load::mysql::Tables;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &["mariadb", "ldap"];
    vec![
        trial("round_trip::with_numbers_the_last_export_is_the_first", needs, || round(true)),
        trial("round_trip::without_numbers_the_last_export_is_the_first", needs, || round(false)),
    ]
}

/// What MariaDB, SQLite and LDAP can all hold of the data set. A directory's key is not blank, its rows are not NULL.
fn rows(numbers: bool) -> Vec<TableRow> {
    let of = |shape: Shape, rows: &[TableRow]| Shape { seq: numbers, ..shape }.rows(rows);
    let all = of(Shape::with_seq(), &dataset::rows());
    let mut rows = of(Names::ByKey.shape(), &all);
    rows.retain(|row| {
        let cells = row.cells();
        let blank = |at: usize| cells.get(at).copied().flatten().is_some_and(|cell| cell.trim_ascii().is_empty());
        let large = |at: usize| cells.get(at).copied().flatten() == Some(b"4294967295");
        let nul = cells.iter().flatten().any(|cell| cell.contains(&0));
        !(nul || blank(0) || large(1) || row.table().name() == "virtual" && blank(2))
    });
    rows
}

fn round(numbers: bool) -> Outcome {
    let world = World::new(&["mariadb", "ldap"])?;
    let width = ["--username-width", "128"];
    let tables = Tables::Seq;
    let first = if numbers {
        world.mysql_with("first", tables, &rows(true))?
    } else {
        let url = world.mysql_empty("first")?;
        world.run(&["--store", &url, "init", "--username-width", "128"])?.exits(0)?;
        let file = world.sqlite_with("rows.db", qmail_lookup_tests::load::sqlite::Tables::ByHand, &rows(false))?;
        world.migrate(&file, &url, &["--no-compare"])?.exits(0)?;
        url
    };
    let wanted = world.export(&first)?;
    ensure(wanted.lines().count() > 2000, "the data set is not there")?;
    let places = [world.sqlite("second.db"), world.ldap_empty("third")?, world.mysql_empty("last")?];
    let mut from = first;
    for to in places {
        world.migrate(&from, &to, &width)?.exits(0)?;
        world.run(&["compare", "--from", &from, "--to", &to])?.exits(0)?;
        let got = world.export(&to)?;
        let other = wanted.lines().zip(got.lines()).find(|(want, got)| want != got);
        ensure(other.is_none(), format!("{to}: {other:?}"))?;
        equal("length", got.len(), wanted.len())?;
        from = to;
    }
    Ok(())
}
