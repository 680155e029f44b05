//! A store that answers but is wrong (rule K4).

use super::{fails, questions, recovers, rows};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::sample::Sampled;
use qmail_lookup_backends::trust::{Proof, Trust};
use qmail_lookup_core::{Backend, ErrorKind, Table, TableRow, Username};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap;
use qmail_lookup_tests::load::{memory, mysql, sqlite};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::mariadb;
use qmail_lookup_tests::subject::Opened;
use qmail_lookup_tests::{Shape, subjects};
use rusqlite::Connection;
use std::sync::Arc;

/// How a store is made.
#[derive(Clone, Copy)]
struct Make {
    store: &'static str,
    /// With these rows; the text is a name of its own.
    open: fn(&str, &[TableRow]) -> Result<Opened, Failed>,
    /// What such a store holds.
    shape: fn() -> Shape,
}

/// A case for a store that is made so.
type Run = fn(Make) -> Outcome;

const MEMORY: Make = Make { store: "memory", open: |_, rows| Ok(memory::filled(rows)), shape: Shape::documented };
const SQLITE: Make = Make {
    store: "sqlite",
    open: |_, rows| sqlite::filled(sqlite::Tables::Documented, rows),
    shape: || sqlite::Tables::Documented.shape(),
};
const MARIADB: Make = Make {
    store: "mariadb",
    open: |name, rows| mysql::filled(subjects::main_server()?, name, mysql::Tables::Documented, rows),
    shape: Shape::documented,
};
const LDAP: Make = Make {
    store: "ldap",
    open: |name, rows| {
        let server = subjects::ldap::native_server()?;
        ldap::filled(server, name, ldap::Names::ByKey, rows, &[("auth", "compare".into())])
    },
    shape: || ldap::Names::ByKey.shape(),
};

pub(super) fn trials() -> Vec<Trial> {
    let mut stores = vec![MEMORY, SQLITE];
    if mariadb::missing().is_none() {
        stores.push(MARIADB);
    }
    if qmail_lookup_tests::server::slapd::missing().is_none() {
        stores.push(LDAP);
    }
    let all: [(&str, Run); 5] = [
        ("an_empty_mailbox_table_is_not_absent", empty_table),
        ("a_missing_canary_is_not_absent", canary_missing),
        ("a_canary_that_is_there_lets_absent_be_absent", canary_there),
        ("a_table_that_is_not_empty_lets_absent_be_absent", not_empty),
        ("all_tables_empty_is_not_absent", all_empty),
    ];
    let each = stores.into_iter().flat_map(|make| all.map(|(sentence, run)| (make, sentence, run)));
    let mut trials: Vec<_> = each
        .map(|(make, sentence, run)| Trial::test(format!("outage::{}::{sentence}", make.store), move || run(make)))
        .collect();
    let sentence = "trust_ends_when_rows_that_were_found_are_gone";
    trials.push(Trial::test(format!("outage::sqlite::{sentence}"), emptied_sqlite));
    if mariadb::missing().is_none() {
        trials.push(Trial::test(format!("outage::mariadb::{sentence}"), emptied_mariadb));
    }
    trials
}

fn canary(name: &str) -> Proof {
    Username::new(name.as_bytes()).map_or(Proof::None, Proof::Canary)
}

/// What of the data set every documented store holds, and this one.
fn strict(make: Make) -> Vec<TableRow> {
    let documented = Shape { seq: true, ..sqlite::Tables::Documented.shape() };
    (make.shape)().rows(&documented.rows(&rows(&Shape { seq: true, ..Shape::documented() })))
}

/// Questions that find nothing.
fn none_of(held: &[TableRow]) -> impl Iterator<Item = Question> + '_ {
    questions().into_iter().filter(|question| question.counting(held).is_empty())
}

fn empty_table(make: Make) -> Outcome {
    let held: Vec<_> = strict(make).into_iter().filter(|row| !matches!(row, TableRow::Mailbox(_))).collect();
    let opened = (make.open)("trust_no_mailbox", &held)?;
    let store = Trust::new(opened.store, Proof::NotEmpty);
    let mut asked = 0;
    for question in none_of(&held) {
        asked += 1;
        fails(&store, &question, &[ErrorKind::Misconfigured])?;
    }
    equal("questions", asked, 7)
}

fn all_empty(make: Make) -> Outcome {
    let opened = (make.open)("trust_nothing", &[])?;
    let store = Trust::new(opened.store, Proof::NotEmpty);
    questions().iter().try_for_each(|question| fails(&store, question, &[ErrorKind::Misconfigured]))?;
    let opened = (make.open)("trust_nothing2", &[])?;
    let store = Trust::new(opened.store, canary("iain"));
    questions().iter().try_for_each(|question| fails(&store, question, &[ErrorKind::Misconfigured]))
}

fn canary_missing(make: Make) -> Outcome {
    let held = strict(make);
    let opened = (make.open)("trust_no_canary", &held)?;
    let store = Trust::new(opened.store, canary("no-such-canary"));
    let mut found = 0;
    for question in questions() {
        if !each_key_is_there(&question, &held) {
            fails(&store, &question, &[ErrorKind::Misconfigured])?;
        } else if let Ok(came) = question.put(&store, soon()) {
            // What is there may still be found: the proof is for "none".
            found += 1;
            equal(&format!("{question:?}"), question.counting(&came), question.counting(&held))?;
        }
    }
    ensure(found > 0, "nothing is found any more")
}

/// True if no key of the question finds nothing.
fn each_key_is_there(question: &Question, held: &[TableRow]) -> bool {
    let alone: Vec<_> = match question {
        Question::Mailboxes(keys) => keys.iter().map(|key| Question::Mailboxes(vec![key.clone()])).collect(),
        Question::Aliases(keys) => keys.iter().map(|key| Question::Aliases(vec![key.clone()])).collect(),
        Question::Virtuals(keys) => keys.iter().map(|key| Question::Virtuals(vec![key.clone()])).collect(),
        Question::Rcpthosts(keys) => keys.iter().map(|key| Question::Rcpthosts(vec![key.clone()])).collect(),
    };
    alone.iter().all(|question| !question.counting(held).is_empty())
}

fn canary_there(make: Make) -> Outcome {
    trusted(make, "trust_canary", canary("iain"))
}

fn not_empty(make: Make) -> Outcome {
    trusted(make, "trust_not_empty", Proof::NotEmpty)
}

fn trusted(make: Make, name: &str, proof: Proof) -> Outcome {
    let held = strict(make);
    let opened = (make.open)(name, &held)?;
    super::answers(&Trust::new(opened.store, proof), &held)
}

/// Rows of table virtual that are found before they are gone.
const FOUND: usize = 30;

fn emptied_sqlite() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("qmail.sqlite");
    let held = with_many(SQLITE);
    sqlite::create(&path, sqlite::Tables::Documented, &held)?;
    emptied(sqlite::at(&path)?, &held, |text| Ok(Connection::open(&path)?.execute_batch(text)?))
}

fn emptied_mariadb() -> Outcome {
    let (server, name) = (subjects::main_server()?, "trust_emptied");
    let held = with_many(MARIADB);
    mysql::create(server, name, mysql::Tables::Documented, &held)?;
    emptied(mysql::at(server.socket(), name)?, &held, |text| server.sql(&format!("USE {name}; {text}")))
}

fn with_many(make: Make) -> Vec<TableRow> {
    let cell = |text: String| Some(text.into_bytes());
    let row =
        |n| [cell("many.example".to_owned()), cell(format!("user{n}")), cell("iain".to_owned()), cell(String::new())];
    let many = (0..FOUND).map(|n| TableRow::from_cells(Table::Virtual, row(n)));
    let mut held: Vec<_> = strict(make).into_iter().chain(many).collect();
    // As they are inserted: table by table.
    held.sort_by_key(TableRow::table);
    held
}

/// Table virtual is emptied behind the daemon's back, while the canary and every mailbox stay.
fn emptied(store: Arc<dyn Backend>, held: &[TableRow], sql: impl Fn(&str) -> Outcome) -> Outcome {
    let store = Sampled::new(Arc::new(Trust::new(store, canary("iain"))));
    let user = |n: usize| Question::exact([("many.example", format!("user{n}").as_str())]);
    for n in 0..4 * FOUND {
        let question = user(n % FOUND);
        let came = question.put(&store, soon())?;
        equal(&format!("{question:?}"), question.counting(&came), question.counting(held))?;
    }
    // Mail to unknown users is an everyday matter.
    for n in FOUND..FOUND + 200 {
        equal("an unknown user", user(n).put(&store, soon())?, Vec::new())?;
    }
    for n in 0..FOUND {
        ensure(!user(n).put(&store, soon())?.is_empty(), format!("user {n} is not found any more"))?;
    }
    ensure(!store.distrusted(), "unknown users made the store distrusted")?;

    sql("CREATE TABLE saved AS SELECT * FROM `virtual`")?;
    // The last check was good, and it counts for a second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    sql("DELETE FROM `virtual`")?;
    let answered = (0..FOUND).take_while(|&n| user(n).put(&store, soon()).is_ok()).count();
    ensure(answered < FOUND, "every row was answered \"none\"")?;
    ensure(store.distrusted(), "the store is still believed")?;
    for question in none_of(held) {
        fails(&store, &question, &[ErrorKind::Misconfigured])?;
    }
    fails(&store, &user(1), &[ErrorKind::Misconfigured])?;
    ensure(!Question::mailboxes(["iain"]).put(&store, soon())?.is_empty(), "what is there is still found")?;

    sql("INSERT INTO `virtual` SELECT * FROM saved")?;
    recovers(&store, held)?;
    ensure(!store.distrusted(), "the store is not believed although its rows are back")?;

    sql("DELETE FROM `virtual`")?;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    ensure((0..FOUND).any(|n| user(n).put(&store, soon()).is_err()), "the second time it was not noticed")?;
    ensure(store.trust(), "there was nothing to trust")?;
    equal("after trust", user(1).put(&store, soon())?, Vec::new())
}
