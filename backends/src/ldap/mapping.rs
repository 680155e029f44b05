//! Which entries and attributes stand for the documented tables and columns. A mapping is data: the named ones below,
//! or one of them with some of its fields replaced by the configuration.

mod named;

use super::settings::error;
use crate::registry::SettingsError;
use qmail_lookup_core::Table;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The names in `store.mapping`.
pub(super) const NAMES: [&str; 3] = ["native", "qmail-ldap", "posix"];

/// Where the rows of each table are. A table that is `None` is not in the directory: it reads as empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    pub(super) mailbox: Option<MailboxMap>,
    pub(super) alias: Option<AliasMap>,
    #[serde(rename = "virtual")]
    pub(super) virtuals: Option<VirtualMap>,
    pub(super) rcpthosts: Option<HostMap>,
}

/// Entries that are mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxMap {
    /// DN below which they are, itself included.
    pub(super) base: String,
    /// Their object class.
    pub(super) class: String,
    /// What else they must match.
    pub(super) filter: Option<String>,
    /// Each value is a name of the mailbox.
    pub(super) username: String,
    pub(super) uid: String,
    pub(super) gid: String,
    pub(super) home: String,
    /// The home of entries without `home`.
    pub(super) home_else: Option<String>,
    /// Stands before a home that is not absolute.
    pub(super) home_prefix: Option<String>,
    /// The uid of entries without one.
    pub(super) default_uid: Option<u32>,
    /// The gid of entries without one.
    pub(super) default_gid: Option<u32>,
    pub(super) password: String,
    pub(super) suspended: Option<String>,
    /// Values of `suspended` that mean active, in any case; absent means active, everything else suspended.
    pub(super) active: Vec<String>,
    /// Values of `suspended` whose mail bounces too.
    #[serde(default)]
    pub(super) bounced: Vec<String>,
}

/// Entries that hold delivery instructions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AliasMap {
    pub(super) base: String,
    pub(super) class: String,
    pub(super) filter: Option<String>,
    /// Whose. Without it all are `owner`'s.
    pub(super) username: Option<String>,
    pub(super) owner: Option<String>,
    /// The extension. Without it, or if it is absent, the empty one.
    pub(super) alias: Option<String>,
    pub(super) seq: Option<String>,
    /// Each value of each of them is one row.
    pub(super) deliveries: Vec<Delivery>,
    /// What an entry without any delivery means. Without it, a row that has no instruction, which is a mistake.
    pub(super) local: Option<Local>,
    /// Entries whose rows cannot be told. They have one row that has no instruction.
    pub(super) refuse: Vec<Test>,
    /// Entries without rows: qmail's own files decide.
    #[serde(default)]
    pub(super) files: Vec<Test>,
}

/// One attribute that holds instructions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivery {
    pub(super) attribute: String,
    pub(super) kind: DeliveryKind,
    /// Stands before a path that is not absolute.
    #[serde(default)]
    pub(super) prefix: Option<String>,
    /// All must hold.
    #[serde(default)]
    pub(super) only_if: Vec<Test>,
    /// None may hold.
    #[serde(default)]
    pub(super) unless: Vec<Test>,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryKind {
    /// A line as of a dot-qmail file.
    Line,
    /// An address.
    Forward,
    /// A command without the bar.
    Program,
    /// An mbox, or a maildir that ends in a slash.
    Path,
}

/// Delivery into the account itself, beside what else there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Local {
    /// The instruction where the entry names no path. Without it such an entry has no rows, and qmail's own files
    /// decide; but if it has other deliveries it cannot be told.
    pub(super) default: Option<String>,
    /// Entries without local delivery.
    pub(super) unless: Vec<Test>,
}

/// Holds if one of the values, in any case, is one of `any_of`; if that is empty, if there is a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) attribute: String,
    #[serde(default)]
    pub(super) any_of: Vec<String>,
}

/// Entries that are recipients of virtual hosts: by columns (`host` and what belongs to it) or by `addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VirtualMap {
    pub(super) base: String,
    pub(super) class: String,
    pub(super) filter: Option<String>,
    /// The owner.
    pub(super) username: String,
    pub(super) host: Option<String>,
    /// A user part, and a pattern; an entry with neither is the blank row.
    pub(super) user: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) ext: Option<String>,
    /// Attributes whose values are whole addresses.
    pub(super) addresses: Vec<String>,
    /// The user part of an address that stands for the blank row.
    pub(super) catchall: Option<String>,
}

/// Entries that are accepted domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostMap {
    pub(super) base: String,
    pub(super) class: String,
    pub(super) filter: Option<String>,
    /// Each value is a domain.
    pub(super) host: String,
}

/// What every table has.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) base: &'a str,
    pub(super) class: &'a str,
    pub(super) filter: Option<&'a str>,
}

/// An attribute that a mapping names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// The column it stands for.
    pub(super) column: &'static str,
    pub(super) attribute: &'a str,
    pub(super) used: Used,
}

/// What is asked of an attribute, apart from being known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Used {
    /// It is read.
    Read,
    /// A filter asks for its values, in any case.
    Key,
    /// A filter asks for parts of its values.
    Part,
}

impl Mapping {
    fn named(name: &str, base: &str) -> Result<Self, SettingsError> {
        match name {
            "native" => Ok(Self::native(base)),
            "qmail-ldap" => Ok(Self::qmail_ldap(base)),
            "posix" => Ok(Self::posix(base)),
            _ => Err(error("mapping", format!("not known; expected one of {}, or a table", NAMES.join(", ")))),
        }
    }

    /// Reads `store.mapping`: a name, or a table of what differs from the one named in its key `from` (native without
    /// it). In such a table `""` takes an attribute away and `false` a whole table.
    pub(super) fn read(value: Option<Value>, base: &str) -> Result<Self, SettingsError> {
        let mut changes = match value {
            None => return Self::named("native", base),
            Some(Value::String(name)) => return Self::named(&name, base),
            Some(Value::Object(changes)) => changes,
            Some(_) => return Err(error("mapping", "not usable, expected a name or a table")),
        };
        let from = match changes.shift_remove("from") {
            None => "native".to_owned(),
            Some(Value::String(name)) => name,
            Some(_) => return Err(error("mapping.from", "not usable, expected a string")),
        };
        let named = Self::named(&from, base)?;
        let mut whole = serde_json::to_value(named).map_err(|why| error("mapping", why.to_string()))?;
        overlay(&mut whole, Value::Object(changes));
        let mapping: Self = serde_path_to_error::deserialize(whole)
            .map_err(|why| error(&format!("mapping.{}", why.path()), why.inner().to_string()))?;
        mapping.check()?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), SettingsError> {
        for table in Table::ALL {
            let Some(place) = self.place(table) else { continue };
            let wrong = |key: &str, problem: &str| Err(error(&format!("mapping.{table}.{key}"), problem));
            if !is_name(place.class) {
                return wrong("class", "not the name of an object class");
            }
            if place.filter.is_some_and(|filter| !is_filter(filter)) {
                return wrong("filter", "not a filter in parentheses");
            }
            if let Some(bad) = self.attributes(table).into_iter().find(|named| !is_name(named.attribute)) {
                return wrong(bad.column, "not the name of an attribute");
            }
        }
        if let Some(alias) = &self.alias
            && alias.username.is_some() == alias.owner.is_some()
        {
            return Err(error("mapping.alias.username", "needed, or else owner, but not both"));
        }
        if let Some(virtuals) = &self.virtuals
            && virtuals.host.is_some() != virtuals.addresses.is_empty()
        {
            return Err(error("mapping.virtual.host", "needed, or else addresses, but not both"));
        }
        if self.virtuals.as_ref().is_some_and(|v| v.host.is_none() && (v.user.is_some() || v.pattern.is_some())) {
            return Err(error("mapping.virtual.user", "only with host, not with addresses"));
        }
        Ok(())
    }

    /// Where a table is; `None` if it is not in the directory.
    pub(super) fn place(&self, table: Table) -> Option<Place<'_>> {
        match table {
            Table::Mailbox => self.mailbox.as_ref().map(|m| Place::of(&m.base, &m.class, m.filter.as_deref())),
            Table::Alias => self.alias.as_ref().map(|m| Place::of(&m.base, &m.class, m.filter.as_deref())),
            Table::Virtual => self.virtuals.as_ref().map(|m| Place::of(&m.base, &m.class, m.filter.as_deref())),
            Table::Rcpthosts => self.rcpthosts.as_ref().map(|m| Place::of(&m.base, &m.class, m.filter.as_deref())),
        }
    }

    /// The same mapping with the entries of `table` elsewhere.
    pub(super) fn with_base(mut self, table: Table, base: &str) -> Self {
        let place = match table {
            Table::Mailbox => self.mailbox.as_mut().map(|map| &mut map.base),
            Table::Alias => self.alias.as_mut().map(|map| &mut map.base),
            Table::Virtual => self.virtuals.as_mut().map(|map| &mut map.base),
            Table::Rcpthosts => self.rcpthosts.as_mut().map(|map| &mut map.base),
        };
        if let Some(place) = place {
            base.clone_into(place);
        }
        self
    }

    /// The attributes that a table is made of, each for its column.
    pub(super) fn attributes(&self, table: Table) -> Vec<Named<'_>> {
        fn put<'a>(all: &mut Vec<Named<'a>>, column: &'static str, attribute: Option<&'a String>, used: Used) {
            all.extend(attribute.map(|attribute| Named { column, attribute, used }));
        }
        let mut all = Vec::new();
        match table {
            Table::Mailbox => {
                if let Some(map) = &self.mailbox {
                    put(&mut all, "username", Some(&map.username), Used::Key);
                    put(&mut all, "uid", Some(&map.uid), Used::Read);
                    put(&mut all, "gid", Some(&map.gid), Used::Read);
                    put(&mut all, "home", Some(&map.home), Used::Read);
                    put(&mut all, "home", map.home_else.as_ref(), Used::Read);
                    put(&mut all, "password", Some(&map.password), Used::Read);
                    put(&mut all, "suspended", map.suspended.as_ref(), Used::Read);
                }
            }
            Table::Alias => {
                if let Some(map) = &self.alias {
                    put(&mut all, "username", map.username.as_ref(), Used::Key);
                    put(&mut all, "alias", map.alias.as_ref(), Used::Key);
                    put(&mut all, "seq", map.seq.as_ref(), Used::Read);
                    let local = map.local.iter().flat_map(|local| &local.unless);
                    let mut tests: Vec<&Test> = map.refuse.iter().chain(&map.files).chain(local).collect();
                    for delivery in &map.deliveries {
                        put(&mut all, "alias_username", Some(&delivery.attribute), Used::Read);
                        tests.extend(delivery.only_if.iter().chain(&delivery.unless));
                    }
                    for test in tests {
                        put(&mut all, "deliveries", Some(&test.attribute), Used::Read);
                    }
                }
            }
            Table::Virtual => {
                if let Some(map) = &self.virtuals {
                    put(&mut all, "virtual_host", map.host.as_ref(), Used::Key);
                    put(&mut all, "virtual_username", map.user.as_ref(), Used::Key);
                    put(&mut all, "virtual_username", map.pattern.as_ref(), Used::Key);
                    put(&mut all, "username", Some(&map.username), Used::Read);
                    put(&mut all, "ext", map.ext.as_ref(), Used::Read);
                    for address in &map.addresses {
                        put(&mut all, "virtual_username", Some(address), Used::Part);
                    }
                }
            }
            Table::Rcpthosts => put(&mut all, "host", self.rcpthosts.as_ref().map(|map| &map.host), Used::Key),
        }
        all
    }
}

impl<'a> Place<'a> {
    fn of(base: &'a str, class: &'a str, filter: Option<&'a str>) -> Self {
        Self { base, class, filter }
    }
}

/// Puts `changes` over `whole`, table by table.
fn overlay(whole: &mut Value, changes: Value) {
    match (whole, changes) {
        (Value::Object(whole), Value::Object(changes)) => {
            for (key, change) in changes {
                overlay(whole.entry(key).or_insert(Value::Null), change);
            }
        }
        (whole, Value::Bool(false)) => *whole = Value::Null,
        (whole, Value::String(empty)) if empty.is_empty() => *whole = Value::Null,
        (whole, change) => *whole = change,
    }
}

/// True if `name` may be the name or number of an attribute or object class (RFC 4512, 1.4).
fn is_name(name: &str) -> bool {
    let numeric = name.starts_with(|c: char| c.is_ascii_digit());
    let allowed =
        |b: u8| if numeric { b.is_ascii_digit() || b == b'.' } else { b.is_ascii_alphanumeric() || b == b'-' };
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(allowed)
}

fn is_filter(text: &str) -> bool {
    text.starts_with('(') && text.ends_with(')') && ldap3::parse_filter(text).is_ok()
}

/// The attributes that an administrator's filter names.
pub(super) fn filter_attributes(filter: &str) -> impl Iterator<Item = &str> {
    let pieces = filter.split('(').filter_map(|piece| piece.split(['=', '~', '<', '>', ':', ')', ';']).next());
    pieces.map(str::trim).filter(|name| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_of_changes_keeps_the_rest() {
        let changes = json!({
            "from": "posix",
            "mailbox": {"base": "ou=people,dc=x", "suspended": "nsAccountLock", "active": ["false"], "default_uid": 800},
            "alias": false,
        });
        let mapping = Mapping::read(Some(changes), "dc=x").unwrap();
        let mailbox = mapping.mailbox.unwrap();
        assert_eq!((mailbox.base.as_str(), mailbox.uid.as_str()), ("ou=people,dc=x", "uidNumber"));
        assert_eq!((mailbox.suspended.as_deref(), mailbox.default_uid), (Some("nsAccountLock"), Some(800)));
        assert!(mapping.alias.is_none() && mapping.virtuals.is_none());
        let taken = Mapping::read(Some(json!({"mailbox": {"suspended": ""}})), "dc=x").unwrap();
        assert_eq!(taken.mailbox.unwrap().suspended, None);
    }

    #[test]
    fn names_are_the_three_and_each_is_sound() {
        for name in NAMES {
            let mapping = Mapping::read(Some(json!(name)), "dc=x").unwrap();
            assert_eq!(mapping.check(), Ok(()), "{name}");
            assert_eq!(Mapping::read(Some(json!({"from": name})), "dc=x"), Ok(mapping));
        }
        assert_eq!(Mapping::read(None, "dc=x").unwrap(), Mapping::native("dc=x"));
    }

    #[test]
    fn errors_name_their_key() {
        let bad = [
            ("mapping", json!("other")),
            ("mapping", json!(7)),
            ("mapping.from", json!({"from": 7})),
            ("mapping.mailbox", json!({"mailbox": {"colour": "x"}})),
            ("mapping.mailbox.uid", json!({"mailbox": {"uid": ""}})),
            ("mapping.mailbox.uid", json!({"mailbox": {"uid": "a)(b"}})),
            ("mapping.mailbox.class", json!({"mailbox": {"class": "*"}})),
            ("mapping.mailbox.filter", json!({"mailbox": {"filter": "(a=b"}})),
            ("mapping.mailbox.filter", json!({"mailbox": {"filter": "a=b"}})),
            ("mapping.alias.username", json!({"alias": {"owner": "alias"}})),
            ("mapping.alias.deliveries[0].kind", json!({"alias": {"deliveries": [{"attribute": "a", "kind": "b"}]}})),
            ("mapping.virtual.host", json!({"virtual": {"addresses": ["mail"]}})),
        ];
        for (key, value) in bad {
            let error = Mapping::read(Some(value.clone()), "dc=x").unwrap_err();
            assert!(error.key.starts_with(key), "{value}: {error:?}");
        }
    }

    #[test]
    fn the_attributes_of_a_filter_are_found() {
        let names: Vec<_> = filter_attributes("(&(a=1)(!(b-c>=2))(|(uid:dn:=x)(d=*)))").collect();
        assert_eq!(names, ["a", "b-c", "uid", "d"]);
    }
}
