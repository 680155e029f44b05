//! Verification of stored passwords (rules P1 and P2).
//!
//! | password_type | stored value | file |
//! |---|---|---|
//! | `Password` | the password, never a hash | `plain.rs` |
//! | `Password` | `{SCHEME}value`, as in LDAP's userPassword | `ldap_scheme.rs`, `salted.rs` |
//! | `Crypt-Password` | crypt(3), or argon2 | `crypt.rs` with `crypt_cost.rs` and `libcrypt.rs`, `argon2.rs` |
//! | `MySQL-Password` | `*` and 40 hex digits, or 16 hex digits | `mysql.rs` |
//! | none | `$id$`, `*` and 40 hex digits, `{SCHEME}`; all else is refused | `shape.rs` |
//!
//! A value is first read: its form, its length, its cost. Only then is anything hashed. New hashes are made in
//! `rehash.rs` and `argon2_new.rs` only.

mod argon2;
pub mod argon2_new;
mod crypt;
mod crypt_cost;
mod family;
mod ldap_scheme;
mod libcrypt;
pub mod limits;
mod mysql;
mod plain;
pub mod rehash;
mod salted;
mod secret;
mod shape;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use family::Family;
pub use secret::Secret;
pub use shape::looks_like_hash;

/// Why a stored value cannot be verified. Never holds any of it.
type Reason = &'static str;

/// Outcome of [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The same password.
    Match,
    /// Another password.
    Mismatch,
    /// The offered password is empty, too long or holds a NUL: nothing was compared.
    Unusable,
    /// The stored value cannot be verified; the text says why, never the value.
    Unverifiable(&'static str),
    /// It could not be found out now; trying again may help.
    NoAnswer(&'static str),
}

/// Compares `offered` with `stored`, whose form `password_type` names (any case; `None` if the table has no such
/// column). Blocks for as long as the hash takes, two seconds at most (see [`limits`]).
pub fn verify(stored: Option<&Secret>, password_type: Option<&[u8]>, offered: &Secret) -> Verdict {
    let offered = offered.expose();
    if offered.is_empty() || offered.len() > limits::OFFERED_MAX || offered.contains(&0) {
        return Verdict::Unusable;
    }
    match read(stored, password_type) {
        Ok(form) => form.compare(offered),
        Err(why) => Verdict::Unverifiable(why),
    }
}

/// Tells how [`verify`] would go about `stored`, without hashing anything.
///
/// # Errors
/// Why it cannot be verified by anybody, so that its owner cannot log in.
pub fn classify(stored: Option<&Secret>, password_type: Option<&[u8]>) -> Result<Family, &'static str> {
    read(stored, password_type).map(|form| form.family())
}

/// A stored value that has been read: well-formed and within the caps.
enum Form<'a> {
    Plain(plain::Plain<'a>),
    Crypt(crypt::Crypted<'a>),
    Argon2(argon2::Argon2Hash),
    Mysql(mysql::Scramble),
    Salted(salted::Salted),
}

impl Form<'_> {
    fn family(&self) -> Family {
        match self {
            Self::Plain(_) => Family::Plain,
            Self::Crypt(form) => form.family(),
            Self::Argon2(_) => Family::Argon2,
            Self::Mysql(form) => form.family(),
            Self::Salted(_) => Family::Digest,
        }
    }

    fn compare(&self, offered: &[u8]) -> Verdict {
        match self {
            Self::Plain(form) => form.compare(offered),
            Self::Crypt(form) => form.compare(offered),
            Self::Argon2(form) => form.compare(offered),
            Self::Mysql(form) => form.compare(offered),
            Self::Salted(form) => form.compare(offered),
        }
    }
}

fn read<'a>(stored: Option<&'a Secret>, password_type: Option<&[u8]>) -> Result<Form<'a>, Reason> {
    let stored = stored.map(Secret::expose).unwrap_or_default();
    if stored.is_empty() {
        return Err("no password is stored"); // PASSWORD('') is '' too: empty must never equal empty
    }
    if stored.len() > limits::STORED_MAX {
        return Err("the stored value is longer than any known form");
    }
    if stored.contains(&0) {
        return Err("the stored value holds a NUL byte");
    }
    let Some(password_type) = password_type else { return untyped(stored) };
    let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(password_type);
    if is("Password") {
        return match shape::scheme(stored) {
            Some((name, value)) => ldap_scheme::parse(name, value),
            None => plain::Plain::parse(stored).map(Form::Plain),
        };
    }
    if is("Crypt-Password") {
        return crypt::parse(stored);
    }
    if is("MySQL-Password") {
        return mysql::Scramble::parse(stored).map(Form::Mysql);
    }
    Err("an unknown password_type")
}

/// Without a type only a value that names its own form is verified: taking the rest for plain text would let a stolen
/// DES or old MySQL hash log in.
fn untyped(stored: &[u8]) -> Result<Form<'_>, Reason> {
    if shape::star(stored).is_some() {
        return mysql::Scramble::parse(stored).map(Form::Mysql);
    }
    if let Some((name, value)) = shape::scheme(stored) {
        return ldap_scheme::parse(name, value);
    }
    if shape::dollar(stored).is_some() {
        return crypt::parse(stored);
    }
    Err("there is no password_type, and the stored value does not say what it is")
}
