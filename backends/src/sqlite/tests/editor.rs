//! Changes and new tables.

use super::*;
use qmail_lookup_core::{Applied, Backend, Change, EditCause, EditError, ErrorKind, Table, TableRow};
use std::os::unix::fs::PermissionsExt;

fn row(table: Table, cells: &[Option<&str>]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| cell.map(|text| text.as_bytes().to_vec())))
}

fn mailbox(name: &str, uid: &str) -> TableRow {
    row(Table::Mailbox, &[Some(name), Some(uid), Some("100"), Some("/h"), Some(""), Some("Password"), Some("N")])
}

fn aliased(target: &str, seq: Option<&str>) -> TableRow {
    row(Table::Alias, &[Some("u"), Some("x"), Some(target), Some("h"), seq])
}

async fn apply(site: &Site, changes: &[Change]) -> Result<(), EditError> {
    site.store.editor().unwrap().apply(changes, soon()).await
}

async fn all(site: &Site, table: Table) -> Vec<TableRow> {
    let mut scan = site.store.catalog().unwrap().scan(table, None, soon()).await.unwrap();
    scan.next(1000, soon()).await.unwrap()
}

#[tokio::test]
async fn rows_are_added_replaced_and_removed() {
    let site = Site::ours("");
    apply(&site, &[Change::Insert(mailbox("Boss", "1001")), Change::Insert(mailbox("x", "1002"))]).await.unwrap();
    assert_eq!(all(&site, Table::Mailbox).await, [mailbox("Boss", "1001"), mailbox("x", "1002")]);
    let kinds: String = site
        .raw()
        .query_row("SELECT typeof(uid) || typeof(username) || typeof(home) FROM mailbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kinds, "integertexttext");
    apply(
        &site,
        &[
            Change::Replace { old: mailbox("Boss", "1001"), new: mailbox("boss", "1009") },
            Change::Delete(mailbox("x", "1002")),
        ],
    )
    .await
    .unwrap();
    assert_eq!(all(&site, Table::Mailbox).await, [mailbox("boss", "1009")]);
    apply(&site, &[]).await.unwrap();
}

#[tokio::test]
async fn of_equal_rows_one_is_changed() {
    let site = Site::ours("");
    let twin = aliased("a", None);
    apply(&site, &[Change::Insert(twin.clone()), Change::Insert(twin.clone()), Change::Insert(twin.clone())])
        .await
        .unwrap();
    apply(&site, &[Change::Replace { old: twin.clone(), new: aliased("b", None) }, Change::Delete(twin.clone())])
        .await
        .unwrap();
    assert_eq!(all(&site, Table::Alias).await, [twin, aliased("b", None)]);
}

#[tokio::test]
async fn a_row_that_is_not_as_it_was_is_gone_and_nothing_is_changed() {
    let site = Site::ours("");
    apply(&site, &[Change::Insert(mailbox("boss", "1001"))]).await.unwrap();
    let stale = [
        Change::Delete(mailbox("Boss", "1001")),
        Change::Delete(mailbox("boss", "1002")),
        Change::Replace { old: mailbox("nobody", "1001"), new: mailbox("boss", "1003") },
    ];
    for change in stale {
        let error = apply(&site, &[Change::Insert(mailbox("new", "1005")), change]).await.unwrap_err();
        assert!(matches!(error.cause, EditCause::RowIsGone), "{error}");
        assert_eq!((error.applied, error.change), (Applied::Nothing, Some(1)));
        assert_eq!(all(&site, Table::Mailbox).await, [mailbox("boss", "1001")]);
    }
}

#[tokio::test]
async fn a_row_that_the_table_refuses_undoes_the_whole_call() {
    let site = Site::ours("");
    apply(&site, &[Change::Insert(mailbox("boss", "1001"))]).await.unwrap();
    let long = "a".repeat(33);
    let refused = [
        mailbox("BOSS", "1002"),
        mailbox("x", "-1"),
        mailbox("x", "many"),
        mailbox(&long, "1002"),
        row(Table::Mailbox, &[Some("x"), Some("1"), Some("1"), None, Some(""), Some("Password"), Some("N")]),
        row(Table::Mailbox, &[Some("x"), Some("1"), Some("1"), Some("/h"), Some(""), Some("Rot13"), Some("N")]),
        aliased("a", Some("1")),
    ];
    for bad in refused {
        let error =
            apply(&site, &[Change::Insert(mailbox("new", "1005")), Change::Insert(bad.clone())]).await.unwrap_err();
        assert!(matches!(error.cause, EditCause::RowRefused(_)), "{bad:?} {error}");
        assert_eq!((error.applied, error.change), (Applied::Nothing, Some(1)));
        assert_eq!(all(&site, Table::Mailbox).await.len(), 1);
    }
    let across = Change::Replace { old: mailbox("boss", "1001"), new: aliased("a", None) };
    assert!(matches!(apply(&site, &[across]).await.unwrap_err().cause, EditCause::RowRefused(_)));
}

#[tokio::test]
async fn seq_is_numbered_by_the_table_unless_given() {
    let site = Site::with(&sql::schema(TableOptions { username_width: 128, with_seq: true }));
    apply(
        &site,
        &[
            Change::Insert(aliased("a", None)),
            Change::Insert(aliased("b", Some("9"))),
            Change::Insert(aliased("c", None)),
        ],
    )
    .await
    .unwrap();
    let wanted = [aliased("a", Some("1")), aliased("b", Some("9")), aliased("c", Some("10"))];
    assert_eq!(all(&site, Table::Alias).await, wanted);
    apply(
        &site,
        &[
            Change::Replace { old: aliased("b", Some("9")), new: aliased("z", None) },
            Change::Delete(aliased("a", Some("1"))),
        ],
    )
    .await
    .unwrap();
    assert_eq!(all(&site, Table::Alias).await, [aliased("c", Some("10")), aliased("z", Some("9"))]);
}

#[tokio::test]
async fn rows_of_old_tables_can_be_changed_whatever_their_types() {
    let site = Site::with(LEGACY);
    site.run(
        "INSERT INTO alias VALUES (NULL, NULL, 'null', 'h'), (x'62', 'x', 'blob', 'h'), ('c', 7, 'number', x'ff');",
    );
    let rows = all(&site, Table::Alias).await;
    assert_eq!(rows.len(), 3);
    let changes: Vec<_> = rows.into_iter().map(Change::Delete).collect();
    apply(&site, &changes).await.unwrap();
    assert!(all(&site, Table::Alias).await.is_empty());
    let bytes = TableRow::from_cells(Table::Alias, [cell("u"), None, Some(b"\xff\0".to_vec()), cell("h"), None]);
    apply(&site, &[Change::Insert(bytes.clone())]).await.unwrap();
    assert_eq!(all(&site, Table::Alias).await, [bytes]);
}

#[tokio::test]
async fn a_locked_file_changes_nothing_and_says_so_at_the_deadline() {
    let site = Site::ours("");
    let lock = site.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let by = Deadline::after(Duration::from_millis(300));
    let error = site.store.editor().unwrap().apply(&[Change::Insert(mailbox("x", "1000"))], by).await.unwrap_err();
    assert_eq!(error.applied, Applied::Nothing);
    assert!(matches!(&error.cause, EditCause::Store(cause) if cause.kind() == ErrorKind::Timeout), "{error}");
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(all(&site, Table::Mailbox).await.is_empty());
    // A reader lets a transaction begin, and stops its end.
    lock.execute_batch("BEGIN; SELECT * FROM mailbox").unwrap();
    lock.query_row("SELECT count(*) FROM mailbox", [], |row| row.get::<_, i64>(0)).unwrap();
    let by = Deadline::after(Duration::from_millis(300));
    let error = site.store.editor().unwrap().apply(&[Change::Insert(mailbox("x", "1000"))], by).await.unwrap_err();
    assert_eq!(error.applied, Applied::Nothing, "{error}");
    lock.execute_batch("COMMIT").unwrap();
    assert!(all(&site, Table::Mailbox).await.is_empty());
}

#[tokio::test]
async fn edits_make_no_file_and_new_tables_do() {
    let site = Site::absent();
    let error = apply(&site, &[Change::Insert(mailbox("x", "1000"))]).await.unwrap_err();
    assert_eq!(error.applied, Applied::Nothing);
    assert!(!site.path.exists());
    let editor = site.store.editor().unwrap();
    let made = editor.create_tables(&Table::ALL, TableOptions::default(), soon()).await.unwrap();
    assert_eq!(made, Table::ALL.map(|table| (table, true)));
    assert_eq!(std::fs::metadata(&site.path).unwrap().permissions().mode() & 0o137, 0);
    for table in Table::ALL {
        assert!(all(&site, table).await.is_empty());
    }
    apply(&site, &[Change::Insert(mailbox("x", "1000"))]).await.unwrap();
    let made =
        editor.create_tables(&Table::ALL, TableOptions { username_width: 64, with_seq: true }, soon()).await.unwrap();
    assert_eq!(made, Table::ALL.map(|table| (table, false)));
    assert_eq!(all(&site, Table::Mailbox).await.len(), 1);
    site.run("DROP TABLE alias");
    let made =
        editor.create_tables(&Table::ALL, TableOptions { username_width: 64, with_seq: true }, soon()).await.unwrap();
    assert_eq!(made.iter().filter(|(_, made)| *made).map(|(table, _)| *table).collect::<Vec<_>>(), [Table::Alias]);
    let facts = site.store.facts(soon()).await.unwrap();
    assert!(facts.tables.iter().all(|table| table.indexed == Some(true)), "{facts:?}");
}

#[tokio::test]
async fn the_documented_columns_and_no_others() {
    let site = Site::ours("");
    for facts in site.store.facts(soon()).await.unwrap().tables {
        let mut found: Vec<_> = facts.columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut documented: Vec<_> = facts.table.columns().iter().copied().filter(|name| *name != "seq").collect();
        found.sort_unstable();
        documented.sort_unstable();
        assert_eq!(found, documented);
    }
    // A statement of the documented client, without the columns that have a default.
    site.run("INSERT INTO mailbox (username, uid, gid, home) VALUES ('foo', '1001', '1002', '/home/foo');
              INSERT INTO virtual (username, virtual_username, virtual_host) VALUES ('foo', 'info', 'bar.com'), ('foo', 'info', 'bar.com');");
}
