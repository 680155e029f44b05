//! The loaders put into a server what they were told to.

use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::dataset;
use qmail_lookup_tests::load::ldap::foreign::{self, Foreign};
use qmail_lookup_tests::load::ldap::{Names, base, create};
use qmail_lookup_tests::server::slapd::{self, Certificate, Slapd};
use qmail_lookup_tests::subjects::ldap::native_server;

pub(crate) fn trials() -> Vec<Trial> {
    if slapd::missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    let trial = |name: &str, run: fn() -> Outcome| Trial::test(format!("loaders::ldap::{name}"), run);
    vec![
        trial("every_row_becomes_an_entry", || every_row("rows-by-key", Names::ByKey)),
        trial("every_row_becomes_an_entry_of_any_name", || every_row("rows-by-number", Names::ByNumber)),
        trial("other_schemas_hold_what_they_can_say", others),
        trial("a_row_that_the_server_refuses_is_told", || {
            let created = create(native_server()?, "rows-refused", Names::ByKey, &dataset::rows());
            equal("refused", created.is_err(), true)
        }),
    ]
}

fn every_row(name: &str, names: Names) -> Outcome {
    let (server, rows) = (native_server()?, names.shape().rows(&dataset::rows()));
    create(server, name, names, &rows)?;
    let count = |filter: &str| -> Result<usize, Failed> {
        Ok(server.search(&base(name), "sub", filter)?.lines().filter(|line| line.starts_with("dn:")).count())
    };
    equal("entries", count("(objectClass=*)")?, rows.len() + 5)?;
    // What a filter finds is what the rules will have to look through.
    equal("iain", count("(&(objectClass=qlookMailbox)(qlookUser=IAIN))")?, 1)?;
    equal("empty extensions", count("(&(objectClass=qlookAliasRow)(!(qlookAlias=*)))")?, 3)?;
    equal("the same row twice", count("(&(qlookVirtualHost=shop.com)(qlookVirtualUser=again))")?, 2)
}

fn others() -> Outcome {
    for (kind, rows) in [(Foreign::QmailLdap, 300), (Foreign::Posix, 250)] {
        let all = kind.shape().rows(&dataset::rows());
        let said = kind.rows(all);
        ensure(said.len() > rows, format!("{kind:?}: only {}", said.len()))?;
        // What they hold they hold again.
        equal("again", kind.rows(said.clone()).len() >= said.len(), true)?;
        let server = Slapd::start(kind.names().1, Certificate::Good)?;
        let name = kind.names().0;
        foreign::load(&server, name, kind, &said)?;
        let entries = server.search(&base(name), "sub", "(uid=iain)")?;
        equal("iain", entries.matches("dn:").count(), 1)?;
        server.kill();
    }
    Ok(())
}
