//! A store that answers but is wrong (rule K4).

use super::{fails, questions, rows};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_backends::trust::{Proof, Trust};
use qmail_lookup_core::{ErrorKind, TableRow, Username};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap;
use qmail_lookup_tests::load::{memory, mysql, sqlite};
use qmail_lookup_tests::model::{Question, soon};
use qmail_lookup_tests::server::mariadb;
use qmail_lookup_tests::subject::Opened;
use qmail_lookup_tests::{Shape, subjects};

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
    each.map(|(make, sentence, run)| Trial::test(format!("outage::{}::{sentence}", make.store), move || run(make)))
        .collect()
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
