//! What a search gives of an entry.

use super::OBJECT_CLASS;
use ldap3::ResultEntry;
use std::collections::BTreeMap;

/// The attributes of one entry. Their names have no case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ldap) struct Attributes(BTreeMap<String, Vec<Vec<u8>>>);

impl Attributes {
    /// Reads an entry of a search: its DN and attributes. `None` if it is not one.
    pub(in crate::ldap) fn read(entry: ResultEntry) -> Option<(String, Self)> {
        let mut parts = entry.0.match_id(4)?.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let mut attributes = Self::default();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
            for value in parts.next()?.expect_constructed()? {
                attributes.add(&name, value.expect_primitive()?);
            }
        }
        Some((dn, attributes))
    }

    /// Adds one value.
    pub(in crate::ldap) fn add(&mut self, name: &str, value: Vec<u8>) {
        self.0.entry(name.to_ascii_lowercase()).or_default().push(value);
    }

    /// All values, in the server's order; none if the attribute is absent.
    pub(in crate::ldap) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.0.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The value of an attribute that has one at most.
    pub(in crate::ldap) fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).first().map(Vec::as_slice)
    }

    /// True if one of the entry's classes is `name`.
    pub(in crate::ldap) fn is_a(&self, name: &str) -> bool {
        self.values(OBJECT_CLASS).iter().any(|class| class.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Names in lower case and values.
    pub(in crate::ldap) fn iter(&self) -> impl Iterator<Item = (&str, &[Vec<u8>])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}
