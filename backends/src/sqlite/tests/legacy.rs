//! Tables that somebody else made.

use super::*;
use qmail_lookup_core::{AliasResolver, Backend, ErrorKind, MailboxResolver, Table, VirtualResolver};

async fn homes(site: &Site, keys: &[&str]) -> Vec<String> {
    let keys: Vec<_> = keys.iter().map(|key| user(key)).collect();
    let found = site.store.mailboxes(&keys, soon()).await.unwrap();
    let mut homes: Vec<_> = found.into_iter().map(|row| String::from_utf8(row.home.unwrap()).unwrap()).collect();
    homes.sort();
    homes
}

#[tokio::test]
async fn a_stored_capital_is_found_without_a_collation_and_facts_tell_that_it_is_slow() {
    let site = Site::with(LEGACY);
    site.run("INSERT INTO mailbox (username, home) VALUES ('Boss', '/1'), ('bOSS', '/2'), ('boss ', '/3');
              INSERT INTO alias VALUES ('Boss', 'List', 'a', 'b'); INSERT INTO `virtual` VALUES ('u', '', 'Info', 'Bar.com');
              INSERT INTO rcpthosts VALUES ('Bar.com');");
    assert_eq!(homes(&site, &["boss"]).await, ["/1", "/2"]);
    assert_eq!(site.store.aliases(&[alias("boss", "list")], soon()).await.unwrap().len(), 1);
    let keys = [exact("bar.com", "info")];
    assert_eq!(site.store.virtuals(&keys, soon()).await.unwrap().len(), 1);
    assert_eq!(site.store.rcpthosts(&[host("bar.com")], soon()).await.unwrap().len(), 1);
    let facts = site.store.facts(soon()).await.unwrap();
    assert!(facts.tables.iter().all(|table| table.indexed == Some(false)), "{facts:?}");
    assert_eq!(facts.tables[0].columns[0], ("username".to_owned(), "varchar(32)".to_owned()));
    // An index that folds is all that old tables need.
    site.run("CREATE INDEX m ON mailbox (username COLLATE NOCASE); CREATE INDEX a2 ON alias (username COLLATE NOCASE, alias COLLATE NOCASE);
              CREATE INDEX v2 ON `virtual` (virtual_host COLLATE NOCASE, virtual_username COLLATE NOCASE);
              CREATE INDEX r ON rcpthosts (host COLLATE NOCASE);");
    let facts = site.store.facts(soon()).await.unwrap();
    assert!(facts.tables.iter().all(|table| table.indexed == Some(true)), "{facts:?}");
    assert_eq!(homes(&site, &["boss"]).await, ["/1", "/2"]);
    assert_eq!(site.store.aliases(&[alias("boss", "list"), alias("boss", "")], soon()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_stored_as_a_blob_is_not_a_text_key() {
    let site = Site::with(LEGACY);
    site.run("INSERT INTO mailbox (username, home) VALUES (x'626f7373', '/blob'), ('boss', '/text')");
    assert_eq!(homes(&site, &["boss"]).await, ["/text"]);
}

#[tokio::test]
async fn a_key_stored_as_a_number_is_found_by_its_digits() {
    for declared in ["", "INTEGER", "STRING", "NUMERIC", "ANY"] {
        let site = Site::with(&format!("CREATE TABLE mailbox (username {declared}, uid, gid, home, password)"));
        site.run("INSERT INTO mailbox (username, home) VALUES (7, '/7'), ('Seven', '/s')");
        assert_eq!(homes(&site, &["7"]).await, ["/7"], "{declared}");
        assert_eq!(homes(&site, &["007"]).await, [""; 0], "{declared}");
        assert_eq!(homes(&site, &["seven", "7"]).await, ["/7", "/s"], "{declared}");
    }
}

#[tokio::test]
async fn null_is_blank() {
    let site = Site::with(LEGACY);
    site.run("INSERT INTO alias VALUES ('iain', NULL, 'null', 'h'), ('iain', '', 'blank', 'h'), ('iain', 'x', 'x', 'h'), ('dmp', NULL, 'other', 'h');
              INSERT INTO `virtual` VALUES ('null', '', NULL, 'bar.com'), ('blank', '', '', 'bar.com'), ('x', '', 'x', 'bar.com');");
    let found = site.store.aliases(&[alias("iain", "")], soon()).await.unwrap();
    assert_eq!(found.iter().filter(|row| row.alias.is_none()).count(), 1);
    assert_eq!(found.len(), 2);
    let found = site.store.aliases(&[alias("iain", "x")], soon()).await.unwrap();
    assert_eq!(found.len(), 1);
    for keys in [
        &[exact("bar.com", "")][..],
        &[patterns("bar.com")],
        &[exact("bar.com", ""), patterns("bar.com"), any("bar.com")],
    ] {
        let found = site.store.virtuals(keys, soon()).await.unwrap();
        let mut owners: Vec<_> = found.into_iter().map(|row| row.username.unwrap()).collect();
        owners.sort();
        assert_eq!(owners, [b"blank".to_vec(), b"null".to_vec()], "{keys:?}");
    }
    let found = site.store.mailboxes(&[user("x")], soon()).await.unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn cells_come_as_stored_whatever_their_type() {
    let site = Site::with(LEGACY);
    site.run("INSERT INTO mailbox VALUES ('u', -5, 99999999999999999999, CAST(x'2fe4ff00' AS TEXT), NULL, NULL, NULL), ('b', '12x', NULL, x'00ff', '', '', '')");
    let found = site.store.mailboxes(&[user("u")], soon()).await.unwrap();
    assert_eq!(found[0].uid, cell("-5"));
    assert_eq!(found[0].gid, cell("1.0e+20"));
    assert_eq!(found[0].home, Some(b"/\xe4\xff\0".to_vec()));
    assert_eq!(found[0].suspended, None);
    let found = site.store.mailboxes(&[user("b")], soon()).await.unwrap();
    assert_eq!(
        (found[0].uid.clone(), found[0].gid.clone(), found[0].home.clone()),
        (cell("12x"), None, Some(b"\0\xff".to_vec()))
    );
    assert_eq!(found[0].suspended, cell(""));
}

#[tokio::test]
async fn an_optional_column_reads_null_until_it_is_there() {
    let site = Site::with("CREATE TABLE mailbox (username TEXT, uid INT, gid INT, home TEXT, password TEXT);
                           CREATE TABLE alias (username TEXT, alias TEXT, alias_username TEXT, alias_host TEXT);
                           INSERT INTO mailbox VALUES ('u', 1, 2, '/h', 'p'); INSERT INTO alias VALUES ('u', 'x', 'a', 'b');");
    assert_eq!(site.store.mailboxes(&[user("u")], soon()).await.unwrap()[0].suspended, None);
    assert_eq!(site.store.aliases(&[alias("u", "x")], soon()).await.unwrap()[0].seq, None);
    site.run(
        "ALTER TABLE mailbox ADD COLUMN Suspended TEXT DEFAULT 'Y'; ALTER TABLE alias ADD COLUMN seq INT DEFAULT 3;",
    );
    assert_eq!(site.store.mailboxes(&[user("u")], soon()).await.unwrap()[0].suspended, cell("Y"));
    assert_eq!(site.store.aliases(&[alias("u", "x")], soon()).await.unwrap()[0].seq, cell("3"));
    site.run("ALTER TABLE mailbox DROP COLUMN suspended");
    assert_eq!(site.store.mailboxes(&[user("u")], soon()).await.unwrap()[0].suspended, None);
}

#[tokio::test]
async fn a_missing_table_or_column_is_named_and_never_an_empty_answer() {
    let site = Site::with("CREATE TABLE mailbox (username TEXT, uid INT, gid INT)");
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert_eq!(error.what(), "table mailbox has no column home");
    let error = site.store.aliases(&[alias("u", "x")], soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.what()), (ErrorKind::Schema, "there is no table alias"));
    assert!(error.help().unwrap().contains(&format!("qmail-lookup --store sqlite:{} init", site.path.display())));
    let keys = [any("h.com")];
    assert_eq!(site.store.virtuals(&keys, soon()).await.unwrap_err().kind(), ErrorKind::Schema);
    // Routing does not need the password column, a login does.
    site.run("ALTER TABLE mailbox ADD COLUMN home TEXT; INSERT INTO mailbox VALUES ('u', 1, 2, '/h')");
    assert_eq!(homes(&site, &["u"]).await, ["/h"]);
    let error = qmail_lookup_core::CredentialResolver::credentials(&*site.store.readers, &[user("u")], soon())
        .await
        .unwrap_err();
    assert_eq!(error.what(), "table mailbox has no column password");
    assert_eq!(
        site.store.facts(soon()).await.unwrap().tables.iter().map(|t| t.table).collect::<Vec<_>>(),
        [Table::Mailbox]
    );
}

#[test]
fn an_unknown_name_in_back_quotes_is_an_error_where_double_quotes_make_a_string() {
    let raw = Connection::open_in_memory().unwrap();
    raw.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    assert!(raw.prepare("SELECT `nosuch` FROM t").is_err());
    let wrong: String = raw.query_row("SELECT \"nosuch\" FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(wrong, "nosuch");
}

#[tokio::test]
async fn a_view_is_as_good_as_a_table() {
    let site = Site::with("CREATE TABLE people (login TEXT COLLATE NOCASE PRIMARY KEY, number INT, dir TEXT);
                           INSERT INTO people VALUES ('Iain', 1001, '/home/iain');
                           CREATE VIEW mailbox AS SELECT login AS username, number AS uid, 100 AS gid, dir AS home, '' AS password FROM people;");
    let found = site.store.mailboxes(&[user("iain")], soon()).await.unwrap();
    assert_eq!((found.len(), found[0].gid.clone()), (1, cell("100")));
}

#[tokio::test]
async fn text_stored_as_utf16_is_refused() {
    let site = Site::with(&format!(
        "PRAGMA encoding = 'UTF-16'; {LEGACY} INSERT INTO mailbox (username, home) VALUES ('u', '/h');"
    ));
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.help().unwrap().contains("UTF-8"));
}
