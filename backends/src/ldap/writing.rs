//! The operations that an edit is made of, over one connection, and what their results mean for it.

use super::entry::{Attributes, Stored};
use super::filter::escaped;
use super::pages::{Found, Pages, Trouble};
use ldap3::controls::{Assertion, RawControl};
use ldap3::{Ldap, LdapResult, Mod, Scope};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Assertion control (RFC 4528).
const ASSERTION: &str = "1.3.6.1.1.12";
/// OpenLDAP's mark of an entry's last change.
pub(super) const VERSION: &str = "entryCSN";

/// A connection that changes are sent over.
pub(super) struct Writer {
    ldap: Ldap,
    /// The server can be told to change an entry only if it is as it was.
    asserts: bool,
    /// Changes that were sent and whose results have not come, and lists that were begun and not brought to an end.
    open: AtomicUsize,
}

/// What the server did with a change.
#[derive(Debug)]
pub(super) enum Done {
    /// It made it.
    Made,
    /// The entry is not there, or is not as it was.
    Gone,
    /// An entry of this name is there.
    Exists,
    /// The value to be changed is part of the entry's name.
    Named,
    /// A class that the entry keeps does not allow it.
    Class(String),
    /// The parent of the new entry is not there.
    NoParent,
    /// The values do not please it; the text is its reason.
    Refused(String),
    /// It made none, for a reason that is not the row's.
    Failed(LdapResult),
}

/// One modification of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// These are its values now; none takes it away.
    Set(String, Vec<Vec<u8>>),
    /// One value more.
    Add(String, Vec<u8>),
    /// One value less.
    Take(String, Vec<u8>),
}

impl Writer {
    /// Over `ldap`, which is bound.
    pub(super) async fn new(ldap: Ldap) -> Result<Self, Trouble> {
        let mut writer = Self { ldap, asserts: false, open: AtomicUsize::new(0) };
        let root = writer.read("", &["supportedControl"]).await?;
        let controls = root.as_ref().map_or(&[][..], |root| root.values("supportedControl"));
        writer.asserts = controls.iter().any(|oid| oid == ASSERTION.as_bytes());
        Ok(writer)
    }

    /// True if it is not known which of the changes so far were made.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// From here until [`Writer::end`] it is not known.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    /// It is known again.
    pub(super) fn end(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// The entry `dn`; `None` if it is not there.
    pub(super) async fn read(&self, dn: &str, attributes: &[&str]) -> Result<Option<Attributes>, Trouble> {
        let result = self.ldap.clone().search(dn, Scope::Base, "(objectClass=*)", attributes.to_vec()).await?;
        let (entries, result) = (result.0, result.1);
        if result.rc == 32 {
            return Ok(None);
        }
        if result.rc != 0 {
            return Err(Trouble::Result(result));
        }
        let entry = entries.into_iter().find(|entry| !entry.is_ref() && !entry.is_intermediate());
        entry.map(|entry| Attributes::read(entry).map(|(_, entry)| entry).ok_or(Trouble::Malformed)).transpose()
    }

    /// The entries below `base` that match `filter`, with all that a user may change, and their version.
    pub(super) async fn search(&self, base: &str, filter: String) -> Result<Vec<Found>, Trouble> {
        Pages::new(self.ldap.clone(), base, filter, ["*", VERSION]).all().await
    }

    /// Adds an entry.
    pub(super) async fn add(&self, dn: &str, classes: &[Vec<u8>], values: &[Stored]) -> Result<Done, Trouble> {
        let mut all: BTreeMap<&str, HashSet<Vec<u8>>> = BTreeMap::new();
        all.insert("objectClass", classes.iter().cloned().collect());
        for (name, value) in values {
            all.entry(name).or_default().insert(value.clone());
        }
        let all = all.into_iter().map(|(name, values)| (name.as_bytes().to_vec(), values)).collect();
        self.begin();
        let result = self.ldap.clone().add(dn, all).await?;
        Ok(match self.answered(result, values.iter().map(|(_, value)| value)) {
            // Of a new entry only the parent can be missing.
            Done::Gone => Done::NoParent,
            done => done,
        })
    }

    /// Removes the entry if it is as it was found.
    pub(super) async fn delete(&self, (dn, entry): &Found) -> Result<Done, Trouble> {
        let controls = self.unchanged(entry);
        self.begin();
        let result = self.ldap.clone().with_controls(controls).delete(dn).await?;
        Ok(self.answered(result, []))
    }

    /// Removes an entry that was just added.
    pub(super) async fn undo(&self, dn: &str) -> Result<Done, Trouble> {
        self.begin();
        let result = self.ldap.clone().delete(dn).await?;
        Ok(self.answered(result, []))
    }

    /// Modifies the entry if it is as it was found.
    pub(super) async fn modify(&self, (dn, entry): &Found, edits: &[Edit]) -> Result<Done, Trouble> {
        let mods = edits.iter().map(|edit| match edit {
            Edit::Set(name, values) => Mod::Replace(name.clone().into_bytes(), values.iter().cloned().collect()),
            Edit::Add(name, value) => Mod::Add(name.clone().into_bytes(), HashSet::from([value.clone()])),
            Edit::Take(name, value) => Mod::Delete(name.clone().into_bytes(), HashSet::from([value.clone()])),
        });
        let mods = mods.collect();
        let controls = self.unchanged(entry);
        self.begin();
        let result = self.ldap.clone().with_controls(controls).modify(dn, mods).await?;
        let values = edits.iter().flat_map(|edit| match edit {
            Edit::Set(_, values) => values.iter(),
            Edit::Add(_, value) | Edit::Take(_, value) => std::slice::from_ref(value).iter(),
        });
        Ok(self.answered(result, values))
    }

    /// Gives the entry another relative name, and takes the values of the old one away.
    pub(super) async fn rename(&self, (dn, entry): &Found, rdn: &str) -> Result<Done, Trouble> {
        let controls = self.unchanged(entry);
        self.begin();
        let result = self.ldap.clone().with_controls(controls).modifydn(dn, rdn, true, None).await?;
        Ok(self.answered(result, []))
    }

    /// Nobody else may have changed the entry since it was read. A server that has no such control, or tells no
    /// version, cannot be asked to see to that.
    fn unchanged(&self, entry: &Attributes) -> Vec<RawControl> {
        let Some(version) = entry.value(VERSION).filter(|_| self.asserts) else { return Vec::new() };
        let mut control = Assertion::new(format!("({VERSION}={})", escaped(version)));
        control.crit = true;
        vec![control]
    }

    fn answered<'v>(&self, result: LdapResult, values: impl IntoIterator<Item = &'v Vec<u8>>) -> Done {
        self.end();
        match result.rc {
            0 if result.refs.is_empty() => Done::Made,
            16 | 32 | 122 => Done::Gone,
            64 | 67 => Done::Named,
            65 => Done::Class(reason(&result, values)),
            68 => Done::Exists,
            18 | 19 | 20 | 21 | 34 | 66 | 69 => Done::Refused(reason(&result, values)),
            _ => Done::Failed(result),
        }
    }
}

/// The server's reason, unless it repeats a value.
fn reason<'v>(result: &LdapResult, values: impl IntoIterator<Item = &'v Vec<u8>>) -> String {
    let word = match result.rc {
        18 => "inappropriate matching",
        19 => "constraint violation",
        20 => "attribute or value exists",
        21 => "invalid attribute syntax",
        34 => "invalid name",
        65 => "object class violation",
        66 => "there are entries below it",
        _ => "object class change prohibited",
    };
    let quotes = values.into_iter().any(|value| {
        let text = String::from_utf8_lossy(value);
        !text.is_empty() && result.text.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
    });
    match result.text.as_str() {
        "" => format!("{word} ({})", result.rc),
        _ if quotes => format!("{word} ({})", result.rc),
        text => format!("{word} ({}): {text}", result.rc),
    }
}
