//! MariaDB servers that answer, but not with what was expected: other columns, no privilege, no such account.

use super::super::{answers, fails, knows_nothing, questions, recovers, trial};
use super::{TABLES, database, held};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Backend, ErrorKind};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::mysql::{at, with};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER};
use qmail_lookup_tests::{Need, subjects};
use std::sync::Arc;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("mariadb", sentence, run);
    vec![
        trial("a_missing_column_is_not_absent", || altered("ALTER TABLE mailbox DROP COLUMN home", "no_column", 0)),
        trial("a_renamed_column_is_not_absent", || {
            altered("ALTER TABLE alias CHANGE alias_host target text", "new_column", 1)
        }),
        trial("a_renamed_key_column_is_not_absent", || {
            altered("ALTER TABLE `virtual` CHANGE virtual_host domain varchar(255)", "new_key", 2)
        }),
        trial("a_missing_table_is_not_absent", || altered("DROP TABLE mailbox", "no_table", 0)),
        trial("a_missing_database_is_not_absent", || {
            let store = at(subjects::main_server()?.socket(), "no_such_database")?;
            knows_nothing(&*store, &[ErrorKind::Schema, ErrorKind::Refused])
        }),
        trial("a_missing_privilege_is_not_absent", missing_privilege),
        trial("a_privilege_on_some_columns_is_not_absent", column_privilege),
        trial("a_wrong_password_is_not_absent", || stranger(USER, "wrong")),
        trial("an_unknown_account_is_not_absent", || stranger("nobody", PASSWORD)),
        trial("a_column_of_another_type_fails_no_neighbour", other_type),
    ]
}

/// The place of a question's table: mailbox, alias, virtual, rcpthosts.
fn table_of(question: &Question) -> usize {
    match question {
        Question::Mailboxes(_) => 0,
        Question::Aliases(_) => 1,
        Question::Virtuals(_) => 2,
        Question::Rcpthosts(_) => 3,
    }
}

/// After the change questions about this table fail, with a store that had asked before and with a new one.
fn altered(change: &str, name: &str, table: usize) -> Outcome {
    let ((server, database), held) = (database(name)?, held());
    let old = at(server.socket(), &database)?;
    answers(&*old, &held)?;
    server.sql(&format!("USE {database}; {change}"))?;
    for store in [old, at(server.socket(), &database)?] {
        for question in questions() {
            if table_of(&question) == table {
                fails(&*store, &question, &[ErrorKind::Schema])?;
            } else {
                let came = question.put(&*store, soon())?;
                equal(&format!("{question:?}"), question.counting(&came), question.counting(&held))?;
            }
        }
    }
    Ok(())
}

fn stranger(user: &str, password: &str) -> Outcome {
    let (server, database) = (subjects::main_server()?, "mysql");
    let address = format!("unix:{}", server.socket().display());
    knows_nothing(&*with(&[&address], user, password, database)?, &[ErrorKind::Refused])
}

/// A store of an account that has only these privileges.
fn limited(server: &MariaDb, database: &str, user: &str, grants: &[String]) -> Result<Arc<dyn Backend>, Failed> {
    server.sql(&format!("CREATE USER {user}@localhost IDENTIFIED BY 'limited'"))?;
    grants.iter().try_for_each(|grant| server.sql(&format!("GRANT {grant} TO {user}@localhost")))?;
    with(&[&format!("unix:{}", server.socket().display())], user, "limited", database)
}

fn missing_privilege() -> Outcome {
    let ((server, database), held) = (database("privilege")?, held());
    let grants = ["alias", "`virtual`"].map(|table| format!("SELECT ON {database}.{table}"));
    let store = limited(server, &database, "ql_tables", &grants)?;
    for question in questions() {
        if matches!(question, Question::Mailboxes(_) | Question::Rcpthosts(_)) {
            fails(&*store, &question, &[ErrorKind::Refused, ErrorKind::Schema])?;
        } else {
            let came = question.put(&*store, soon())?;
            equal(&format!("{question:?}"), question.counting(&came), question.counting(&held))?;
        }
    }
    // Granted for the whole database, which the open connections do not hear of by themselves, it is found.
    server.sql(&format!("GRANT SELECT ON {database}.* TO ql_tables@localhost"))?;
    recovers(&*store, &held)
}

fn column_privilege() -> Outcome {
    let (server, database) = database("columns")?;
    let grants = [
        format!("SELECT (username, uid) ON {database}.mailbox"),
        format!("SELECT (username, alias) ON {database}.alias"),
    ];
    let store = limited(server, &database, "ql_columns", &grants)?;
    let refused = [ErrorKind::Refused, ErrorKind::Schema];
    fails(&*store, &Question::mailboxes(["iain"]), &refused)?;
    fails(&*store, &Question::mailboxes(["nobody"]), &refused)?;
    fails(&*store, &Question::aliases([("nobody", "")]), &refused)
}

/// A site may have made its ids text and its suspended a number; nobody's mail stops for that.
fn other_type() -> Outcome {
    ensure(TABLES.shape().allows(Need::LargeIds), "the shape changed")?;
    let ((server, database), held) = (database("types")?, held());
    server.sql(&format!("USE {database}; ALTER TABLE mailbox MODIFY uid decimal(12,0) NOT NULL, MODIFY gid bigint NOT NULL, MODIFY home mediumtext NOT NULL"))?;
    answers(&*at(server.socket(), &database)?, &held)?;
    server.sql(&format!(
        "USE {database}; ALTER TABLE mailbox ADD COLUMN extra int NOT NULL DEFAULT 7 FIRST, ADD COLUMN quota blob"
    ))?;
    answers(&*at(server.socket(), &database)?, &held)
}
