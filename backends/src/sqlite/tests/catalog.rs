//! Scans.

use super::*;
use qmail_lookup_core::{Backend, ErrorKind, LookupError, Mark, Scan, Table, TableRow};

async fn scan(site: &Site, table: Table, after: Option<&Mark>) -> Result<Box<dyn Scan>, LookupError> {
    site.store.catalog().unwrap().scan(table, after, soon()).await
}

async fn rest(scan: &mut dyn Scan, batch: usize) -> Vec<TableRow> {
    let mut all = Vec::new();
    loop {
        let rows = scan.next(batch, soon()).await.unwrap();
        assert!(rows.len() <= batch);
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
    }
}

/// Rows that are hard to put in order, some of them twice.
fn odd() -> Site {
    let site = Site::with(LEGACY);
    site.run("INSERT INTO alias VALUES
        ('b', 'x', 'a', 'h'), ('B', 'x', 'a', 'h'), ('B', 'x', 'a', 'h'), ('a', NULL, 'a', 'h'), ('a', '', 'a', 'h'), (NULL, NULL, NULL, NULL), ('', '', '', ''),
        ('Ä', 'x', 'a', 'h'), ('ä', 'x', 'a', 'h'), ('Z', 'x', 'a', 'h'), ('[', 'x', 'a', 'h'), ('z', 'x', 'a', 'h'), (CAST(x'61ff' AS TEXT), 'x', 'a', 'h'),
        (x'61', 'x', 'a', 'h'), ('a' || char(0) || 'B', 'x', 'a', 'h'), ('a', 'X', 'A', 'h'), ('a', 'x', 'b', NULL), (7, 'x', 'a', 'h'),
        ('b', 'x', 'a', 'h'), ('b', 'x', 'a', 'h'), (NULL, NULL, NULL, NULL), ('ab', 'x', 'a', 'h')");
    site
}

#[tokio::test]
async fn rows_come_in_order_with_duplicates_whatever_the_batch() {
    let site = odd();
    let all = rest(&mut *scan(&site, Table::Alias, None).await.unwrap(), 100).await;
    assert_eq!(all.len(), 22);
    let mut sorted = all.clone();
    sorted.sort_by_key(TableRow::order);
    assert_eq!(all, sorted);
    for batch in [1, 2, 3, 7, 22] {
        assert_eq!(rest(&mut *scan(&site, Table::Alias, None).await.unwrap(), batch).await, all, "{batch}");
    }
}

#[tokio::test]
async fn a_scan_goes_on_after_any_row() {
    let site = odd();
    let all = rest(&mut *scan(&site, Table::Alias, None).await.unwrap(), 100).await;
    for place in 0..all.len() {
        let row = all[place].clone();
        let seen = all[..=place].iter().filter(|other| **other == row).count() as u64;
        let mark = Mark { row, seen };
        let later = rest(&mut *scan(&site, Table::Alias, Some(&mark)).await.unwrap(), 5).await;
        assert_eq!(later, all[place + 1..], "{mark:?}");
    }
}

#[tokio::test]
async fn an_end_stays_an_end_and_an_empty_table_has_one() {
    let site = Site::ours("INSERT INTO rcpthosts VALUES ('a'), ('b'), ('c')");
    let mut hosts = scan(&site, Table::Rcpthosts, None).await.unwrap();
    assert_eq!(hosts.next(2, soon()).await.unwrap().len(), 2);
    assert_eq!(hosts.next(2, soon()).await.unwrap().len(), 1);
    for _ in 0..3 {
        assert!(hosts.next(2, soon()).await.unwrap().is_empty());
    }
    assert!(rest(&mut *scan(&site, Table::Mailbox, None).await.unwrap(), 2).await.is_empty());
}

#[tokio::test]
async fn every_table_comes_with_every_column() {
    let site = Site::ours(
        "INSERT INTO mailbox VALUES ('u', 1000, 100, '/h', 'p', 'Password', 'N'); INSERT INTO `virtual` VALUES ('u', 'e', 'v', 'h.com');",
    );
    let text = |cells: &[&str]| cells.iter().map(|text| cell(text)).collect::<Vec<_>>();
    let rows = rest(&mut *scan(&site, Table::Mailbox, None).await.unwrap(), 9).await;
    assert_eq!(rows, [TableRow::from_cells(Table::Mailbox, text(&["u", "1000", "100", "/h", "p", "Password", "N"]))]);
    let rows = rest(&mut *scan(&site, Table::Virtual, None).await.unwrap(), 9).await;
    assert_eq!(rows, [TableRow::from_cells(Table::Virtual, text(&["h.com", "v", "u", "e"]))]);
}

#[tokio::test]
async fn a_scan_that_was_cut_stays_an_error() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'h' || i AS host FROM n";
    let site = Site::with(&format!("CREATE VIEW rcpthosts AS {endless};"));
    let mut hosts = scan(&site, Table::Rcpthosts, None).await.unwrap();
    let error = hosts.next(1, Deadline::after(Duration::from_millis(200))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    for _ in 0..3 {
        assert_eq!(hosts.next(1, soon()).await.unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test]
async fn a_scan_sees_one_state_and_missing_tables_are_errors() {
    let site = Site::ours("PRAGMA journal_mode = WAL; INSERT INTO rcpthosts VALUES ('a'), ('b'), ('c')");
    let mut hosts = scan(&site, Table::Rcpthosts, None).await.unwrap();
    assert_eq!(hosts.next(1, soon()).await.unwrap().len(), 1);
    site.run("DELETE FROM rcpthosts");
    assert_eq!(rest(&mut *hosts, 1).await.len(), 2);
    site.run("DROP TABLE rcpthosts");
    let error = scan(&site, Table::Rcpthosts, None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Schema);
}
