//! Real SQLite files.
#![cfg(feature = "sqlite")]

use super::{Rehash, RehashError, Rehashed, rehash};
use crate::registry::{OpenContext, Registry};
use qmail_lookup_core::password::rehash::Target;
use qmail_lookup_core::{AuthAnswer, Backend, Deadline, Refusal, Secret, Table, TableOptions, Username};
use rusqlite::Connection;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Site {
    dir: TempDir,
    store: Arc<dyn Backend>,
}

const ROWS: &str = "
    INSERT INTO mailbox VALUES ('Iain', 1000, 1000, '/home/iain', 'sesame', 'Password', 'N');
    INSERT INTO mailbox VALUES ('des', 1000, 1000, '/home/des', 'abgOeLfPimXQo', 'Crypt-Password', 'N');
    INSERT INTO mailbox VALUES ('mysql', 1000, 1000, '/home/mysql',
        '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29', 'MySQL-Password', 'N');
    INSERT INTO mailbox VALUES ('strong', 1000, 1000, '/home/strong',
        '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'Crypt-Password', 'N');";

fn open(kind: &str, settings: &serde_json::Value) -> Arc<dyn Backend> {
    let registry = Registry::builtin();
    let settings = settings.as_object().cloned().unwrap();
    (registry.find(kind).unwrap().open)(settings, &OpenContext::default()).unwrap()
}

impl Site {
    async fn ours() -> Self {
        let site = Self::empty();
        site.store.editor().unwrap().create_tables(&Table::ALL, TableOptions::default(), soon()).await.unwrap();
        site.sql(ROWS);
        site
    }

    fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        let store = open("sqlite", &json!({ "path": dir.path().join("mail.db").to_str().unwrap() }));
        Self { dir, store }
    }

    fn raw(&self) -> Connection {
        Connection::open(self.dir.path().join("mail.db")).unwrap()
    }

    fn sql(&self, text: &str) {
        self.raw().execute_batch(text).unwrap();
    }

    /// Every row of the table as text.
    fn rows(&self) -> Vec<String> {
        let raw = self.raw();
        let mut statement = raw.prepare("SELECT * FROM mailbox ORDER BY username").unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((0..columns).map(|n| format!("{:?} ", row.get_ref(n).unwrap())).collect::<String>())
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    fn stored(&self, who: &str) -> (String, Option<String>) {
        let text = "SELECT password, password_type FROM mailbox WHERE username = ?1";
        self.raw().query_row(text, [who], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    async fn rehash(&self, who: &str, offered: &str) -> Result<Rehashed, RehashError> {
        rehash(&*self.store, &user(who), &secret(offered), Target::Sha512, soon()).await
    }

    async fn logs_in(&self, who: &str, offered: &str) -> bool {
        let answer = self.store.authenticator().unwrap().authenticate(&user(who), &secret(offered), soon()).await;
        match answer.unwrap() {
            AuthAnswer::Granted(_) => true,
            AuthAnswer::Refused(why) => {
                assert_eq!(why, Refusal::WrongPassword);
                false
            }
        }
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn user(name: &str) -> Username {
    Username::new(name.as_bytes()).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn weak_hashes_become_strong_ones_and_the_user_still_logs_in() {
    let site = Site::ours().await;
    for (who, stored_as, password) in [("iain", "Iain", "sesame"), ("mysql", "mysql", "test")] {
        for target in [Target::Yescrypt, Target::Sha512] {
            let before = site.stored(stored_as);
            let outcome = rehash(&*site.store, &user(who), &secret(password), target, soon()).await.unwrap();
            // The second one finds a strong hash.
            let first = target == Target::Yescrypt;
            assert_eq!(outcome, if first { Rehashed::Done } else { Rehashed::NotNeeded }, "{who}");
            let (stored, kind) = site.stored(stored_as);
            assert!(stored.starts_with("$y$"), "{stored}");
            assert_eq!((kind.as_deref(), stored != before.0), (Some("Crypt-Password"), first));
        }
        assert!(site.logs_in(who, password).await && !site.logs_in(who, "wrong").await);
    }
    assert!(site.rows().iter().any(|row| row.contains("Text([73, 97, 105, 110]) Integer(1000)")), "{:?}", site.rows());
}

#[tokio::test]
async fn what_is_strong_or_not_of_this_password_stays_as_it_is() {
    let site = Site::ours().await;
    let before = site.rows();
    for (who, offered) in [("strong", "U*U"), ("strong", "wrong"), ("iain", "wrong"), ("des", "not it"), ("iain", "")] {
        assert_eq!(site.rehash(who, offered).await.unwrap(), Rehashed::NotNeeded, "{who}");
    }
    assert_eq!(site.rehash("nobody", "sesame").await.unwrap(), Rehashed::Changed);
    assert_eq!(site.rows(), before);
    assert!(site.logs_in("strong", "U*U").await);
}

#[tokio::test]
async fn a_row_that_somebody_changed_meanwhile_is_theirs() {
    let changes = [
        "UPDATE mailbox SET password = 'other' WHERE username = 'Iain'",
        "UPDATE mailbox SET suspended = 'Y' WHERE username = 'Iain'",
        "UPDATE mailbox SET home = '/home/elsewhere' WHERE username = 'Iain'",
        "DELETE FROM mailbox WHERE username = 'Iain'",
    ];
    for change in changes {
        let site = Site::ours().await;
        let ready = Rehash::prepare(&*site.store, &user("iain"), &secret("sesame"), Target::Sha512, soon()).await;
        let ready = ready.unwrap().unwrap_or_else(|outcome| panic!("{outcome:?}"));
        site.sql(change);
        let theirs = site.rows();
        assert_eq!(ready.carry_out(&*site.store, soon()).await.unwrap(), Rehashed::Changed, "{change}");
        assert_eq!(site.rows(), theirs, "{change}");
    }
}

#[tokio::test]
async fn a_hash_that_the_store_spoils_is_undone() {
    let kept =
        ["substr(new.password, 1, 41)", "substr(new.password, 1, 10)", "upper(new.password)", "new.password || ' '"];
    for kept in kept {
        let site = Site::ours().await;
        site.sql(&format!(
            "CREATE TRIGGER spoil AFTER UPDATE OF password ON mailbox WHEN new.password LIKE '$6$%'
             BEGIN UPDATE mailbox SET password = {kept} WHERE username = new.username; END;"
        ));
        let before = site.rows();
        let error = site.rehash("iain", "sesame").await.unwrap_err();
        assert!(matches!(error, RehashError::Spoiled), "{kept}: {error}");
        assert_eq!(site.rows(), before, "{kept}");
        assert!(site.logs_in("iain", "sesame").await);
    }
}

#[tokio::test]
async fn a_hash_that_is_spoiled_for_good_is_reported() {
    let site = Site::ours().await;
    site.sql(
        "CREATE TRIGGER spoil AFTER UPDATE OF password ON mailbox WHEN new.password LIKE '$6$%'
         BEGIN UPDATE mailbox SET password = substr(new.password, 1, 41) WHERE username = new.username; END;
         CREATE TRIGGER keep BEFORE UPDATE OF password ON mailbox WHEN old.password LIKE '$6$%' AND length(old.password) = 41
         BEGIN SELECT RAISE(ABORT, 'no'); END;",
    );
    let error = site.rehash("iain", "sesame").await.unwrap_err();
    assert!(matches!(error, RehashError::Lost(_)), "{error}");
    assert!(!error.to_string().contains("sesame") && error.to_string().contains("new password"), "{error}");
}

#[tokio::test]
async fn what_others_wrote_after_us_is_not_undone() {
    let site = Site::ours().await;
    site.sql(
        "CREATE TRIGGER other AFTER UPDATE OF password ON mailbox WHEN new.password LIKE '$6$%'
         BEGIN UPDATE mailbox SET password = 'theirs', password_type = 'Password' WHERE username = new.username; END;",
    );
    assert_eq!(site.rehash("iain", "sesame").await.unwrap(), Rehashed::Changed);
    assert_eq!(site.stored("Iain").0, "theirs");
}

#[tokio::test]
async fn a_store_that_refuses_or_ignores_the_change_keeps_its_row() {
    let refuses = "CREATE TRIGGER no BEFORE UPDATE ON mailbox BEGIN SELECT RAISE(ABORT, 'no'); END;";
    let reverts = "CREATE TRIGGER back AFTER UPDATE OF password ON mailbox WHEN new.password LIKE '$6$%' BEGIN
        UPDATE mailbox SET password = old.password, password_type = old.password_type WHERE username = new.username; END;";
    for (trigger, ignored) in [(refuses, false), (reverts, true)] {
        let site = Site::ours().await;
        site.sql(trigger);
        let before = site.rows();
        let error = site.rehash("iain", "sesame").await.unwrap_err();
        assert_eq!(matches!(error, RehashError::NotTaken), ignored, "{error}");
        assert_eq!(matches!(error, RehashError::Edit(_)), !ignored, "{error}");
        assert_eq!(site.rows(), before);
    }
}

#[tokio::test]
async fn a_table_without_password_type_takes_a_hash_that_names_its_form() {
    let site = Site::empty();
    site.sql(
        "CREATE TABLE mailbox (username text, uid int, gid int, home text, password text);
         INSERT INTO mailbox VALUES ('iain', 1000, 1000, '/home/iain', '$1$abc$iCQ2D3nhptRYi27fDYv2s1');",
    );
    assert!(site.logs_in("iain", "secret").await);
    assert_eq!(site.rehash("iain", "secret").await.unwrap(), Rehashed::Done);
    assert!(site.rows()[0].contains("Text([36, 54, 36"), "{:?}", site.rows());
    assert!(site.logs_in("iain", "secret").await && !site.logs_in("iain", "Secret").await);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_an_error() {
    let site = Site::empty();
    assert!(matches!(site.rehash("iain", "sesame").await, Err(RehashError::Unread(_))));
    let site = Site::ours().await;
    site.sql("INSERT INTO rcpthosts VALUES ('x.example'); ALTER TABLE mailbox DROP COLUMN home;");
    assert!(matches!(site.rehash("iain", "sesame").await, Err(RehashError::Unread(_))));
}

#[tokio::test]
#[cfg(feature = "ldap")]
async fn directories_are_left_to_their_servers() {
    let store = open("ldap", &json!({ "servers": ["ldapi:///nowhere"], "base": "dc=example", "auth": "compare" }));
    let outcome = rehash(&*store, &user("iain"), &secret("sesame"), Target::Sha512, soon()).await;
    assert_eq!(outcome.unwrap(), Rehashed::NotSupported);
}
