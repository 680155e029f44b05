//! Encryption that really verifies: the right authority and address, and every wrong one.

use super::super::{answers, knows_nothing, trial};
use super::{TABLES, held};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Backend, ErrorKind};
use qmail_lookup_tests::check::{Outcome, block_on, ensure};
use qmail_lookup_tests::load::{mysql::create, open};
use qmail_lookup_tests::model::soon;
use qmail_lookup_tests::server::certificates::{Certificates, certificates};
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("mariadb", sentence, run);
    vec![
        trial("a_certificate_of_our_authority_for_this_address_is_verified", verified),
        trial("a_certificate_that_nothing_vouches_for_is_not_absent", || {
            refused(|all| (&all.server, Some(&all.foreign_ca)))
        }),
        trial("a_certificate_that_the_system_does_not_know_is_not_absent", || refused(|all| (&all.server, None))),
        trial("a_certificate_of_another_address_is_not_absent", || refused(|all| (&all.elsewhere, Some(&all.ca)))),
        trial("an_expired_certificate_is_not_absent", || refused(|all| (&all.expired, Some(&all.ca)))),
        trial("an_account_that_requires_tls_is_not_absent_without_it", required),
    ]
}

/// A server on loopback that shows this certificate, and its address.
fn server(certificate: &Path) -> Result<(MariaDb, String), Failed> {
    let all = certificates()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let options = [
        "--skip-networking=0".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={port}"),
        format!("--ssl-ca={}", all.ca.display()),
        format!("--ssl-cert={}", certificate.display()),
        format!("--ssl-key={}", all.key.display()),
    ];
    let server = MariaDb::start(&options.each_ref().map(String::as_str))?;
    create(&server, "qmail", TABLES, &held())?;
    let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
    server.sql(&format!(
        "CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{quoted}'; GRANT SELECT ON qmail.* TO '{USER}'@'127.0.0.1'"
    ))?;
    Ok((server, format!("127.0.0.1:{port}")))
}

fn store(address: &str, tls: &str, ca: Option<&Path>) -> Result<Arc<dyn Backend>, Failed> {
    let mut settings = vec![
        ("servers", vec![address].into()),
        ("user", USER.into()),
        ("password", PASSWORD.into()),
        ("database", "qmail".into()),
        ("tls", tls.into()),
    ];
    settings.extend(ca.map(|ca| ("tls_ca", ca.display().to_string().into())));
    open("mysql", &settings)
}

fn verified() -> Outcome {
    let all = certificates()?;
    let (_server, address) = server(&all.server)?;
    let verified = store(&address, "verify", Some(&all.ca))?;
    answers(&*verified, &held())?;
    let facts = block_on(verified.facts(soon()))?;
    ensure(facts.tls.is_some_and(|protocol| protocol.starts_with("TLS")), "the connection is not encrypted")?;
    // Encrypted, and nobody asked who the server is.
    answers(&*store(&address, "require", None)?, &held())
}

fn refused(choose: fn(&Certificates) -> (&Path, Option<&std::path::PathBuf>)) -> Outcome {
    let (shown, ca) = choose(certificates()?);
    let (_server, address) = server(shown)?;
    knows_nothing(&*store(&address, "verify", ca.map(std::path::PathBuf::as_path))?, &[ErrorKind::Refused])
}

fn required() -> Outcome {
    let all = certificates()?;
    let (server, address) = server(&all.server)?;
    server.sql(&format!("ALTER USER '{USER}'@'127.0.0.1' REQUIRE SSL"))?;
    knows_nothing(&*store(&address, "off", None)?, &[ErrorKind::Refused])?;
    answers(&*store(&address, "verify", Some(&all.ca))?, &held())
}
