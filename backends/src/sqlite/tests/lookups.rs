//! What the resolvers return.

use super::super::facts::uses_index;
use super::super::sql::Query;
use super::*;
use qmail_lookup_core::{AliasResolver, Backend, CredentialResolver, MailboxResolver, MailboxRow, VirtualResolver};
use std::sync::Arc;

fn names(rows: &[MailboxRow]) -> Vec<String> {
    let mut names: Vec<_> = rows.iter().map(|row| String::from_utf8(row.username.clone().unwrap()).unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_mailbox_is_found_whole_and_as_stored() {
    let site = Site::ours(
        "INSERT INTO mailbox VALUES ('Boss', 1001, 100, '/home/Boss ', 'pw', 'Password', 'Y'), ('x', 7, 8, '/x', '', 'Password', 'N');",
    );
    let found = site.store.mailboxes(&[user("nobody"), user("boss")], soon()).await.unwrap();
    let row = MailboxRow {
        username: cell("Boss"),
        uid: cell("1001"),
        gid: cell("100"),
        home: cell("/home/Boss "),
        suspended: cell("Y"),
    };
    assert_eq!(found, std::slice::from_ref(&row));
    assert_eq!(site.store.mailboxes(&[user("nobody")], soon()).await.unwrap(), []);
    assert_eq!(site.store.mailboxes(&[], soon()).await.unwrap(), []);
    let secret = site.store.readers.credentials(&[user("boss")], soon()).await.unwrap();
    assert_eq!(secret.len(), 1);
    assert_eq!(secret[0].mailbox, row);
    assert_eq!(secret[0].password.as_ref().unwrap().expose(), b"pw");
    assert_eq!(secret[0].password_type, cell("Password"));
    assert!(site.store.any_mailbox(soon()).await.unwrap());
    site.store.ping(soon()).await.unwrap();
}

#[tokio::test]
async fn an_empty_table_holds_no_mailbox() {
    let site = Site::ours("");
    assert!(!site.store.any_mailbox(soon()).await.unwrap());
}

#[tokio::test]
async fn hundreds_of_keys_bring_each_row_once() {
    let site = Site::ours("");
    let mut raw = site.raw();
    let all = raw.transaction().unwrap();
    for n in 0..600 {
        all.execute("INSERT INTO mailbox VALUES (?1, 1000, 100, '/h', '', 'Password', 'N')", [format!("User{n}")])
            .unwrap();
        all.execute("INSERT INTO alias VALUES (?1, '@', 'a', 'b'), (?1, '@', 'a', 'b')", [format!("User{n}")]).unwrap();
    }
    all.commit().unwrap();
    // 500 that are there, 100 that are not, and all of them twice.
    let keys: Vec<_> = (100..700).chain(100..700).map(|n| user(&format!("user{n}"))).collect();
    let found = site.store.mailboxes(&keys, soon()).await.unwrap();
    let mut wanted: Vec<_> = (100..600).map(|n| format!("User{n}")).collect();
    wanted.sort();
    assert_eq!(names(&found), wanted);
    let keys: Vec<_> = keys.into_iter().map(|username| AliasKey { username, alias: Ext::new(b"@").unwrap() }).collect();
    assert_eq!(site.store.aliases(&keys, soon()).await.unwrap().len(), 1000);
    for size in [1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 129] {
        let keys: Vec<_> = (0..size).map(|n| user(&format!("user{n}"))).collect();
        assert_eq!(site.store.mailboxes(&keys, soon()).await.unwrap().len(), size, "{size}");
    }
}

#[tokio::test]
async fn alias_keys_are_pairs_and_duplicates_are_kept() {
    let site = Site::ours(
        "INSERT INTO alias VALUES ('Iain', 'List', '.', '/Maildir/'), ('iain', 'list', 'a', 'b'), ('iain', 'list', 'a', 'b'),
                                  ('iain', '', 'own', 'h'), ('iain', '@', 'rest', 'h'), ('dmp', 'list', 'other', 'h'), ('dmp', '', 'x', 'h');",
    );
    let found = site.store.aliases(&[alias("iain", "list"), alias("dmp", "")], soon()).await.unwrap();
    let mut users: Vec<_> =
        found.iter().map(|row| String::from_utf8(row.alias_username.clone().unwrap()).unwrap()).collect();
    users.sort();
    assert_eq!(users, [".", "a", "a", "x"]);
    assert!(found.iter().all(|row| row.seq.is_none()));
}

const VIRTUALS: &str = "INSERT INTO `virtual` (virtual_host, virtual_username, username, ext) VALUES
    ('Bar.com', 'Sales', 'u1', ''), ('bar.com', '', 'u2', '@'), ('bar.com', 'a%', 'u3', ''), ('bar.com', 'john_doe', 'u4', ''),
    ('bar.com', 'plain', 'u5', ''), ('foo.com', '', 'u6', '@'), ('foo.com', 'x', 'u7', ''), ('solo.com', 'x', 'u8', '');";

async fn owners(site: &Site, keys: &[VirtualKey]) -> Vec<String> {
    let found = site.store.virtuals(keys, soon()).await.unwrap();
    let mut owners: Vec<_> = found.into_iter().map(|row| String::from_utf8(row.username.unwrap()).unwrap()).collect();
    owners.sort();
    owners
}

#[tokio::test]
async fn virtual_keys_of_all_kinds_mix_in_one_call() {
    let site = Site::ours(VIRTUALS);
    assert_eq!(owners(&site, &[exact("bar.com", "sales")]).await, ["u1"]);
    assert_eq!(owners(&site, &[exact("bar.com", "")]).await, ["u2"]);
    assert_eq!(owners(&site, &[patterns("bar.com")]).await, ["u2", "u3", "u4"]);
    assert_eq!(owners(&site, &[any("bar.com")]).await.len(), 1);
    assert_eq!(
        owners(&site, &[any("solo.com"), any("none.com"), patterns("none.com"), exact("none.com", "")]).await,
        ["u8"]
    );
    // What several keys find comes once, and what one needs is not lost to another.
    let mixed = [
        exact("bar.com", "sales"),
        exact("bar.com", ""),
        exact("bar.com", "john_doe"),
        exact("bar.com", "nobody"),
        patterns("bar.com"),
        any("bar.com"),
        exact("foo.com", ""),
        any("foo.com"),
        any("solo.com"),
    ];
    assert_eq!(owners(&site, &mixed).await, ["u1", "u2", "u3", "u4", "u6", "u8"]);
    assert_eq!(owners(&site, &[exact("bar.com", "nobody"), any("bar.com")]).await.len(), 1);
}

#[tokio::test]
async fn hosts_are_found_with_their_suffixes() {
    let site = Site::ours("INSERT INTO rcpthosts VALUES ('Bar.com'), ('.wild.com'), ('other.com');");
    let found = site.store.rcpthosts(&[host("bar.com"), host("a.wild.com"), host(".wild.com")], soon()).await.unwrap();
    let mut hosts: Vec<_> = found.into_iter().map(|row| String::from_utf8(row.host.unwrap()).unwrap()).collect();
    hosts.sort();
    assert_eq!(hosts, [".wild.com", "Bar.com"]);
}

#[tokio::test]
async fn keys_are_values_and_never_syntax() {
    let site = Site::ours("INSERT INTO mailbox VALUES ('x', 1000, 100, '/h', '', 'Password', 'N');");
    for odd in ["'or'1'='1", "x';--", "\"x\"", "`x`", "?1", "%", "_", "x'/*"] {
        assert_eq!(site.store.mailboxes(&[user(odd)], soon()).await.unwrap(), [], "{odd}");
        assert_eq!(site.store.aliases(&[alias(odd, odd)], soon()).await.unwrap(), [], "{odd}");
        assert_eq!(
            site.store.virtuals(&[exact(odd, odd), patterns(odd), any(odd)], soon()).await.unwrap(),
            [],
            "{odd}"
        );
    }
}

#[tokio::test]
async fn every_lookup_of_our_tables_uses_an_index_at_every_size() {
    let site = Site::ours("");
    let checked = site.store.readers.ask(soon(), |session| {
        let all = [
            Query::Mailboxes,
            Query::Credentials,
            Query::Aliases,
            Query::NullAliases,
            Query::Virtuals,
            Query::Patterns,
            Query::NullVirtuals,
            Query::HostHasRows,
            Query::Rcpthosts,
        ];
        for query in all {
            let shape = session.shape(query.table())?.clone();
            for size in [1, 2, 4, 8, 16, 32, 64] {
                let text = query.text(&shape, size).unwrap();
                assert!(uses_index(session, &text).unwrap(), "{text}");
                assert!(!text.contains('"'), "{text}");
                assert_eq!(text.contains("password"), query == Query::Credentials, "{text}");
            }
        }
        Ok(())
    });
    checked.await.unwrap();
    let facts = site.store.facts(soon()).await.unwrap();
    assert_eq!(facts.tables.len(), 4);
    assert!(facts.tables.iter().all(|table| table.indexed == Some(true)), "{facts:?}");
    assert!(facts.version.starts_with("SQLite 3.") && facts.local);
    assert_eq!(facts.server, site.path.to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_get_their_own_rows() {
    let site = Arc::new(Site::ours(""));
    let raw = site.raw();
    for n in 0..50 {
        raw.execute("INSERT INTO mailbox VALUES (?1, 1000, 100, '/h', '', 'Password', 'N')", [format!("user{n}")])
            .unwrap();
    }
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..200 {
        let site = Arc::clone(&site);
        callers.spawn(async move {
            let name = format!("user{}", n % 50);
            assert_eq!(names(&site.store.mailboxes(&[user(&name)], soon()).await.unwrap()), [name]);
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}
