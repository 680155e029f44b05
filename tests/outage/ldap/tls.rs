//! Certificates that are not to be trusted: nothing is asked behind them.

use super::super::{answers, knows_nothing, trial};
use super::{base, compare, held};
use libtest_mimic::Trial;
use qmail_lookup_core::ErrorKind;
use qmail_lookup_tests::check::{Outcome, ensure};
use qmail_lookup_tests::load::ldap::{create, with};
use qmail_lookup_tests::server::certificates::certificates;
use qmail_lookup_tests::server::slapd::{Certificate, PASSWORD, Schema, Slapd, USER};
use std::path::Path;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |sentence, run| trial("ldap", sentence, run);
    vec![
        trial("a_certificate_of_another_ca_is_not_absent", wrong_ca),
        trial("an_expired_certificate_is_not_absent", || other_certificate(Certificate::Expired)),
        trial("a_certificate_of_another_address_is_not_absent", || other_certificate(Certificate::Elsewhere)),
        trial("a_server_without_tls_is_not_asked_where_tls_is_wanted", no_tls),
        trial("a_ca_file_that_is_no_certificate_is_not_absent", no_ca),
    ]
}

/// Before a connection stands, it is the server or the way to it that is at fault.
const DISTRUSTED: &[ErrorKind] = &[ErrorKind::Refused, ErrorKind::Unreachable];

fn verifying(
    address: &str,
    name: &str,
    ca: &Path,
) -> Result<std::sync::Arc<dyn qmail_lookup_core::Backend>, libtest_mimic::Failed> {
    let ca = ca.display().to_string();
    with(&[address], USER, PASSWORD, name, &[compare(), ("tls", "verify".into()), ("tls_ca", ca.into())])
}

fn wrong_ca() -> Outcome {
    let ((server, name), tls) = (base("wrong-ca")?, certificates()?);
    for address in [server.ldap(), server.ldaps()] {
        knows_nothing(&*verifying(&address, &name, &tls.foreign_ca)?, DISTRUSTED)?;
        answers(&*verifying(&address, &name, &tls.ca)?, &held())?;
    }
    Ok(())
}

fn other_certificate(certificate: Certificate) -> Outcome {
    let (server, tls) = (Slapd::start(Schema::Native, certificate)?, certificates()?);
    create(&server, "qmail", super::NAMES, &held())?;
    for address in [server.ldap(), server.ldaps()] {
        knows_nothing(&*verifying(&address, "qmail", &tls.ca)?, DISTRUSTED)?;
        // Who wants encryption but no proof of who answers gets that.
        let blindly = with(&[&address], USER, PASSWORD, "qmail", &[compare(), ("tls", "require".into())])?;
        answers(&*blindly, &held())?;
    }
    server.kill();
    Ok(())
}

/// The plain port speaks no TLS from the start, and the other one nothing else.
fn no_tls() -> Outcome {
    let ((server, name), tls) = (base("no-tls")?, certificates()?);
    let (plain, secure) = (server.ldap(), server.ldaps());
    let crossed = [plain.replace("ldap://", "ldaps://"), secure.replace("ldaps://", "ldap://")];
    let kinds = [ErrorKind::Refused, ErrorKind::Unreachable, ErrorKind::Timeout];
    crossed.iter().try_for_each(|address| knows_nothing(&*verifying(address, &name, &tls.ca)?, &kinds))
}

fn no_ca() -> Outcome {
    let ((server, name), tls) = (base("no-ca")?, certificates()?);
    for file in [tls.key.clone(), tls.ca.with_file_name("nothing-here.pem")] {
        // Refused when it is opened, or when it is asked: it must not be asked without a CA.
        if let Ok(store) = verifying(&server.ldaps(), &name, &file) {
            let kinds = [ErrorKind::Refused, ErrorKind::Unreachable, ErrorKind::Misconfigured];
            knows_nothing(&*store, &kinds)?;
        }
    }
    ensure(verifying(&server.ldaps(), &name, &tls.ca).is_ok(), "not even the right one is taken")
}
