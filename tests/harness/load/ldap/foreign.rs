//! Trees of other people's schemas: what of the data set they can say, and the entries that say it.

use super::{base, base64, escaped, instruction, skeleton, with};
use crate::server::slapd::{PASSWORD, Schema, Slapd, USER};
use crate::shape::{Ids, Shape};
use crate::subject::Opened;
use libtest_mimic::Failed;
use qmail_lookup_core::{Table, TableRow};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Whose schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// qmail-ldap's: one entry is a mailbox, its addresses, and the delivery of its own mail.
    QmailLdap,
    /// RFC 2307's: accounts, and forwards of user `alias`.
    Posix,
}

impl Foreign {
    /// What the attributes hold: ASCII keys, whole numbers, nothing empty, no order.
    #[must_use]
    pub fn shape(self) -> Shape {
        Shape {
            ids: Ids::Range(0, i64::MAX),
            unique: true,
            empty_names: false,
            empty_values: false,
            width: 128,
            ..Shape::documented()
        }
    }

    /// The rows among `all` that the schema can say, and those that come with them.
    #[must_use]
    pub fn rows(self, all: Vec<TableRow>) -> Vec<TableRow> {
        let entries = Entries::of(self, &all);
        let mut rows = all;
        rows.retain(|row| entries.can_say(row));
        if self == Self::QmailLdap {
            let names = rows.iter().filter(|row| row.table() == Table::Mailbox).filter_map(name).collect::<Vec<_>>();
            rows.extend(names.iter().enumerate().map(|(number, name)| own_address(number, name)));
        }
        for row in &mut rows {
            match row {
                // No attribute says it.
                TableRow::Mailbox(row) if self == Self::Posix => row.mailbox.suspended = None,
                _ => {}
            }
        }
        rows
    }

    /// Name of the mapping in the settings, and which server knows the schema.
    #[must_use]
    pub fn names(self) -> (&'static str, Schema) {
        match self {
            Self::QmailLdap => ("qmail-ldap", Schema::QmailLdap),
            Self::Posix => ("posix", Schema::Posix),
        }
    }
}

/// Every qmailUser must have an address. The entries get one each that nobody asks for.
fn own_address(number: usize, name: &[u8]) -> TableRow {
    let cell = |text: &str| Some(text.as_bytes().to_vec());
    let cells = [cell("own.invalid"), cell(&format!("n{number}")), Some(name.to_vec()), cell("")];
    TableRow::from_cells(Table::Virtual, cells)
}

fn name(row: &TableRow) -> Option<Vec<u8>> {
    row.cells().first().copied().flatten().map(<[u8]>::to_vec)
}

/// A store over a new base of the server, and one over an empty base.
///
/// # Errors
/// If they cannot be made, filled and opened.
pub fn filled(
    server: &Slapd,
    name: &str,
    foreign: Foreign,
    rows: &[TableRow],
    auth: &'static str,
) -> Result<Opened, Failed> {
    let empty = format!("{name}-empty");
    load(server, name, foreign, rows)?;
    load(server, &empty, foreign, &[])?;
    let settings: [(&str, Value); 2] = [("mapping", foreign.names().0.into()), ("auth", auth.into())];
    let at = |name: &str| with(&[&server.ldapi()], USER, PASSWORD, name, &settings);
    Ok(Opened { store: at(name)?, empty: Some(at(&empty)?), keep: Box::new(()) })
}

/// Makes a base and fills it.
///
/// # Errors
/// If it cannot be made, or refuses a row.
pub fn load(server: &Slapd, name: &str, foreign: Foreign, rows: &[TableRow]) -> Result<(), Failed> {
    server.add(&(skeleton(name)? + &Entries::of(foreign, rows).ldif(&base(name))?))
}

type Attributes = Vec<(&'static str, Vec<u8>)>;

struct Entries {
    foreign: Foreign,
    /// The entries of mailboxes, several for some names.
    people: Vec<(Vec<u8>, Attributes)>,
    /// Members by the name of the alias.
    aliases: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Entries {
    fn of(foreign: Foreign, rows: &[TableRow]) -> Self {
        let mut entries = Self { foreign, people: Vec::new(), aliases: BTreeMap::new() };
        for row in rows.iter().filter(|row| row.table() == Table::Mailbox && entries.can_say(row)).collect::<Vec<_>>() {
            entries.people.extend(entries.person(row));
        }
        for row in rows.iter().filter(|row| entries.can_say(row)).collect::<Vec<_>>() {
            entries.put(row);
        }
        entries
    }

    /// The entry of a mailbox row.
    fn person(&self, row: &TableRow) -> Option<(Vec<u8>, Attributes)> {
        let cells = row.cells();
        let cell = |n: usize| cells.get(n).copied().flatten().map(<[u8]>::to_vec);
        let (class, uid, gid): (&[u8], _, _) = match self.foreign {
            Foreign::QmailLdap => (b"qmailUser", "qmailUID", "qmailGID"),
            Foreign::Posix => (b"posixAccount", "uidNumber", "gidNumber"),
        };
        let mut entry = vec![
            ("objectClass", b"account".to_vec()),
            ("objectClass", class.to_vec()),
            ("uid", cell(0)?),
            (uid, cell(1)?),
            (gid, cell(2)?),
            ("homeDirectory", cell(3)?),
        ];
        let prefix: &[u8] = match cell(5)?.as_slice() {
            b"Password" => b"",
            b"Crypt-Password" => b"{CRYPT}",
            b"MySQL-Password" => b"{MYSQL}",
            _ => return None,
        };
        let stored = [prefix, &cell(4)?].concat();
        entry.extend((!stored.is_empty()).then_some(("userPassword", stored)));
        match (self.foreign, cell(6).as_deref()) {
            (Foreign::Posix, None | Some(b"N")) => entry.push(("cn", cell(0)?)),
            (Foreign::QmailLdap, Some(b"N")) => {}
            (Foreign::QmailLdap, Some(b"Y")) => entry.push(("accountStatus", b"noaccess".to_vec())),
            _ => return None,
        }
        Some((cell(0)?, entry))
    }

    /// True if there is an entry for `row`, or an attribute of one.
    fn can_say(&self, row: &TableRow) -> bool {
        let cells = row.cells();
        let cell = |n: usize| cells.get(n).copied().flatten().unwrap_or_default();
        let once = |name: &[u8]| self.people.iter().filter(|(known, _)| known == name).count() == 1;
        match (self.foreign, row) {
            (_, TableRow::Mailbox(_)) => cell(3).is_ascii() && self.person(row).is_some(),
            (Foreign::QmailLdap, TableRow::Alias(_)) => {
                // Its own path; forwards and programs depend on more than their row.
                cell(1).is_empty() && once(cell(0)) && matches!(cell(2), b"." | b"/")
            }
            (Foreign::QmailLdap, TableRow::Virtual(_)) => {
                let address = !cell(1).contains(&b'@') && cell(1).iter().chain(cell(0)).all(u8::is_ascii_graphic);
                let pattern = cell(1).iter().any(|byte| b"%_".contains(byte));
                // Of a value that is there already there is no second.
                cell(3).is_empty() && once(cell(2)) && address && !pattern && cell(1) != b"again"
            }
            (Foreign::Posix, TableRow::Alias(_)) => {
                let forward = !matches!(cell(2), b"" | b"." | b"/" | b"|");
                cell(0) == b"alias" && !cell(1).is_empty() && forward
            }
            (Foreign::Posix, TableRow::Virtual(_)) | (_, TableRow::Rcpthosts(_)) => false,
        }
    }

    fn put(&mut self, row: &TableRow) {
        let cells = row.cells();
        let cell = |n: usize| cells.get(n).copied().flatten().unwrap_or_default().to_vec();
        match row {
            TableRow::Alias(_) => {
                let line = instruction(&cell(2), &cell(3)).unwrap_or_default();
                let forward = line.strip_prefix(b"&").map(<[u8]>::to_vec);
                if self.foreign == Foreign::Posix {
                    self.aliases.entry(cell(1)).or_default().extend(forward);
                } else {
                    let attribute = if forward.is_some() { "mailForwardingAddress" } else { "mailMessageStore" };
                    self.add(&cell(0), attribute, &forward.unwrap_or(line));
                }
            }
            TableRow::Virtual(_) => {
                let user = if cell(1).is_empty() { b"catchall".to_vec() } else { cell(1) };
                let address = [user, cell(0)].join(&b'@');
                let first = self.people.iter().find(|(known, _)| *known == cell(2));
                let has = first.is_some_and(|(_, entry)| entry.iter().any(|(name, _)| *name == "mail"));
                self.add(&cell(2), if has { "mailAlternateAddress" } else { "mail" }, &address);
            }
            TableRow::Mailbox(_) | TableRow::Rcpthosts(_) => {}
        }
    }

    fn add(&mut self, owner: &[u8], attribute: &'static str, value: &[u8]) {
        for (_, entry) in self.people.iter_mut().filter(|(known, _)| known == owner) {
            entry.push((attribute, value.to_vec()));
        }
    }

    fn ldif(&self, base: &str) -> Result<String, Failed> {
        let mut ldif = String::new();
        for (number, (_, entry)) in self.people.iter().enumerate() {
            writeln!(ldif, "dn: description=n{number},ou=mailbox,{base}")?;
            for (attribute, value) in entry {
                writeln!(ldif, "{attribute}:: {}", base64(value))?;
            }
            ldif.push('\n');
        }
        for (alias, members) in &self.aliases {
            writeln!(ldif, "dn: cn={},ou=alias,{base}\nobjectClass: nisMailAlias", escaped(alias))?;
            writeln!(ldif, "cn:: {}", base64(alias))?;
            for member in members {
                writeln!(ldif, "rfc822MailMember:: {}", base64(member))?;
            }
            ldif.push('\n');
        }
        Ok(ldif)
    }
}
