//! The LDAP store on slapd: one server for each schema, one base for each subject.

mod excuses;

use super::{Candidate, there};
use crate::load::ldap::foreign::{self, Foreign};
use crate::load::ldap::{Names, filled};
use crate::server::certificates::certificates;
use crate::server::slapd::{self, Certificate, Schema, Slapd};
use crate::subject::Subject;
use excuses::Excuse;
use libtest_mimic::Failed;
use qmail_lookup_core::TableRow;
use serde_json::Value;
use std::sync::LazyLock;

type Settings = Vec<(&'static str, Value)>;

static NATIVE: LazyLock<Result<Slapd, String>> = LazyLock::new(|| start(Schema::Native));

fn start(schema: Schema) -> Result<Slapd, String> {
    let started = Slapd::start(schema, Certificate::Good);
    started.map_err(|failed| failed.message().unwrap_or("no reason given").to_owned())
}

/// The server with the native schema; it must not be disturbed.
///
/// # Errors
/// If it did not start.
pub fn native_server() -> Result<&'static Slapd, Failed> {
    NATIVE.as_ref().map_err(Failed::from)
}

pub(super) fn all() -> Vec<Candidate> {
    if let Some(why) = slapd::missing() {
        return vec![Candidate { kind: "ldap", subject: Err(("ldap".to_owned(), why)) }];
    }
    let compare = || -> Settings { vec![("auth", "compare".into())] };
    vec![
        there("ldap", native("ldap", Names::ByKey, move |_| Ok(compare()))),
        there("ldap", native("ldap-numbered", Names::ByNumber, move |_| Ok(compare()))),
        there(
            "ldap",
            without(native("ldap-bind", Names::ByKey, |_| Ok(vec![("auth", "bind".into())])), &[excuses::BIND]),
        ),
        there(
            "ldap",
            native("ldap-starttls", Names::ByKey, move |server| {
                Ok([compare(), verified()?, vec![("servers", vec![server.ldap()].into())]].concat())
            }),
        ),
        there(
            "ldap",
            native("ldap-ldaps", Names::ByKey, move |server| {
                Ok([compare(), verified()?, vec![("servers", vec![server.ldaps()].into())]].concat())
            }),
        ),
        there("ldap", foreign("ldap-qmail-ldap", Foreign::QmailLdap, |rows| Foreign::QmailLdap.rows(rows))),
        there("ldap", foreign("ldap-posix", Foreign::Posix, |rows| Foreign::Posix.rows(rows))),
    ]
}

fn verified() -> Result<Settings, Failed> {
    Ok(vec![("tls", "verify".into()), ("tls_ca", certificates()?.ca.display().to_string().into())])
}

fn native(
    name: &'static str,
    names: Names,
    settings: impl Fn(&Slapd) -> Result<Settings, Failed> + Send + Sync + 'static,
) -> Subject {
    let open = move |rows: &[_]| {
        let server = native_server()?;
        filled(server, name, names, rows, &settings(server)?)
    };
    without(Subject::new(name, names.shape(), open).complete(), &[excuses::ANY])
}

static QMAIL_LDAP: LazyLock<Result<Slapd, String>> = LazyLock::new(|| start(Schema::QmailLdap));
static POSIX: LazyLock<Result<Slapd, String>> = LazyLock::new(|| start(Schema::Posix));

/// The server with the schema of `kind`; it must not be disturbed.
///
/// # Errors
/// If it did not start.
pub fn foreign_server(kind: Foreign) -> Result<&'static Slapd, Failed> {
    let server = if kind == Foreign::QmailLdap { &QMAIL_LDAP } else { &POSIX };
    server.as_ref().map_err(Failed::from)
}

fn foreign(name: &'static str, kind: Foreign, rows: fn(Vec<TableRow>) -> Vec<TableRow>) -> Subject {
    let open = move |rows: &[_]| foreign::filled(foreign_server(kind)?, name, kind, rows, "compare");
    let own = if kind == Foreign::QmailLdap { excuses::QMAIL_LDAP } else { excuses::POSIX };
    without(Subject::new(name, kind.shape(), open).holding(rows), &[excuses::BOTH, own])
}

fn without(subject: Subject, excuses: &[&[Excuse]]) -> Subject {
    let all = excuses.iter().flat_map(|some| some.iter());
    all.fold(subject, |subject, excuse| subject.without(excuse.area, excuse.sentences, excuse.why))
}
