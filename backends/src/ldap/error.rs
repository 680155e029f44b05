//! The driver's errors and the servers' result codes in our words. What a server writes beside its code is left out:
//! it may quote a value.

use super::settings::{Address, Server, Settings, Tls};
use crate::workers::Failure;
use ldap3::{LdapError, LdapResult};
use qmail_lookup_core::{ErrorKind, LookupError};

/// What the texts name.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) place: String,
    /// `None` if nobody logs in.
    pub(super) bind_dn: Option<String>,
    tls: Tls,
    has_roots: bool,
    socket: bool,
}

/// Result codes (RFC 4511, appendix A) that mean something to us. Those above 80 are a client library's own.
pub(super) mod rc {
    pub(in super::super) const SUCCESS: u32 = 0;
    pub(in super::super) const SIZE_LIMIT: u32 = 4;
    pub(in super::super) const REFERRAL: u32 = 10;
    pub(in super::super) const CONSTRAINT: u32 = 19;
    pub(in super::super) const NO_SUCH_OBJECT: u32 = 32;
    pub(in super::super) const INVALID_CREDENTIALS: u32 = 49;
    pub(in super::super) const UNWILLING: u32 = 53;
}

impl Context {
    pub(super) fn new(settings: &Settings, server: &Server) -> Self {
        Self {
            place: server.at.to_string(),
            bind_dn: settings.bind.as_ref().map(|bind| bind.dn.clone()),
            tls: server.tls,
            has_roots: settings.roots.is_some(),
            socket: matches!(server.at, Address::Socket(_)),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> LookupError {
        LookupError::new(kind, self.place.clone(), what)
    }
}

/// What an error of the driver means for its connection and for asking again. `doing` completes "while ...".
pub(super) fn failure(error: LdapError, doing: &str, at: &Context) -> Failure {
    let answered = match &error {
        LdapError::LdapResult { result } => !is_lost(result.rc),
        LdapError::FilterParsing => true,
        _ => false,
    };
    let error = lookup_error(error, doing, at);
    if answered { Failure::Answered(error) } else { Failure::Lost(error) }
}

/// Codes by which a server says that it takes no questions now, so that another one should be asked: busy,
/// unavailable, other, and what a library says for a connection that is gone.
fn is_lost(code: u32) -> bool {
    matches!(code, 51 | 52 | 80 | 81 | 85 | 91)
}

/// The error for everybody above.
pub(super) fn lookup_error(error: LdapError, doing: &str, at: &Context) -> LookupError {
    match error {
        LdapError::LdapResult { result } => of_result(&result, doing, at),
        LdapError::Io { source } => of_io(source, at),
        LdapError::Rustls { source } => of_tls(&source, at),
        LdapError::DNSName { .. } => at.error(ErrorKind::Refused, "no certificate can name this host"),
        LdapError::Timeout { .. } => at.error(ErrorKind::Timeout, "no answer before the deadline"),
        LdapError::EndOfStream
        | LdapError::OpSend { .. }
        | LdapError::ResultRecv { .. }
        | LdapError::IdScrubSend { .. }
        | LdapError::MiscSend { .. } => at.error(ErrorKind::Unreachable, format!("the connection ended while {doing}")),
        LdapError::FilterParsing => at.error(ErrorKind::Misconfigured, "the filter is not one"),
        other => at.error(ErrorKind::Unreachable, format!("{other} while {doing}")),
    }
}

/// An error of the connection itself.
pub(super) fn of_io(error: std::io::Error, at: &Context) -> LookupError {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_tls(inner, at);
    }
    let what = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => error.to_string(),
    };
    let help = match error.kind() {
        std::io::ErrorKind::NotFound if at.socket => "is slapd running, and does its -h option name this socket?",
        std::io::ErrorKind::PermissionDenied => "the socket and its directory must be open to the daemon's user",
        std::io::ErrorKind::ConnectionRefused => "is the server running, and does it listen there?",
        _ => "is the server running, and can it be reached from here?",
    };
    at.error(ErrorKind::Unreachable, what).with_help(help).with_source(error)
}

fn of_tls(error: &rustls::Error, at: &Context) -> LookupError {
    let what = format!("no encrypted connection: {error}");
    let help = match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented if at.has_roots => {
            "does tls_ca hold the authority that signed the server's certificate, is the certificate still valid, and \
             does it name the server as it is written in servers?"
        }
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            "name the file with the authority's certificate in tls_ca; the certificate must be valid and name the \
             server as it is written in servers"
        }
        _ => "does the server speak TLS 1.2 or 1.3 on this port?",
    };
    at.error(ErrorKind::Refused, what).with_help(help)
}

/// The error for a result that is not a success.
pub(super) fn of_result(result: &LdapResult, doing: &str, at: &Context) -> LookupError {
    let (kind, name) = described(result.rc);
    let error = at.error(kind, format!("{name} (result {}) while {doing}", result.rc));
    match help(result.rc, at) {
        Some(help) => error.with_help(help),
        None => error,
    }
}

fn described(code: u32) -> (ErrorKind, &'static str) {
    match code {
        3 => (ErrorKind::Timeout, "the server's time limit was exceeded"),
        rc::SIZE_LIMIT => (ErrorKind::Refused, "the server's size limit cut the answer"),
        7 => (ErrorKind::Refused, "the server does not do simple binds"),
        8 => (ErrorKind::Refused, "the server wants a stronger login"),
        rc::REFERRAL => (ErrorKind::Refused, "the server refers to another one, which is not followed"),
        11 => (ErrorKind::Refused, "the server's administrative limit was exceeded"),
        13 => (ErrorKind::Refused, "the server wants an encrypted connection"),
        17 => (ErrorKind::Schema, "the server does not know an attribute"),
        rc::NO_SUCH_OBJECT => (ErrorKind::Schema, "there is no such entry"),
        34 => (ErrorKind::Misconfigured, "a DN is not one"),
        48 => (ErrorKind::Refused, "the entry has no password to log in with"),
        rc::INVALID_CREDENTIALS => (ErrorKind::Refused, "DN or password are wrong"),
        50 => (ErrorKind::Refused, "not allowed"),
        51 => (ErrorKind::Overloaded, "the server is busy"),
        52 => (ErrorKind::Unreachable, "the server is unavailable"),
        rc::UNWILLING => (ErrorKind::Refused, "the server is unwilling"),
        81 | 91 => (ErrorKind::Unreachable, "the server could not be reached"),
        85 => (ErrorKind::Timeout, "no answer in time"),
        1 | 2 | 80 => (ErrorKind::Unreachable, "the server failed"),
        _ => (ErrorKind::Refused, "the server refused"),
    }
}

fn help(code: u32, at: &Context) -> Option<String> {
    let who = at.bind_dn.as_deref().unwrap_or("anonymous");
    Some(match code {
        3 | rc::SIZE_LIMIT | 11 => format!("raise the limits for {who} on the server (slapd: limits)"),
        8 | 13 if at.tls == Tls::Off => "set tls = \"verify\"".to_owned(),
        rc::REFERRAL => "name the server that holds the entries in servers".to_owned(),
        rc::NO_SUCH_OBJECT => "is base right, and may the account see it?".to_owned(),
        rc::INVALID_CREDENTIALS => {
            format!("check bind_dn ({who}) and password_file, for example with ldapwhoami -x -y")
        }
        50 => format!("give {who} read access"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn context() -> Context {
        let settings =
            json!({"base": "dc=x", "servers": ["ldap://127.0.0.1"], "bind_dn": "cn=a", "password": "hunter2"});
        let settings = Settings::read(settings.as_object().cloned().unwrap()).unwrap();
        Context::new(&settings, &settings.servers[0])
    }

    fn result(code: u32) -> LdapResult {
        let quoted = "no such value: hunter2".to_owned();
        LdapResult { rc: code, matched: quoted.clone(), text: quoted, refs: Vec::new(), ctrls: Vec::new() }
    }

    #[test]
    fn a_code_is_named_and_what_the_server_quotes_is_not() {
        for code in 0..=255 {
            let error = of_result(&result(code), "searching", &context());
            assert!(error.what().contains(&format!("(result {code})")), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_server_that_cannot_answer_now_is_left_for_another() {
        let lost = |code| matches!(failure(LdapError::from(result(code)), "searching", &context()), Failure::Lost(_));
        let codes: Vec<_> = (0..=255).filter(|&code| lost(code)).collect();
        assert_eq!(codes, [51, 52, 80, 81, 85, 91]);
        assert!(matches!(failure(LdapError::EndOfStream, "searching", &context()), Failure::Lost(_)));
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |code| of_result(&result(code), "searching", &context()).kind();
        assert_eq!([kind(3), kind(85)], [ErrorKind::Timeout; 2]);
        assert_eq!([kind(4), kind(10), kind(11), kind(49), kind(50), kind(53)], [ErrorKind::Refused; 6]);
        assert_eq!([kind(17), kind(32)], [ErrorKind::Schema; 2]);
        assert_eq!([kind(52), kind(80), kind(81)], [ErrorKind::Unreachable; 3]);
        assert_eq!(kind(51), ErrorKind::Overloaded);
    }
}
