//! userPassword, and columns password and password_type.

use super::NULL;
use qmail_lookup_core::Cell;
use qmail_lookup_core::password::looks_like_hash;

const PLAIN: &[u8] = b"Password";
const CRYPT: &[u8] = b"Crypt-Password";
const MYSQL: &[u8] = b"MySQL-Password";
/// What password_type reads when userPassword has several values: a type that nobody can log in by.
pub(super) const SEVERAL: &[u8] = b"several values of userPassword";

/// userPassword of (password, password_type); its inverse is [`password_cells`].
///
/// A value of type Password that looks like a hash never verifies in a table. A server would take it for a password in
/// clear and let in whoever has read it; behind `{CLEARTEXT}`, which no server binds with, it stays useless.
///
/// # Errors
/// A type that is not known, or a value that would read back as another type.
pub(in crate::ldap) fn stored_password(
    password: Option<&[u8]>,
    kind: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, String> {
    let password = password.ok_or(NULL)?;
    let stored = match kind {
        Some(PLAIN) | None if password.is_empty() => return Ok(None),
        Some(PLAIN) if looks_like_hash(password) && !password.starts_with(b"{") => [CLEARTEXT, password].concat(),
        Some(PLAIN) => password.to_vec(),
        Some(CRYPT) if password.starts_with(b"$argon2") => [ARGON2, password].concat(),
        Some(CRYPT) => [b"{CRYPT}", password].concat(),
        Some(MYSQL) => [b"{MYSQL}", password].concat(),
        None => return Err("password_type is NULL, so its form is not known".to_owned()),
        Some(_) => return Err("password_type is none of Password, Crypt-Password, MySQL-Password".to_owned()),
    };
    let same = password_cells(std::slice::from_ref(&stored)) == (Some(password.to_vec()), kind.map(<[u8]>::to_vec));
    let problem = "of type Password with the scheme of another type; say that type, and leave the scheme out";
    if same { Ok(Some(stored)) } else { Err(problem.to_owned()) }
}

const CLEARTEXT: &[u8] = b"{CLEARTEXT}";
const ARGON2: &[u8] = b"{ARGON2}";

/// (password, password_type) of userPassword. `{CRYPT}`, `{ARGON2}` and `{MYSQL}` are the documented types; every
/// other scheme stays in front of its value, under type Password, and is verified there.
pub(in crate::ldap) fn password_cells(values: &[Vec<u8>]) -> (Cell, Cell) {
    let cells = |password: &[u8], kind: &[u8]| (Some(password.to_vec()), Some(kind.to_vec()));
    let value = match values {
        [] => return cells(b"", PLAIN),
        [value] => value.as_slice(),
        _ => return (None, Some(SEVERAL.to_vec())),
    };
    let after = |scheme: &[u8]| {
        let (head, rest) = value.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    if let Some(rest) = after(b"{CRYPT}") {
        return cells(rest, CRYPT);
    }
    if let Some(rest) = after(b"{MYSQL}") {
        return cells(rest, MYSQL);
    }
    if let Some(rest) = after(ARGON2).filter(|rest| rest.starts_with(b"$argon2")) {
        return cells(rest, CRYPT);
    }
    if let Some(rest) = after(CLEARTEXT).filter(|rest| looks_like_hash(rest) && !rest.starts_with(b"{")) {
        return cells(rest, PLAIN);
    }
    cells(value, PLAIN)
}
