//! Files that vanish, are replaced, locked or no databases.

use super::*;
use qmail_lookup_core::{Backend, ErrorKind, MailboxResolver};
use std::time::Instant;

const ONE: &str = "INSERT INTO mailbox VALUES ('u', 1000, 100, '/one', '', 'Password', 'N');";
const TWO: &str = "INSERT INTO mailbox VALUES ('u', 1000, 100, '/two', '', 'Password', 'N');";

async fn home(site: &Site) -> Vec<u8> {
    let found = site.store.mailboxes(&[user("u")], soon()).await.unwrap();
    assert_eq!(found.len(), 1);
    found[0].home.clone().unwrap()
}

#[tokio::test]
async fn a_file_that_is_not_there_is_unreachable_and_is_not_made() {
    let site = Site::absent();
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let help = error.help().unwrap();
    assert!(help.contains("init") && help.contains(site.path.to_str().unwrap()), "{help}");
    assert!(site.store.ping(soon()).await.is_err());
    assert!(site.store.catalog().unwrap().scan(qmail_lookup_core::Table::Mailbox, None, soon()).await.is_err());
    assert_eq!(std::fs::read_dir(site.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_replaced_by_rename_is_asked_at_once() {
    let site = Site::ours(ONE);
    assert_eq!(home(&site).await, b"/one");
    let other = Site::ours(TWO);
    std::fs::rename(&other.path, &site.path).unwrap();
    for _ in 0..4 {
        assert_eq!(home(&site).await, b"/two");
    }
}

#[tokio::test]
async fn a_file_that_vanishes_is_unreachable_until_it_is_back() {
    let site = Site::ours(ONE);
    assert_eq!(home(&site).await, b"/one");
    let aside = site.dir.path().join("aside");
    std::fs::rename(&site.path, &aside).unwrap();
    for _ in 0..3 {
        let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
    }
    std::fs::rename(&aside, &site.path).unwrap();
    assert_eq!(home(&site).await, b"/one");
}

#[tokio::test]
async fn a_locked_file_is_a_timeout_at_the_deadline() {
    let site = Site::ours(ONE);
    assert_eq!(home(&site).await, b"/one");
    let lock = site.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let wait = Duration::from_millis(300);
    for _ in 0..3 {
        let began = Instant::now();
        let error = site.store.mailboxes(&[user("u")], Deadline::after(wait)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let took = began.elapsed();
        assert!(took >= wait && took < wait + Duration::from_secs(4), "{took:?}");
    }
    // A first question, of a store that has nothing open, is no different.
    let fresh = open(&site.path);
    let error = fresh.mailboxes(&[user("u")], Deadline::after(wait)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(home(&site).await, b"/one");
}

#[tokio::test]
async fn a_lock_that_goes_in_time_only_delays() {
    let site = Site::ours(ONE);
    let lock = site.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        lock.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(home(&site).await, b"/one");
    freed.join().unwrap();
}

#[tokio::test]
async fn a_slow_statement_ends_at_the_deadline_and_the_next_question_is_answered() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'x' || i AS username, 1 AS uid, 1 AS gid, '/h' AS home, '' AS password FROM n";
    let site = Site::with(&format!("CREATE VIEW mailbox AS {endless};"));
    let began = Instant::now();
    let error = site.store.mailboxes(&[user("u")], Deadline::after(Duration::from_millis(200))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(5));
    site.run("DROP VIEW mailbox");
    site.run(&(sql::schema(TableOptions::default()) + ONE));
    // Both threads are free again: neither is still at the endless statement.
    for _ in 0..4 {
        assert_eq!(home(&site).await, b"/one");
    }
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once() {
    let site = Site::ours(ONE);
    let lock = site.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let by = Deadline::after(Duration::from_millis(1500));
    let keys = [user("u")];
    let questions = (0..300).map(|_| site.store.mailboxes(&keys, by));
    let answers = futures_util::future::join_all(questions).await;
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect();
    let refused = kinds.iter().filter(|kind| **kind == ErrorKind::Overloaded).count();
    let late = kinds.iter().filter(|kind| **kind == ErrorKind::Timeout).count();
    assert!(refused >= 40 && refused + late == 300, "{refused} {late}");
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(home(&site).await, b"/one");
}

#[tokio::test]
async fn a_deadline_that_has_passed_asks_nothing() {
    let site = Site::absent();
    let error = site.store.mailboxes(&[user("u")], Deadline::after(Duration::ZERO)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn what_is_no_database_is_an_error_in_plain_words() {
    let site = Site::absent();
    std::fs::write(&site.path, vec![b'x'; 4096]).unwrap();
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.what().contains("not an SQLite database")), (ErrorKind::Schema, true));
    std::fs::remove_file(&site.path).unwrap();
    std::fs::create_dir(&site.path).unwrap();
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert!(error.what().contains("not a regular file"), "{error}");
    std::fs::remove_dir(&site.path).unwrap();
    std::fs::write(&site.path, b"").unwrap();
    let error = site.store.mailboxes(&[user("u")], soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.what()), (ErrorKind::Schema, "there is no table mailbox"));
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_never_a_short_set() {
    let site = Site::ours("");
    let raw = site.raw();
    for n in 0..3000 {
        raw.execute(
            "INSERT INTO alias VALUES ('u', '', ?1, 'a-host-name-to-fill-the-page.example')",
            [format!("target{n}")],
        )
        .unwrap();
    }
    drop(raw);
    assert_eq!(
        qmail_lookup_core::AliasResolver::aliases(&site.store, &[alias("u", "")], soon()).await.unwrap().len(),
        3000
    );
    let mut bytes = std::fs::read(&site.path).unwrap();
    // The second half, headers of pages included: some rows can still be read.
    let half = bytes.len() / 2 / 4096 * 4096;
    bytes[half..].fill(0xA5);
    let other = site.dir.path().join("other");
    std::fs::write(&other, bytes).unwrap();
    std::fs::rename(&other, &site.path).unwrap();
    let error = qmail_lookup_core::AliasResolver::aliases(&site.store, &[alias("u", "")], soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.what().contains("damaged"));
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let site = Site::ours(ONE);
    let lock = site.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for _ in 0..20 {
        let keys = [user("u")];
        let left = tokio::time::timeout(
            Duration::from_millis(5),
            site.store.mailboxes(&keys, Deadline::after(Duration::from_millis(400))),
        )
        .await;
        assert!(left.is_err());
    }
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(home(&site).await, b"/one");
}
