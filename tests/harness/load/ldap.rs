//! Trees of entries on slapd, one entry a row.

pub mod foreign;

use super::open;
use crate::server::slapd::{PASSWORD, SUFFIX, Slapd, USER};
use crate::shape::{Ids, Shape};
use crate::subject::Opened;
use libtest_mimic::Failed;
use qmail_lookup_core::{Backend, Table, TableRow};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

/// How the entries are named, and by that which rows there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// By their keys, as the program names what it adds: no mailbox twice.
    ByKey,
    /// By numbers, as any directory may: two mailboxes of one name are two entries.
    ByNumber,
}

impl Names {
    /// What the native schema holds: ASCII keys, whole numbers, no empty string in a key, a home or a host.
    #[must_use]
    pub fn shape(self) -> Shape {
        Shape {
            ids: Ids::Range(i64::MIN, i64::MAX),
            unique: self == Self::ByKey,
            empty_names: false,
            empty_values: false,
            ..Shape::with_seq()
        }
    }
}

/// A store over a new base of the server, and one over an empty base; with further settings.
///
/// # Errors
/// If they cannot be made, filled and opened.
pub fn filled(
    server: &Slapd,
    name: &str,
    names: Names,
    rows: &[TableRow],
    settings: &[(&str, Value)],
) -> Result<Opened, Failed> {
    let empty = format!("{name}-empty");
    create(server, name, names, rows)?;
    create(server, &empty, names, &[])?;
    let at = |name: &str| with(&[&server.ldapi()], USER, PASSWORD, name, settings);
    Ok(Opened { store: at(name)?, empty: Some(at(&empty)?), keep: Box::new(()) })
}

/// Opens the store of base `name`, as [`USER`], with `auth = "compare"`.
///
/// # Errors
/// If the registry refuses.
pub fn at(server: &Slapd, name: &str) -> Result<Arc<dyn Backend>, Failed> {
    with(&[&server.ldapi()], USER, PASSWORD, name, &[("auth", "compare".into())])
}

/// Opens the store of base `name` on any of `servers`, as anybody, with further settings, which win.
///
/// # Errors
/// If the registry refuses.
pub fn with(
    servers: &[&str],
    user: &str,
    password: &str,
    name: &str,
    settings: &[(&str, Value)],
) -> Result<Arc<dyn Backend>, Failed> {
    let mut all: Vec<(&str, Value)> = vec![
        ("servers", servers.into()),
        ("bind_dn", user.into()),
        ("password", password.into()),
        ("base", base(name).into()),
    ];
    all.retain(|(key, _)| settings.iter().all(|(other, _)| other != key));
    all.extend(settings.iter().cloned());
    open("ldap", &all)
}

/// The base of this name.
#[must_use]
pub fn base(name: &str) -> String {
    format!("dc={name},{SUFFIX}")
}

/// The name of the part of the tree that holds a table.
fn place(table: Table, base: &str) -> String {
    format!("ou={table},{base}")
}

/// Makes a base and fills it.
///
/// # Errors
/// If it cannot be made, or refuses a row.
pub fn create(server: &Slapd, name: &str, names: Names, rows: &[TableRow]) -> Result<(), Failed> {
    server.add(&(skeleton(name)? + &ldif(name, names, rows)?))
}

/// The base and the four places in it.
fn skeleton(name: &str) -> Result<String, Failed> {
    let base = base(name);
    let mut ldif = format!("dn: {base}\nobjectClass: dcObject\nobjectClass: organization\ndc: {name}\no: {name}\n\n");
    for table in Table::ALL {
        write!(ldif, "dn: {}\nobjectClass: organizationalUnit\nou: {table}\n\n", place(table, &base))?;
    }
    Ok(ldif)
}

/// The rows as entries below base `name`. Not by way of the store's own editor.
///
/// # Errors
/// If a row has no form as an entry.
pub fn ldif(name: &str, names: Names, rows: &[TableRow]) -> Result<String, Failed> {
    numbered(name, names, rows, 0)
}

/// The same; `first` is the number of the first, so that more can be added later.
///
/// # Errors
/// If a row has no form as an entry.
pub fn numbered(name: &str, names: Names, rows: &[TableRow], first: usize) -> Result<String, Failed> {
    let (base, mut taken, mut ldif) = (base(name), BTreeSet::new(), String::new());
    for (number, row) in rows.iter().enumerate().map(|(n, row)| (first + n, row)) {
        let entry = Entry::of(row).ok_or_else(|| format!("{row:?} has no form as an entry"))?;
        let by_number = format!("description=n{number}");
        let rdn = match (names, entry.name()) {
            (Names::ByKey, Some(by_key)) if taken.insert((row.table(), by_key.clone())) => by_key,
            // The documented tables have no key there: the same row may come twice.
            (Names::ByKey, Some(by_key)) if row.table() == Table::Virtual => format!("{by_key}+{by_number}"),
            _ => by_number,
        };
        writeln!(ldif, "dn: {rdn},{}", place(row.table(), &base))?;
        for (attribute, value) in &entry.attributes {
            writeln!(ldif, "{attribute}:: {}", base64(value))?;
        }
        ldif.push('\n');
    }
    Ok(ldif)
}

/// Longest name of an entry by its key. Unit: bytes. mdb stores a name twice in a key of at most 511 bytes.
const NAME_MAX: usize = 220;

/// The full name of the entry of a row that is named by its key.
///
/// # Errors
/// If it has none.
pub fn name_of(name: &str, row: &TableRow) -> Result<String, Failed> {
    let rdn = Entry::of(row).and_then(|entry| entry.name()).ok_or_else(|| format!("{row:?} has no name"))?;
    Ok(format!("{rdn},{}", place(row.table(), &base(name))))
}

struct Entry {
    attributes: Vec<(&'static str, Vec<u8>)>,
    /// Which of them name it.
    key: &'static [&'static str],
}

impl Entry {
    /// The entry of a row; `None` if it lacks a cell that the schema demands.
    fn of(row: &TableRow) -> Option<Self> {
        let cells = row.cells();
        let cell = |n: usize| cells.get(n).copied().flatten();
        let mut attributes = Vec::new();
        let mut add = |name, value: Option<&[u8]>| attributes.extend(value.map(|value| (name, value.to_vec())));
        let filled = |n: usize| cell(n).filter(|value| !value.is_empty());
        let key: &[&str] = match row {
            TableRow::Mailbox(_) => {
                add("objectClass", Some(b"qlookAccount"));
                add("objectClass", Some(b"qlookMailbox"));
                add("qlookUser", Some(cell(0)?));
                add("qlookUid", Some(cell(1)?));
                add("qlookGid", Some(cell(2)?));
                add("qlookHome", Some(cell(3)?));
                let prefix: &[u8] = match cell(5)? {
                    b"Password" => b"",
                    b"Crypt-Password" => b"{CRYPT}",
                    b"MySQL-Password" => b"{MYSQL}",
                    _ => return None,
                };
                let stored = [prefix, cell(4)?].concat();
                add("userPassword", Some(&stored).filter(|stored| !stored.is_empty()).map(Vec::as_slice));
                add("qlookSuspended", (cell(6)? == b"Y").then_some(b"TRUE"));
                &["qlookUser"]
            }
            TableRow::Alias(_) => {
                add("objectClass", Some(b"qlookAliasRow"));
                add("qlookUser", Some(cell(0)?));
                add("qlookAlias", filled(1));
                add("qlookInstruction", instruction(cell(2)?, cell(3)?).as_deref());
                add("qlookSeq", Some(cell(4)?));
                &["qlookSeq"]
            }
            TableRow::Virtual(_) => {
                add("objectClass", Some(b"qlookVirtual"));
                add("qlookVirtualHost", Some(cell(0)?));
                add("qlookUser", Some(cell(2)?));
                add("qlookExt", filled(3));
                let user = cell(1)?;
                match user {
                    b"" => &["qlookVirtualHost"],
                    _ if user.iter().any(|byte| b"%_".contains(byte)) => {
                        add("qlookVirtualPattern", Some(user));
                        &["qlookVirtualPattern", "qlookVirtualHost"]
                    }
                    _ => {
                        add("qlookVirtualUser", Some(user));
                        &["qlookVirtualUser", "qlookVirtualHost"]
                    }
                }
            }
            TableRow::Rcpthosts(_) => {
                add("objectClass", Some(b"qlookRcpt"));
                add("qlookRcptHost", Some(cell(0)?));
                &["qlookRcptHost"]
            }
        };
        Some(Self { attributes, key })
    }

    /// Its relative distinguished name; `None` if a key is nothing but blanks, which no name can be, or so long that
    /// the mdb database refuses the name.
    fn name(&self) -> Option<String> {
        let mut parts = self.attributes.iter().filter(|(name, _)| self.key.contains(name));
        let blank = |(_, value): &(&str, Vec<u8>)| value.trim_ascii().is_empty();
        let part = |(name, value): &(&str, Vec<u8>)| format!("{name}={}", escaped(value));
        let name = parts.clone().map(part).collect::<Vec<_>>().join("+");
        let length: usize = parts.clone().map(|(name, value)| name.len() + value.len()).sum();
        (!parts.any(blank) && length < NAME_MAX).then_some(name)
    }
}

/// One line as of a dot-qmail file; none for the FAQ's bogus row.
fn instruction(user: &[u8], host: &[u8]) -> Option<Vec<u8>> {
    match (user, host) {
        (b"", b"") => None,
        (b"." | b"/" | b"|", _) => Some([user, host].concat()),
        (_, b"") => Some([b"&", user].concat()),
        _ => Some([b"&", user, b"@", host].concat()),
    }
}

/// A value in a distinguished name, in lower case as it is compared: nothing in it is syntax.
fn escaped(value: &[u8]) -> String {
    value.to_ascii_lowercase().iter().fold(String::new(), |mut text, byte| {
        let _ = match byte {
            b'a'..=b'z' | b'0'..=b'9' => write!(text, "{}", char::from(*byte)),
            _ => write!(text, "\\{byte:02x}"),
        };
        text
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |group, byte| group << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[group >> (18 - 6 * place) & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, escaped, instruction};

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn names_hold_no_syntax() {
        assert_eq!(escaped(b"A+b, \0"), "a\\2bb\\2c\\20\\00");
    }

    #[test]
    fn instructions_are_dot_qmail_lines() {
        assert_eq!(instruction(b"", b""), None);
        assert_eq!(instruction(b".", b"/Maildir/"), Some(b"./Maildir/".to_vec()));
        assert_eq!(instruction(b"iain", b""), Some(b"&iain".to_vec()));
        assert_eq!(instruction(b"a", b"b.example"), Some(b"&a@b.example".to_vec()));
    }
}
