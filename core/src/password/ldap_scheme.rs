//! `{SCHEME}value`, the form of LDAP's userPassword (RFC 2307).

use super::salted::Salted;
use super::{Form, Reason, crypt, mysql, plain};

/// Finds the family of scheme `name` and reads `value`. The name's case does not matter.
pub(super) fn parse<'a>(name: &[u8], value: &'a [u8]) -> Result<Form<'a>, Reason> {
    if value.is_empty() {
        return Err("nothing follows the scheme");
    }
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    if is("CRYPT") {
        return crypt::parse(value);
    }
    if is("ARGON2") {
        return super::argon2::Argon2Hash::parse(value).map(Form::Argon2);
    }
    if is("CLEARTEXT") {
        return plain::Plain::parse(value).map(Form::Plain);
    }
    if is("MYSQL") {
        return mysql::Scramble::parse(value).map(Form::Mysql);
    }
    match Salted::parse(name, value) {
        Some(salted) => salted.map(Form::Salted),
        None => Err("unknown {SCHEME}"),
    }
}
