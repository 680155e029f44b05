//! New hashes for weak ones, in tables that a real server keeps.

use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::rehash::{Rehash, RehashError, Rehashed, rehash};
use qmail_lookup_core::password::rehash::Target;
use qmail_lookup_core::{AuthAnswer, Backend, Refusal, Secret, Username};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal};
use qmail_lookup_tests::load::mysql::{at, with};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::server::mariadb::{self, MariaDb, query};
use qmail_lookup_tests::subjects::main_server;
use sqlx::Row;
use std::sync::Arc;

pub(crate) fn trials() -> Vec<Trial> {
    if mariadb::missing().is_some() {
        return Vec::new();
    }
    let trial = |sentence, run: fn() -> Outcome| Trial::test(format!("rehash::mariadb::{sentence}"), run);
    vec![
        trial("weak_hashes_in_documented_tables_become_strong_and_log_in", documented),
        trial("a_column_that_is_too_narrow_is_found_out_before_writing", narrow),
        trial("a_column_that_cannot_say_crypt_is_found_out_before_writing", wordless),
        trial("old_tables_that_are_wide_enough_take_it", old_tables),
        trial("a_row_that_somebody_changed_meanwhile_is_theirs", changed_meanwhile),
        trial("a_hash_that_a_trigger_cuts_is_undone", cut_by_trigger),
        trial("an_account_that_may_only_read_changes_nothing", only_reads),
        trial("two_logins_at_once_change_the_row_once", two_at_once),
    ]
}

const ROWS: &str = "INSERT INTO mailbox (username, uid, gid, home, password, password_type) VALUES
    ('Iain', 1000, 1000, '/home/iain', 'sesame', 'Password'),
    ('des', 1000, 1000, '/home/des', 'abgOeLfPimXQo', 'Crypt-Password'),
    ('old', 1000, 1000, '/home/old', '378b243e220ca493', 'MySQL-Password'),
    ('new', 1000, 1000, '/home/new', '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29', 'MySQL-Password'),
    ('strong', 1000, 1000, '/home/strong', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
        'Crypt-Password')";

struct Site {
    server: &'static MariaDb,
    name: &'static str,
    store: Arc<dyn Backend>,
}

impl Site {
    /// The documented tables with `change` made to them, and the rows.
    fn new(name: &'static str, change: &str) -> Result<Self, Failed> {
        let server = main_server()?;
        qmail_lookup_tests::load::mysql::create(
            server,
            name,
            qmail_lookup_tests::load::mysql::Tables::Documented,
            &[],
        )?;
        let site = Self { server, name, store: at(server.socket(), name)? };
        site.sql(change)?;
        site.sql(ROWS)?;
        Ok(site)
    }

    fn sql(&self, text: &str) -> Outcome {
        self.server.sql(&format!("USE {}; {text}", self.name))
    }

    /// Every row, as bytes.
    fn rows(&self) -> Result<Vec<Vec<u8>>, Failed> {
        let text = format!(
            "SELECT CAST(CONCAT_WS('|', username, uid, gid, home, password, password_type, suspended) AS BINARY) \
             FROM {}.mailbox ORDER BY username",
            self.name
        );
        let rows = query(&mut self.server.connect()?, &text)?;
        rows.iter().map(|row| Ok(row.try_get::<Vec<u8>, _>(0)?)).collect()
    }

    fn rehash(&self, who: &str, offered: &str, target: Target) -> Result<Rehashed, RehashError> {
        block_on(rehash(&*self.store, &user(who), &secret(offered), target, soon()))
    }

    fn prepare(&self, who: &str, offered: &str) -> Result<Rehash, Failed> {
        let (who, offered) = (user(who), secret(offered));
        let ready = block_on(Rehash::prepare(&*self.store, &who, &offered, Target::Sha512, soon()))?;
        ready.map_err(|outcome| format!("nothing to do: {outcome:?}").into())
    }

    fn logs_in(&self, who: &str, offered: &str) -> Outcome {
        let login = |offered: &str| {
            let authenticator = self.store.authenticator().ok_or("no authenticator")?;
            Ok::<_, Failed>(block_on(authenticator.authenticate(&user(who), &secret(offered), soon()))?)
        };
        let granted = matches!(login(offered)?, AuthAnswer::Granted(_));
        ensure(granted, format!("{who} cannot log in any more"))?;
        let wrong = format!("{offered}x");
        equal("a wrong password", login(&wrong)?, AuthAnswer::Refused(Refusal::WrongPassword))
    }

    fn untouched_by(&self, outcome: impl FnOnce() -> Outcome) -> Outcome {
        let before = self.rows()?;
        outcome()?;
        equal("the rows", self.rows()?, before)
    }
}

fn user(name: &str) -> Username {
    Username::new(name.as_bytes()).unwrap_or_else(|| panic!("{name} is a name"))
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn documented() -> Outcome {
    let site = Site::new("rehash_documented", "DO 1")?;
    site.untouched_by(|| {
        for (who, offered) in [("strong", "U*U"), ("iain", "wrong"), ("strong", "wrong")] {
            equal(who, site.rehash(who, offered, Target::Yescrypt)?, Rehashed::NotNeeded)?;
        }
        equal("nobody", site.rehash("nobody", "sesame", Target::Sha512)?, Rehashed::Changed)
    })?;
    for (who, offered, target) in
        [("iain", "sesame", Target::Sha512), ("old", "test", Target::Yescrypt), ("new", "test", Target::Sha512)]
    {
        equal(who, site.rehash(who, offered, target)?, Rehashed::Done)?;
        site.logs_in(who, offered)?;
        site.untouched_by(|| equal(who, site.rehash(who, offered, Target::Yescrypt)?, Rehashed::NotNeeded))?;
    }
    let rows = site.rows()?;
    let mark = |row: &[u8], text: &str| row.windows(text.len()).any(|part| part == text.as_bytes());
    let made = rows.iter().filter(|row| mark(row, "|Crypt-Password|N") && (mark(row, "|$6$") || mark(row, "|$y$")));
    equal("new hashes", made.count(), 3)?;
    ensure(rows.iter().any(|row| row.starts_with(b"Iain|1000|1000|/home/iain|$6$")), "the name was changed")
}

fn narrow() -> Outcome {
    for (name, declared) in [("rehash_64", "varchar(64)"), ("rehash_char", "char(62)"), ("rehash_119", "varchar(119)")]
    {
        let site = Site::new(name, &format!("ALTER TABLE mailbox MODIFY password {declared} NOT NULL"))?;
        site.untouched_by(|| match site.rehash("iain", "sesame", Target::Sha512)? {
            Rehashed::DoesNotFit { column: "password", declared: found, needed } => {
                ensure(found.starts_with(declared) && needed.contains("120"), format!("{found}, {needed}"))
            }
            other => Err(format!("{declared}: {other:?}").into()),
        })?;
        site.logs_in("iain", "sesame")?;
    }
    Ok(())
}

fn wordless() -> Outcome {
    let site = Site::new("rehash_words", "DO 1")?;
    site.sql("DELETE FROM mailbox WHERE password_type = 'Crypt-Password'")?;
    site.sql("ALTER TABLE mailbox MODIFY password_type enum('Password','MySQL-Password') NOT NULL")?;
    site.untouched_by(|| {
        let outcome = site.rehash("iain", "sesame", Target::Sha512)?;
        let found = matches!(&outcome, Rehashed::DoesNotFit { column: "password_type", .. });
        ensure(found, format!("{outcome:?}"))
    })?;
    site.logs_in("iain", "sesame")
}

/// MyISAM, latin1, no key, as a site of 2001 had them, and a server that cuts what is too long.
fn old_tables() -> Outcome {
    for (name, declared) in [("rehash_old", "varchar(255)"), ("rehash_text", "text"), ("rehash_exact", "char(120)")] {
        let change = format!(
            "DROP TABLE mailbox; CREATE TABLE mailbox (username varchar(32) NOT NULL, uid int NOT NULL, gid int NOT NULL,
             home varchar(255) NOT NULL, password {declared} NOT NULL,
             password_type enum('Password','Crypt-Password','MySQL-Password') NOT NULL DEFAULT 'Password',
             suspended enum('N','Y') NOT NULL DEFAULT 'N') ENGINE=MyISAM DEFAULT CHARSET=latin1"
        );
        let site = Site::new(name, &change)?;
        for who in ["iain", "new"] {
            let offered = if who == "iain" { "sesame" } else { "test" };
            equal(declared, site.rehash(who, offered, Target::Sha512)?, Rehashed::Done)?;
            site.logs_in(who, offered)?;
        }
    }
    Ok(())
}

fn changed_meanwhile() -> Outcome {
    let site = Site::new("rehash_meanwhile", "DO 1")?;
    let changes = [
        "UPDATE mailbox SET suspended = 'Y' WHERE username = 'iain'",
        "UPDATE mailbox SET home = '/home/other', suspended = 'N' WHERE username = 'iain'",
        "UPDATE mailbox SET password = 'Sesame' WHERE username = 'iain'",
    ];
    for change in changes {
        let ready = site.prepare("iain", "sesame")?;
        site.sql(change)?;
        site.untouched_by(|| equal(change, block_on(ready.carry_out(&*site.store, soon()))?, Rehashed::Changed))?;
    }
    let ready = site.prepare("new", "test")?;
    site.sql("DELETE FROM mailbox WHERE username = 'new'")?;
    site.untouched_by(|| equal("deleted", block_on(ready.carry_out(&*site.store, soon()))?, Rehashed::Changed))
}

fn cut_by_trigger() -> Outcome {
    let trigger = "CREATE TRIGGER cut BEFORE UPDATE ON mailbox FOR EACH ROW
        SET NEW.password = IF(NEW.password LIKE '$6$%', LEFT(NEW.password, 41), NEW.password)";
    let site = Site::new("rehash_trigger", "DO 1")?;
    site.sql(trigger)?;
    site.untouched_by(|| match site.rehash("iain", "sesame", Target::Sha512) {
        Err(RehashError::Spoiled) => Ok(()),
        other => Err(format!("{other:?}").into()),
    })?;
    site.logs_in("iain", "sesame")
}

fn only_reads() -> Outcome {
    let site = Site::new("rehash_reader", "DO 1")?;
    site.sql("CREATE USER ql_rehash@localhost IDENTIFIED BY 'reader'")?;
    site.sql("GRANT SELECT ON rehash_reader.* TO ql_rehash@localhost")?;
    let socket = format!("unix:{}", site.server.socket().display());
    let reader = with(&[&socket], "ql_rehash", "reader", site.name)?;
    site.untouched_by(|| match block_on(rehash(&*reader, &user("iain"), &secret("sesame"), Target::Sha512, soon())) {
        Err(RehashError::Edit(error)) => {
            let said = format!("{error} {error:?}");
            ensure(!said.contains("sesame") && !said.contains("$6$"), format!("the error tells a secret: {said}"))
        }
        other => Err(format!("{other:?}").into()),
    })
}

fn two_at_once() -> Outcome {
    let site = Site::new("rehash_twice", "DO 1")?;
    let (one, two) = (site.prepare("iain", "sesame")?, site.prepare("iain", "sesame")?);
    let both =
        block_on(async { tokio::join!(one.carry_out(&*site.store, soon()), two.carry_out(&*site.store, soon())) });
    let done = [both.0?, both.1?];
    ensure(done.contains(&Rehashed::Done) && done.contains(&Rehashed::Changed), format!("{done:?}"))?;
    site.logs_in("iain", "sesame")
}
