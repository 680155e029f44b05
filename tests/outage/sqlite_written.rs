//! SQLite tables that do not store what they are given, and rows that are tried on tables like them.

use super::trial;
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{
    Applied, Backend, Change, EditCause, Editor, Numbering, Rehearsal, Table, TableOptions, TableRow,
};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal, must_fail};
use qmail_lookup_tests::load::sqlite::{Tables, at, create};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::subject::text;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("sqlite", sentence, run);
    vec![
        trial("a_trigger_that_changes_a_row_is_found_before_the_commit", trigger),
        trial("what_the_numbers_of_a_table_are_is_seen_from_its_keys", numberings),
        trial("a_rehearsal_finds_what_would_read_back_otherwise", otherwise),
        trial("a_rehearsal_of_a_view_is_not_held", view),
        trial("a_rehearsal_is_held_without_a_file_and_makes_none", without_a_file),
        trial("the_rows_of_a_key_are_found_however_they_are_stored", however_stored),
        trial("no_writer_waits_for_a_rehearsal", no_writer_waits),
    ]
}

struct Site {
    _folder: TempDir,
    path: PathBuf,
    store: Arc<dyn Backend>,
}

impl Site {
    fn new(statements: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("qmail.sqlite");
        create(&path, Tables::Documented, &[])?;
        let site = Self { store: at(&path)?, path, _folder: folder };
        site.sql(statements)?;
        Ok(site)
    }

    fn sql(&self, statements: &str) -> Outcome {
        Ok(Connection::open(&self.path)?.execute_batch(statements)?)
    }

    fn editor(&self) -> Result<&dyn Editor, Failed> {
        self.store.editor().ok_or_else(|| "no editor".into())
    }

    fn rows(&self, table: Table, key: &str) -> Result<Vec<TableRow>, Failed> {
        Ok(block_on(self.editor()?.rows(table, key.as_bytes(), soon()))?)
    }

    fn rehearse(&self, options: TableOptions) -> Result<Box<dyn Rehearsal>, Failed> {
        block_on(self.editor()?.rehearse(options, soon()))?.ok_or_else(|| "no rehearsal".into())
    }
}

fn mailbox(name: &str, uid: &str, home: &str) -> TableRow {
    TableRow::from_cells(Table::Mailbox, [name, uid, "100", home, "p", "Password", "N"].map(text))
}

fn trigger() -> Outcome {
    let of = |name: &str| mailbox(name, "1", "/h");
    let cases = [
        ("UPDATE mailbox SET home = 'x' WHERE username = new.username", "reads back as something else (column home)"),
        ("UPDATE mailbox SET username = upper(username)", "reads back as something else (column username)"),
        ("DELETE FROM mailbox", "does not read back under its key"),
    ];
    for (what, why) in cases {
        let site = Site::new(&format!("CREATE TRIGGER t AFTER INSERT ON mailbox BEGIN {what}; END"))?;
        let host = TableRow::from_cells(Table::Rcpthosts, [text("written.com")]);
        let changes = [Change::Insert(host), Change::Insert(of("written"))];
        let error = must_fail("a changed row", block_on(site.editor()?.apply_and_read_back(&changes, soon())))?;
        ensure(matches!(&error.cause, EditCause::RowRefused(said) if said == why), format!("{error:?}"))?;
        equal("place, applied", (error.change, error.applied), (Some(1), Applied::Nothing))?;
        equal(
            "rows",
            (site.rows(Table::Mailbox, "written")?, site.rows(Table::Rcpthosts, "written.com")?),
            Default::default(),
        )?;
        // Nobody looks after a plain change.
        block_on(site.editor()?.apply(&changes, soon()))?;
    }
    let site = Site::new("CREATE TRIGGER t AFTER UPDATE ON mailbox BEGIN UPDATE mailbox SET gid = 7; END")?;
    block_on(site.editor()?.apply(&[Change::Insert(of("written"))], soon()))?;
    let replace = [Change::Replace { old: of("written"), new: mailbox("written", "2", "/h") }];
    let error = must_fail("a changed row", block_on(site.editor()?.apply_and_read_back(&replace, soon())))?;
    ensure(error.to_string().contains("(column gid)"), error.to_string())?;
    equal("rows", site.rows(Table::Mailbox, "written")?, vec![of("written")])
}

fn numberings() -> Outcome {
    let site = Site::new("")?;
    let columns = "username TEXT, alias TEXT, alias_username TEXT, alias_host TEXT";
    let shapes = [
        ("", Numbering::None),
        ("CREATE TABLE alias (seq INTEGER, {})", Numbering::Free),
        ("CREATE TABLE alias (SEQ INTEGER, {}); CREATE INDEX i ON alias (seq)", Numbering::Free),
        ("CREATE TABLE alias (SEQ INTEGER, {}); CREATE UNIQUE INDEX i ON alias (seq, username)", Numbering::Free),
        ("CREATE TABLE alias (seq, {}); CREATE UNIQUE INDEX i ON alias (seq) WHERE alias = 'x'", Numbering::Free),
        ("CREATE TABLE alias (SEQ INTEGER, {}); CREATE UNIQUE INDEX i ON alias (seq)", Numbering::Unique),
        ("CREATE TABLE alias (seq INTEGER PRIMARY KEY, {})", Numbering::Unique),
        ("CREATE TABLE alias ({}, Seq INT UNIQUE)", Numbering::Unique),
        ("CREATE TABLE alias ({}, seq INT, PRIMARY KEY (username, seq))", Numbering::Free),
    ];
    for (statements, want) in shapes {
        if !statements.is_empty() {
            site.sql(&format!("DROP TABLE alias; {}", statements.replace("{}", columns)))?;
        }
        equal(statements, block_on(site.editor()?.numbering(soon()))?, want)?;
    }
    site.sql("DROP TABLE alias")?;
    must_fail("no table", block_on(site.editor()?.numbering(soon()))).map(drop)
}

/// A site's own table: further columns, keys and checks count, and a trigger does not run.
fn otherwise() -> Outcome {
    let site = Site::new(
        "DROP TABLE mailbox; CREATE TABLE other (x INTEGER PRIMARY KEY);
         CREATE TABLE \"Mailbox\" (quota INTEGER NOT NULL DEFAULT 5 REFERENCES other (x), username TEXT, uid INTEGER, gid,
            home TEXT CHECK (home LIKE '/%'), password TEXT, password_type TEXT, suspended TEXT);
         CREATE UNIQUE INDEX own ON mailbox (uid); INSERT INTO other VALUES (5);
         INSERT INTO mailbox (username, uid, home) VALUES ('held', 3, '/held');
         CREATE TRIGGER t BEFORE INSERT ON mailbox BEGIN INSERT INTO other VALUES (NULL); END",
    )?;
    let rows = [
        (mailbox("a", "1", "/h"), None),
        (mailbox("b", "007", "/h"), Some("reads back as something else (column uid)")),
        (mailbox("c", "7", "/h"), None),
        (mailbox("d", "1", "/h"), Some("UNIQUE constraint failed: mailbox.uid")),
        (mailbox("e", "2", "h"), Some("CHECK constraint failed: home LIKE '/%'")),
        (mailbox("f", "2", "/h"), None),
        // The rows that are there are not on trial.
        (mailbox("g", "3", "/h"), None),
    ];
    let want: Vec<_> = rows.iter().enumerate().filter_map(|(n, (_, why))| Some((n, (*why)?.to_owned()))).collect();
    let mut rehearsal = site.rehearse(TableOptions::default())?;
    let refused = block_on(rehearsal.insert(&rows.map(|(row, _)| row), soon()))?;
    let lower = |(n, why): (usize, String)| (n, why.replace("Mailbox", "mailbox"));
    equal("refused", refused.into_iter().map(lower).collect::<Vec<_>>(), want)?;
    let others: i64 = Connection::open(&site.path)?.query_row("SELECT count(*) FROM other", [], |row| row.get(0))?;
    equal("rows of a trigger", others, 1)
}

fn view() -> Outcome {
    let site = Site::new("ALTER TABLE mailbox RENAME TO m; CREATE VIEW mailbox AS SELECT * FROM m")?;
    let covered = Table::ALL.map(|table| site.rehearse(TableOptions::default()).map(|held| held.covers(table)));
    equal("covered", covered.into_iter().collect::<Result<Vec<_>, _>>()?, vec![false, true, true, true])?;
    for table in ["alias", "virtual", "rcpthosts"] {
        site.sql(&format!("ALTER TABLE {table} RENAME TO m_{table}; CREATE VIEW {table} AS SELECT * FROM m_{table}"))?;
    }
    let held = block_on(site.editor()?.rehearse(TableOptions::default(), soon()))?;
    ensure(held.is_none(), "held")
}

fn without_a_file() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("new.sqlite");
    let store = at(&path)?;
    let options = TableOptions { username_width: 10, with_seq: true };
    let editor = store.editor().ok_or("no editor")?;
    let mut rehearsal = block_on(editor.rehearse(options, soon()))?.ok_or("no rehearsal")?;
    let names = ["ten-letter", "eleven-lett", "Ten-letter"];
    let refused = block_on(rehearsal.insert(&names.map(|name| mailbox(name, "1", "/h")), soon()))?;
    equal("refused", refused.into_iter().map(|(place, _)| place).collect::<Vec<_>>(), vec![1, 2])?;
    equal("files", std::fs::read_dir(folder.path())?.count(), 0)
}

fn however_stored() -> Outcome {
    let kinds = ["TEXT COLLATE NOCASE", "TEXT", "BLOB", "", "VARCHAR(30) COLLATE RTRIM"];
    for (kind, index) in kinds.iter().flat_map(|kind| [(kind, ""), (kind, "CREATE INDEX i ON rcpthosts (host)")]) {
        let site = Site::new(&format!("DROP TABLE rcpthosts; CREATE TABLE rcpthosts (host {kind}); {index}"))?;
        site.sql(
            "INSERT INTO rcpthosts VALUES ('Host'), (X'484F5354'), ('host'), ('host '), (X'686F737400'), ('hos'), (NULL), (X''), ('')",
        )?;
        let row = |host: &str| TableRow::from_cells(Table::Rcpthosts, [text(host)]);
        equal(kind, site.rows(Table::Rcpthosts, "hOST")?, ["HOST", "Host", "host"].map(row).to_vec())?;
        equal(kind, site.rows(Table::Rcpthosts, "")?, vec![row(""), row("")])?;
    }
    Ok(())
}

fn no_writer_waits() -> Outcome {
    let site = Site::new("")?;
    let mut rehearsal = site.rehearse(TableOptions::default())?;
    block_on(rehearsal.insert(&[mailbox("a", "1", "/h")], soon()))?;
    site.sql("INSERT INTO rcpthosts VALUES ('written.com'); DROP TABLE alias")?;
    let refused = block_on(rehearsal.insert(&[mailbox("A", "1", "/h"), mailbox("b", "1", "/h")], soon()))?;
    equal("refused", refused.len(), 1)?;
    equal("rows", site.rows(Table::Mailbox, "a")?, vec![])
}
