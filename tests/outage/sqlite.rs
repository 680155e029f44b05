//! SQLite files that are locked, wrong, gone, or not what they were.

use super::{answers, fails, knows_nothing, questions, recovers, right_or_nothing, rows, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Backend, Deadline, ErrorKind, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::sqlite::{Tables, at, create};
use qmail_lookup_tests::model::{Question, soon};
use rusqlite::Connection;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("sqlite", sentence, run);
    vec![
        trial("a_file_that_is_not_there_is_not_absent_and_is_not_made", not_there),
        trial("a_folder_in_its_place_is_not_absent", || in_its_place(|path| fs::create_dir(path))),
        trial("a_file_of_something_else_is_not_absent", || {
            in_its_place(|path| fs::write(path, "not a database ".repeat(500)))
        }),
        trial("an_empty_file_is_not_absent", || in_its_place(|path| fs::write(path, ""))),
        trial("a_file_cut_in_half_is_never_absent", cut_in_half),
        trial("a_file_that_is_removed_is_not_absent", removed),
        trial("a_locked_file_is_not_absent", locked),
        trial("a_file_locked_for_a_moment_is_waited_for", locked_for_a_moment),
        trial("a_file_that_a_writer_died_in_is_never_absent", hot_journal),
        trial("a_missing_column_is_not_absent", || {
            altered("ALTER TABLE mailbox DROP COLUMN home", &[Question::mailboxes(["iain"])])
        }),
        trial("a_renamed_column_is_not_absent", || {
            altered("ALTER TABLE alias RENAME COLUMN alias_host TO target", &[Question::aliases([("iain", "list")])])
        }),
        trial("a_renamed_key_column_is_not_absent", || {
            altered(
                "ALTER TABLE virtual RENAME COLUMN virtual_host TO domain",
                &[
                    Question::exact([("virtual.com", "iain")]),
                    Question::any("virtual.com"),
                    Question::patterns("funky.com"),
                ],
            )
        }),
        trial("a_missing_table_is_not_absent", || altered("DROP TABLE rcpthosts", &[Question::rcpthosts(["bar.com"])])),
        trial("a_file_replaced_by_rename_is_the_new_file", replaced),
        trial("a_file_replaced_by_rubbish_is_not_absent", replaced_by_rubbish),
        trial("files_replaced_under_load_are_one_or_the_other", replaced_under_load),
        trial("a_file_in_wal_mode_is_answered_right", wal),
        trial("a_row_written_by_another_program_is_seen_at_once", seen_at_once),
        trial("an_unreadable_file_is_not_absent", unreadable),
    ]
}

struct File {
    folder: TempDir,
    path: PathBuf,
    rows: Vec<TableRow>,
}

impl File {
    fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("qmail.sqlite");
        let rows = rows(&Tables::ByHand.shape());
        create(&path, Tables::ByHand, &rows)?;
        Ok(Self { folder, path, rows })
    }

    fn store(&self) -> Result<Arc<dyn Backend>, Failed> {
        at(&self.path)
    }

    fn sql(&self, statements: &str) -> Outcome {
        Ok(Connection::open(&self.path)?.execute_batch(statements)?)
    }

    /// Puts another file in its place, atomically; in it iain has another home.
    fn replace(&self, home: &str) -> Outcome {
        let new = self.folder.path().join("new.sqlite");
        fs::copy(&self.path, &new)?;
        let changed =
            Connection::open(&new)?.execute("UPDATE mailbox SET home = ?1 WHERE username = 'iain'", [home])?;
        equal("rows changed", changed, 1)?;
        Ok(fs::rename(&new, &self.path)?)
    }
}

const BROKEN: &[ErrorKind] = &[ErrorKind::Unreachable, ErrorKind::Schema, ErrorKind::Refused, ErrorKind::Misconfigured];

fn not_there() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("qmail.sqlite");
    let store = at(&path)?;
    knows_nothing(&*store, BROKEN)?;
    ensure(!path.exists(), "asking made a file")
}

fn in_its_place(put: fn(&PathBuf) -> std::io::Result<()>) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("qmail.sqlite");
    put(&path)?;
    knows_nothing(&*at(&path)?, BROKEN)
}

fn cut_in_half() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    let whole = fs::metadata(&file.path)?.len();
    fs::OpenOptions::new().write(true).open(&file.path)?.set_len(whole / 2)?;
    let failed = right_or_nothing(&*store, &file.rows)?;
    ensure(failed > 0, "half a file answers everything")
}

fn removed() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    answers(&*store, &file.rows)?;
    let elsewhere = file.folder.path().join("elsewhere");
    fs::rename(&file.path, &elsewhere)?;
    knows_nothing(&*store, BROKEN)?;
    fs::rename(&elsewhere, &file.path)?;
    recovers(&*store, &file.rows)
}

fn locked() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    answers(&*store, &file.rows)?;
    let writer = Connection::open(&file.path)?;
    writer.execute_batch("BEGIN EXCLUSIVE; DELETE FROM mailbox; DELETE FROM virtual")?;
    let busy = [ErrorKind::Timeout, ErrorKind::Overloaded, ErrorKind::Unreachable];
    for question in &questions()[..3] {
        fails(&*store, question, &busy)?;
    }
    drop(writer);
    recovers(&*store, &file.rows)
}

/// The file with half of a transaction in it, and the journal that takes it back.
fn hot_journal() -> Outcome {
    let file = File::new()?;
    let writer = Connection::open(&file.path)?;
    writer.execute_batch(
        "PRAGMA cache_size = 2; BEGIN; UPDATE mailbox SET home = '/dirty'; DELETE FROM alias; DELETE FROM virtual",
    )?;
    let after = tempfile::tempdir()?;
    let path = after.path().join("qmail.sqlite");
    fs::copy(&file.path, &path)?;
    fs::copy(file.path.with_extension("sqlite-journal"), path.with_extension("sqlite-journal"))?;
    drop(writer);
    right_or_nothing(&*at(&path)?, &file.rows).map(drop)
}

fn locked_for_a_moment() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    let writer = Connection::open(&file.path)?;
    writer.execute_batch("BEGIN EXCLUSIVE")?;
    let asking = std::thread::spawn(move || Question::mailboxes(["iain"]).put(&*store, soon()));
    std::thread::sleep(Duration::from_millis(400));
    writer.execute_batch("COMMIT")?;
    let rows = asking.join().map_err(|_| "the question panicked")??;
    equal("rows", rows.len(), 1)
}

/// After the change these questions fail, with a store that had asked before and with a new one; the others answer.
fn altered(change: &str, broken: &[Question]) -> Outcome {
    let file = File::new()?;
    let old = file.store()?;
    answers(&*old, &file.rows)?;
    file.sql(change)?;
    for store in [old, file.store()?] {
        broken.iter().try_for_each(|question| fails(&*store, question, &[ErrorKind::Schema]))?;
        let tables_of = |question: &Question| std::mem::discriminant(question);
        let spared = questions().into_iter().filter(|question| {
            let both = |other: &&Question| {
                matches!(other, Question::Virtuals(_) | Question::Rcpthosts(_))
                    && matches!(question, Question::Virtuals(_) | Question::Rcpthosts(_))
            };
            !broken.iter().any(|other| tables_of(other) == tables_of(question) || both(&other))
        });
        for question in spared {
            let came = question.put(&*store, soon())?;
            equal(&format!("{question:?}"), question.counting(&came), question.counting(&file.rows))?;
        }
    }
    Ok(())
}

fn home_of_iain(store: &dyn Backend, by: Deadline) -> Result<Option<String>, Failed> {
    let Ok(rows) = Question::mailboxes(["iain"]).put(store, by) else { return Ok(None) };
    match &rows[..] {
        [TableRow::Mailbox(row)] => {
            Ok(row.mailbox.home.as_deref().map(|home| String::from_utf8_lossy(home).into_owned()))
        }
        other => Err(format!("one row expected, got {other:?}").into()),
    }
}

fn replaced() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    answers(&*store, &file.rows)?;
    for n in 0..5 {
        let home = format!("/new/{n}");
        file.replace(&home)?;
        equal("home", home_of_iain(&*store, soon())?, Some(home))?;
    }
    Ok(())
}

fn replaced_by_rubbish() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    answers(&*store, &file.rows)?;
    let (rubbish, good) = (file.folder.path().join("rubbish"), file.folder.path().join("good"));
    fs::copy(&file.path, &good)?;
    fs::write(&rubbish, "rubbish ".repeat(1000))?;
    fs::rename(&rubbish, &file.path)?;
    knows_nothing(&*store, BROKEN)?;
    fs::rename(&good, &file.path)?;
    recovers(&*store, &file.rows)
}

fn replaced_under_load() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    file.replace("/new/0")?;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            std::thread::spawn(move || -> Result<usize, String> {
                let mut answered = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let home = home_of_iain(&*store, soon())
                        .map_err(|failed| failed.message().unwrap_or_default().to_owned())?;
                    if let Some(home) = home {
                        answered += 1;
                        if !home.starts_with("/new/") {
                            return Err(format!("home {home}"));
                        }
                    }
                }
                Ok(answered)
            })
        })
        .collect();
    for n in 1..15 {
        file.replace(&format!("/new/{n}"))?;
        std::thread::sleep(Duration::from_millis(15));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut answered = 0;
    for thread in asking {
        answered += thread.join().map_err(|_| "the asking thread panicked")??;
    }
    ensure(answered > 20, format!("only {answered} answers"))?;
    equal("home", home_of_iain(&*store, soon())?, Some("/new/14".to_owned()))
}

fn wal() -> Outcome {
    let file = File::new()?;
    let writer = Connection::open(&file.path)?;
    writer.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let store = file.store()?;
    answers(&*store, &file.rows)?;
    // A writer at work does not lock readers out, and what it has not committed is not there.
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM mailbox; DELETE FROM virtual")?;
    answers(&*store, &file.rows)?;
    writer.execute_batch("ROLLBACK; UPDATE mailbox SET home = '/wal' WHERE username = 'iain'")?;
    equal("home", home_of_iain(&*store, soon())?, Some("/wal".to_owned()))
}

fn seen_at_once() -> Outcome {
    let file = File::new()?;
    let store = file.store()?;
    let question = Question::mailboxes(["fresh"]);
    equal("before", question.put(&*store, soon())?.len(), 0)?;
    file.sql("INSERT INTO mailbox (username, uid, gid, home) VALUES ('fresh', 1000, 100, '/h')")?;
    equal("after", question.put(&*store, soon())?.len(), 1)?;
    file.sql("DELETE FROM mailbox WHERE username = 'fresh'")?;
    equal("after the delete", question.put(&*store, soon())?.len(), 0)
}

/// Root reads everything, so as root the file is made unreadable by a folder that is a file.
fn unreadable() -> Outcome {
    let file = File::new()?;
    if nix::unistd::geteuid().is_root() {
        return knows_nothing(&*at(&file.path.join("below-a-file"))?, BROKEN);
    }
    fs::set_permissions(&file.path, std::os::unix::fs::PermissionsExt::from_mode(0o000))?;
    knows_nothing(&*file.store()?, BROKEN)
}
