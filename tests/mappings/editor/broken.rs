//! A server or a connection that ends in the middle of many rows. What is said to be there is there, and no more.

use super::{all, mailbox};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Applied, Backend, Change, Deadline, EditError, Table, TableRow};
use qmail_lookup_tests::check::{Outcome, block_on, ensure, equal};
use qmail_lookup_tests::load::ldap::{Names, at, create, with};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::proxy::{Mode, Proxy};
use qmail_lookup_tests::server::slapd::{Certificate, PASSWORD, Schema, Slapd, USER};
use qmail_lookup_tests::subjects::ldap::native_server;
use std::time::Duration;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("mapping::ldap::editor::broken::{name}"), run);
    vec![
        trial("a_connection_that_is_cut_anywhere_claims_only_what_is_there", cut),
        trial("a_deadline_in_the_middle_claims_only_what_is_there", late),
        trial("a_server_that_dies_in_the_middle_claims_only_what_is_there", killed),
    ]
}

fn rows() -> Vec<TableRow> {
    (0..200).map(|n| mailbox(&format!("user{n:03}"), "/h", "p")).collect()
}

fn apply(store: &dyn Backend, by: Deadline) -> Result<(), EditError> {
    let changes: Vec<_> = rows().into_iter().map(Change::Insert).collect();
    store.editor().map_or(Ok(()), |editor| block_on(editor.apply(&changes, by)))
}

/// What was said is so.
fn holds(what: &str, done: &Result<(), EditError>, store: &dyn Backend) -> Outcome {
    let claimed = match done {
        Ok(()) => 200,
        Err(error) => match error.applied {
            Applied::Nothing => 0,
            Applied::Partial { applied } => applied,
            Applied::Unknown => return Ok(()),
        },
    };
    // What it was sent the server may still be at.
    std::thread::sleep(Duration::from_millis(200));
    equal(what, all(store, Table::Mailbox)?, rows()[..claimed].to_vec())
}

fn unknown(done: &Result<(), EditError>) -> bool {
    matches!(done, Err(EditError { applied: Applied::Unknown, .. }))
}

/// A base of its own for each try.
fn site(server: &Slapd, name: &str) -> Result<(), Failed> {
    create(server, name, Names::ByKey, &[])
}

fn cut() -> Outcome {
    let server = native_server()?;
    let proxy = Proxy::start(&server.socket())?;
    let through = |name: &str| with(&[&format!("ldap://{}", proxy.address())], USER, PASSWORD, name, &[]);
    // The schema alone is tens of thousands of bytes; where it ends depends on the server.
    site(server, "edit-cut")?;
    let mut schema = 1 << 14;
    loop {
        proxy.set(Mode::CutAfter(schema));
        let done = apply(&*through("edit-cut")?, soon());
        holds("cut", &done, &*at(server, "edit-cut")?)?;
        if unknown(&done) || done.is_ok() {
            break;
        }
        schema += 1024;
        ensure(schema < 1 << 19, "never cut in the middle of the rows")?;
    }
    let mut unknowns = 0;
    for n in 0..20 {
        let name = format!("edit-cut{n}");
        site(server, &name)?;
        proxy.set(Mode::CutAfter(schema + n * 150));
        let done = apply(&*through(&name)?, soon());
        unknowns += usize::from(unknown(&done));
        holds(&name, &done, &*at(server, &name)?)?;
    }
    ensure(unknowns > 3, format!("{unknowns} of 20 were cut among the rows"))
}

fn late() -> Outcome {
    let server = native_server()?;
    for n in 0..12_u32 {
        let name = format!("edit-late{n}");
        site(server, &name)?;
        let store = at(server, &name)?;
        let done = apply(&*store, Deadline::after(Duration::from_millis(15) * n));
        holds(&name, &done, &*store)?;
    }
    Ok(())
}

fn killed() -> Outcome {
    let server = Slapd::start(Schema::Native, Certificate::Good)?;
    let mut failures = 0;
    for n in 0..6_u64 {
        let name = format!("edit-killed{n}");
        site(&server, &name)?;
        let store = at(&server, &name)?;
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(25 * (n + 1)));
                server.kill();
            });
            apply(&*store, soon())
        });
        failures += usize::from(done.is_err());
        server.run()?;
        holds(&name, &done, &*at(&server, &name)?)?;
    }
    server.kill();
    ensure(failures > 0, "it was never killed in time")
}
