//! MariaDB tables that do not store what they are given, and accounts that may not try rows beforehand.

use super::super::trial;
use super::database;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{
    Applied, Backend, Change, EditCause, EditError, Editor, ErrorKind, Numbering, Rehearsal, Table, TableOptions,
    TableRow,
};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal, must_fail};
use qmail_lookup_tests::load::mysql::{at, with};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::server::mariadb::{MariaDb, query};
use qmail_lookup_tests::subject::text;
use std::sync::Arc;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("mariadb", sentence, run);
    vec![
        trial("a_trigger_that_changes_a_row_is_found_before_the_commit", trigger),
        trial("a_changed_row_is_found_beside_an_equal_one", beside_an_equal_one),
        trial("a_trigger_that_changes_the_key_is_found", changed_key),
        trial("without_transactions_a_changed_row_is_taken_away_again", without_transactions),
        trial("without_transactions_a_row_that_cannot_be_found_again_is_named", cannot_be_found),
        trial("what_the_numbers_of_a_table_are_is_seen_from_its_keys", numberings),
        trial("a_rehearsal_needs_a_privilege_and_says_which", privilege),
        trial("a_rehearsal_finds_what_would_read_back_otherwise", otherwise),
        trial("a_rehearsal_of_a_view_is_not_held", view),
        trial("a_rehearsal_is_held_without_tables_too", without_tables),
        trial("a_table_of_another_collation_gives_the_rows_of_a_key", collations),
    ]
}

struct Site {
    server: &'static MariaDb,
    database: String,
    store: Arc<dyn Backend>,
}

impl Site {
    fn new(name: &str, statements: &str) -> Result<Self, Failed> {
        let (server, database) = database(&format!("written_{name}"))?;
        let site = Self { server, store: at(server.socket(), &database)?, database };
        site.sql(statements)?;
        Ok(site)
    }

    fn sql(&self, statements: &str) -> Outcome {
        self.server.sql(&format!("USE {}; {statements}", self.database))
    }

    fn editor(&self) -> Result<&dyn Editor, Failed> {
        self.store.editor().ok_or_else(|| "no editor".into())
    }

    fn put(&self, changes: &[Change]) -> Result<Result<(), EditError>, Failed> {
        Ok(block_on(self.editor()?.apply_and_read_back(changes, soon())))
    }

    fn rows(&self, table: Table, key: &str) -> Result<Vec<TableRow>, Failed> {
        Ok(block_on(self.editor()?.rows(table, key.as_bytes(), soon()))?)
    }

    fn rehearse(&self, options: TableOptions) -> Result<Box<dyn Rehearsal>, Failed> {
        block_on(self.editor()?.rehearse(options, soon()))?.ok_or_else(|| "no rehearsal".into())
    }
}

fn mailbox(name: &str, home: &str) -> TableRow {
    let cells = [name, "1000", "100", home, "p", "Password", "N"];
    TableRow::from_cells(Table::Mailbox, cells.map(text))
}

fn of_host(owner: &str) -> TableRow {
    TableRow::from_cells(Table::Virtual, ["written.com", "user", owner, "ext"].map(text))
}

fn refused(error: &EditError, place: usize, applied: Applied, why: &str) -> Outcome {
    let EditCause::RowRefused(said) = &error.cause else { return Err(format!("{error:?}").into()) };
    equal("why", said.as_str(), why)?;
    equal("place, applied", (error.change, error.applied), (Some(place), applied))
}

const ELSEWHERE: &str = "CREATE TRIGGER t BEFORE INSERT ON mailbox FOR EACH ROW SET NEW.home = CONCAT(NEW.home, 'x')";

fn trigger() -> Outcome {
    let site = Site::new("trigger", ELSEWHERE)?;
    let row = mailbox("written", "/h");
    let changes = [Change::Insert(of_host("iain")), Change::Insert(row.clone())];
    let error = must_fail("a row that is changed", site.put(&changes)?)?;
    refused(&error, 1, Applied::Nothing, "reads back as something else (column home)")?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![])?;
    equal("rows", site.rows(Table::Virtual, "written.com")?, vec![])?;
    // Nobody looks after a plain change.
    block_on(site.editor()?.apply(&changes, soon()))?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![mailbox("written", "/hx")])?;
    site.sql("CREATE TRIGGER u BEFORE UPDATE ON mailbox FOR EACH ROW SET NEW.gid = 7")?;
    let replace = Change::Replace { old: mailbox("written", "/hx"), new: mailbox("written", "/i") };
    let error = must_fail("a row that is changed", site.put(&[replace])?)?;
    refused(&error, 0, Applied::Nothing, "reads back as something else (column gid)")?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![mailbox("written", "/hx")])
}

fn beside_an_equal_one() -> Outcome {
    let site = Site::new("twin", "")?;
    site.put(&[Change::Insert(of_host("iain"))])??;
    site.sql("CREATE TRIGGER t BEFORE INSERT ON `virtual` FOR EACH ROW SET NEW.ext = UPPER(NEW.ext)")?;
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(of_host("iain"))])?)?;
    refused(&error, 0, Applied::Nothing, "reads back as something else (column ext)")?;
    equal("rows", site.rows(Table::Virtual, "written.com")?.len(), 1)
}

fn changed_key() -> Outcome {
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON mailbox FOR EACH ROW SET NEW.username = UPPER(NEW.username)";
    let site = Site::new("other_key", trigger)?;
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(mailbox("written", "/h"))])?)?;
    refused(&error, 0, Applied::Nothing, "reads back as something else (column username)")?;
    site.sql("DROP TRIGGER t; CREATE TRIGGER t BEFORE INSERT ON mailbox FOR EACH ROW SET NEW.username = 'other'")?;
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(mailbox("written", "/h"))])?)?;
    refused(&error, 0, Applied::Nothing, "does not read back under its key")?;
    equal("rows", site.rows(Table::Mailbox, "other")?, vec![])
}

const MYISAM: &str = "ALTER TABLE mailbox ENGINE=MyISAM";

fn without_transactions() -> Outcome {
    let site = Site::new("undone", &format!("{MYISAM}; {ELSEWHERE}"))?;
    let odd = "CREATE TRIGGER u BEFORE UPDATE ON mailbox FOR EACH ROW SET NEW.gid = IF(NEW.home = '/odd', 7, NEW.gid)";
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(mailbox("written", "/h"))])?)?;
    refused(&error, 0, Applied::Nothing, "reads back as something else (column home)")?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![])?;
    site.sql(&format!("DROP TRIGGER t; {odd}"))?;
    let first = mailbox("written", "/h");
    let replace = Change::Replace { old: first.clone(), new: mailbox("written", "/odd") };
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(first.clone()), replace])?)?;
    refused(&error, 1, Applied::Partial { applied: 1 }, "reads back as something else (column gid)")?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![first])
}

fn cannot_be_found() -> Outcome {
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON mailbox FOR EACH ROW SET NEW.username = 'other'";
    let site = Site::new("stays", &format!("{MYISAM}; {trigger}"))?;
    let error = must_fail("a row that is changed", site.put(&[Change::Insert(mailbox("written", "/h"))])?)?;
    refused(
        &error,
        0,
        Applied::Unknown,
        "does not read back under its key, and stays there: the table has no transactions",
    )?;
    equal("rows", site.rows(Table::Mailbox, "other")?.len(), 1)
}

fn numberings() -> Outcome {
    let site = Site::new("numbers", "")?;
    let shapes = [
        ("", Numbering::None),
        ("ALTER TABLE alias ADD seq int", Numbering::Free),
        ("CREATE INDEX one ON alias (seq)", Numbering::Free),
        ("CREATE UNIQUE INDEX two ON alias (seq, username)", Numbering::Free),
        ("UPDATE alias SET seq = NULL; CREATE UNIQUE INDEX three ON alias (seq)", Numbering::Unique),
        ("ALTER TABLE alias DROP seq, ADD SEQ int AUTO_INCREMENT PRIMARY KEY", Numbering::Unique),
        ("ALTER TABLE alias DROP SEQ, ADD seq int NOT NULL AUTO_INCREMENT, ADD KEY (seq)", Numbering::Unique),
        ("ALTER TABLE alias RENAME t; CREATE VIEW alias AS SELECT * FROM t", Numbering::Free),
    ];
    for (statements, want) in shapes {
        site.sql(statements)?;
        equal(statements, block_on(site.editor()?.numbering(soon()))?, want)?;
    }
    site.sql("DROP VIEW alias")?;
    let error = must_fail("no table", block_on(site.editor()?.numbering(soon())))?;
    equal("kind", error.kind(), ErrorKind::Schema)
}

fn privilege() -> Outcome {
    let site = Site::new("privilege", "")?;
    site.sql(&format!(
        "CREATE USER ql_no_trial@localhost IDENTIFIED BY 'limited';
         GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {}.* TO ql_no_trial@localhost",
        site.database
    ))?;
    let address = format!("unix:{}", site.server.socket().display());
    let store = with(&[&address], "ql_no_trial", "limited", &site.database)?;
    let editor = store.editor().ok_or("no editor")?;
    let error = must_fail("no privilege", block_on(editor.rehearse(TableOptions::default(), soon())).map(|_| ()))?;
    equal("kind", error.kind(), ErrorKind::Refused)?;
    let help = error.help().unwrap_or_default();
    ensure(help.contains(&format!("GRANT CREATE TEMPORARY TABLES ON `{}`.* TO", site.database)), help)
}

/// A site's own columns of types that store something near what they are given.
fn otherwise() -> Outcome {
    let site = Site::new(
        "otherwise",
        "DELETE FROM mailbox; DELETE FROM alias; ALTER TABLE mailbox MODIFY home char(20) NOT NULL, ADD COLUMN quota int NOT NULL DEFAULT 5 FIRST,
            MODIFY password_type enum('Password','Crypt-Password') NOT NULL;
         ALTER TABLE alias MODIFY alias_host varchar(20) CHARACTER SET latin1 NOT NULL",
    )?;
    let alias =
        |host: &[u8]| TableRow::from_cells(Table::Alias, [text("a"), text("x"), text("."), Some(host.to_vec()), None]);
    let typed = |kind: &str| {
        let cells = [&format!("t{kind}"), "1", "1", "/h", "p", kind, "N"];
        TableRow::from_cells(Table::Mailbox, cells.map(text))
    };
    let same = "reads back as something else";
    let rows = [
        (mailbox("a", "/h"), None),
        (mailbox("b", "/h "), Some(format!("{same} (column home)"))),
        (mailbox("b", "/h"), None),
        (mailbox("c", "/longer/than/20/characters"), Some("too long (column home)".to_owned())),
        (typed("Crypt-Password"), None),
        (typed("crypt-password"), Some(format!("{same} (column password_type)"))),
        (
            typed("MySQL-Password"),
            Some("not a value of the column's type or character set (column password_type)".to_owned()),
        ),
        // Bytes are kept as they are in a column of one byte a character.
        (alias("/\u{e4}/".as_bytes()), None),
        (alias(b"/\xe4/"), None),
    ];
    let want: Vec<_> = rows.iter().enumerate().filter_map(|(n, (_, why))| Some((n, why.clone()?))).collect();
    let rows: Vec<_> = rows.into_iter().map(|(row, _)| row).collect();
    let mut rehearsal = site.rehearse(TableOptions::default())?;
    equal("refused", block_on(rehearsal.insert(&rows, soon()))?, want)?;
    let mut other = site.server.connect()?;
    let seen = query(&mut other, "SELECT 1 FROM information_schema.tables WHERE table_name LIKE 'qmail_lookup%'")?;
    equal("tables seen", seen.len(), 0)
}

fn view() -> Outcome {
    let site = Site::new(
        "view",
        "ALTER TABLE mailbox RENAME m; CREATE VIEW mailbox AS SELECT * FROM m;
         ALTER TABLE `virtual` PARTITION BY KEY (virtual_host) PARTITIONS 2",
    )?;
    let covered = Table::ALL.map(|table| site.rehearse(TableOptions::default()).map(|held| held.covers(table)));
    equal("covered", covered.into_iter().collect::<Result<Vec<_>, _>>()?, vec![false, true, false, true])?;
    for table in ["alias", "virtual", "rcpthosts"] {
        site.sql(&format!("ALTER TABLE `{table}` RENAME m_{table}; CREATE VIEW `{table}` AS SELECT * FROM m_{table}"))?;
    }
    let held = block_on(site.editor()?.rehearse(TableOptions::default(), soon()))?;
    ensure(held.is_none(), "held")
}

fn without_tables() -> Outcome {
    let site = Site::new("nothing", "DROP TABLE mailbox, alias")?;
    let mut rehearsal = site.rehearse(TableOptions { username_width: 10, with_seq: true })?;
    let rows = [mailbox("ten-letter", "/h"), mailbox("eleven-lett", "/h"), mailbox("Ten-letter", "/h")];
    let places: Vec<_> = block_on(rehearsal.insert(&rows, soon()))?.into_iter().map(|(place, _)| place).collect();
    equal("refused", places, vec![1, 2])?;
    let made = block_on(site.store.facts(soon()))?.tables;
    ensure(made.iter().all(|facts| !matches!(facts.table, Table::Mailbox | Table::Alias)), "a table was made")
}

/// Collations in which an index does not find every spelling of a name, and a column that has none.
fn collations() -> Outcome {
    let site = Site::new("collations", "")?;
    block_on(site.editor()?.apply(&[Change::Insert(mailbox("WRITTEN.I", "/h"))], soon()))?;
    let kinds = [
        "varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_turkish_ci",
        "varbinary(128)",
    ];
    for kind in kinds {
        site.sql(&format!("ALTER TABLE mailbox MODIFY username {kind} NOT NULL"))?;
        for key in ["written.i", "WRITTEN.I", "Written.I"] {
            equal(kind, site.rows(Table::Mailbox, key)?, vec![mailbox("WRITTEN.I", "/h")])?;
        }
    }
    Ok(())
}
