//! What the server's schema says about the mapped attributes.
//!
//! A filter on an attribute that a server does not know, or that it cannot compare, matches nothing and reports a
//! success. So does a search below a base that is hidden. Nothing that a connection says is believed before the schema
//! was read and the base of the table was seen over it.

use super::connection::Connection;
use super::error::Context;
use super::mapping::{MailboxMap, Mapping, Place, Used, filter_attributes};
use super::search::Search;
use crate::workers::Failure;
use ldap3::Scope;
use qmail_lookup_core::{ErrorKind, Table};
use std::collections::{HashMap, HashSet};
use tokio::sync::OnceCell;

/// What was seen over one connection.
#[derive(Default)]
pub(super) struct Known {
    schema: OnceCell<Subschema>,
    tables: [OnceCell<()>; Table::ALL.len()],
    passwords: OnceCell<()>,
}

/// The schema that a server publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Subschema {
    attributes: Vec<Attribute>,
    /// By name or number in lower case.
    by_name: HashMap<String, usize>,
    classes: HashSet<String>,
    /// Some servers publish no matching rules.
    has_rules: bool,
}

#[derive(Clone, Debug, Default)]
struct Attribute {
    /// In lower case.
    names: Vec<String>,
    parent: Option<String>,
    equality: Option<String>,
    substrings: Option<String>,
}

impl Known {
    /// The server's schema.
    pub(super) async fn schema(&self, conn: &Connection, at: &Context) -> Result<&Subschema, Failure> {
        self.schema.get_or_try_init(|| read(conn, at)).await
    }

    /// The server's schema, once it holds what `table` is mapped to and the base of `table` was seen.
    pub(super) async fn verified(
        &self,
        conn: &Connection,
        mapping: &Mapping,
        table: Table,
        at: &Context,
    ) -> Result<&Subschema, Failure> {
        let schema = self.schema(conn, at).await?;
        let place = Table::ALL.iter().position(|other| *other == table);
        if let (Some(seen), Some(place)) = (place.and_then(|n| self.tables.get(n)), mapping.place(table)) {
            let check = || async {
                if let Some(problem) = schema.problem(mapping, table) {
                    let error = at.error(ErrorKind::Schema, format!("table {table}: {problem}"));
                    let help = format!(
                        "load the schema there (qmail-lookup init --print), or correct mapping.{table}, or set it to false"
                    );
                    return Err(Failure::Answered(error.with_help(help)));
                }
                base_is_seen(conn, place, table, at).await?;
                attributes_are_seen(conn, mapping, table, at).await
            };
            seen.get_or_try_init(check).await?;
        }
        Ok(schema)
    }
}

impl Known {
    /// Succeeds if the password of some mailbox can be read. To an account that may not read them nobody has any, and
    /// everybody would seem to offer a wrong one.
    pub(super) async fn passwords_are_seen(
        &self,
        conn: &Connection,
        map: &MailboxMap,
        at: &Context,
    ) -> Result<(), Failure> {
        let check = || async {
            let name = &map.password;
            let search = Search {
                base: map.base.clone(),
                filter: format!("(&(objectClass={})({name}=*))", map.class),
                attributes: vec![name.clone()],
                one: true,
            };
            let entries = conn.search(&search, at).await?;
            if entries.iter().any(|entry| entry.attributes.value(name).is_some()) {
                return Ok(());
            }
            let who = at.bind_dn.as_deref().unwrap_or("anonymous");
            let error = at.error(ErrorKind::Refused, format!("attribute {name} of all mailboxes is absent or hidden"));
            Err(Failure::Answered(error.with_help(format!("let {who} read {name}, or use auth = \"bind\""))))
        };
        self.passwords.get_or_try_init(check).await.copied()
    }
}

async fn base_is_seen(conn: &Connection, place: Place<'_>, table: Table, at: &Context) -> Result<(), Failure> {
    let entries = conn.search_scope(&base_search(place.base, &["1.1"]), Scope::Base, at).await?;
    if !entries.is_empty() {
        return Ok(());
    }
    let who = at.bind_dn.as_deref().unwrap_or("anonymous");
    let what = format!("base {} of table {table} is missing or hidden", place.base);
    Err(Failure::Answered(at.error(ErrorKind::Schema, what).with_help(format!("let {who} read the entry"))))
}

/// Succeeds if the account may search by every mapped attribute and read it, as far as the first entries of the table
/// tell. One that is hidden would look as if no entry had it: a user part would become the catch-all, a suspended
/// mailbox an active one. Passwords have a check of their own. An empty table tells nothing; that is rule K4's business.
async fn attributes_are_seen(conn: &Connection, mapping: &Mapping, table: Table, at: &Context) -> Result<(), Failure> {
    let Some(place) = mapping.place(table) else { return Ok(()) };
    let class = format!("(objectClass={})", place.class);
    let one = |filter: String, attribute: &str| Search {
        base: place.base.to_owned(),
        filter,
        attributes: vec![attribute.to_owned()],
        one: true,
    };
    if conn.search(&one(class.clone(), "1.1"), at).await?.is_empty() {
        return Ok(());
    }
    for named in mapping.attributes(table).iter().filter(|named| named.column != "password") {
        let name = named.attribute;
        // Present or not is true of every entry, but undefined for who may not search by the attribute.
        let either = format!("(&{class}(|({name}=*)(!({name}=*))))");
        let searched = !conn.search(&one(either, "1.1"), at).await?.is_empty();
        let holders = conn.search(&one(format!("(&{class}({name}=*))"), name), at).await?;
        let read = holders.iter().all(|entry| entry.attributes.value(name).is_some());
        if !(searched && read) {
            let who = at.bind_dn.as_deref().unwrap_or("anonymous");
            let error = at.error(ErrorKind::Refused, format!("attribute {name} of table {table} is hidden from us"));
            return Err(Failure::Answered(error.with_help(format!("let {who} search and read {name}"))));
        }
    }
    Ok(())
}

fn base_search(base: &str, attributes: &[&str]) -> Search {
    Search {
        base: base.to_owned(),
        filter: "(objectClass=*)".to_owned(),
        attributes: attributes.iter().map(|&name| name.to_owned()).collect(),
        one: false,
    }
}

async fn read(conn: &Connection, at: &Context) -> Result<Subschema, Failure> {
    let root = conn.search_scope(&base_search("", &["subschemaSubentry"]), Scope::Base, at).await?;
    let named = root.first().and_then(|entry| entry.attributes.value("subschemaSubentry").map(<[u8]>::to_vec));
    let dn = named.and_then(|dn| String::from_utf8(dn).ok()).unwrap_or_else(|| "cn=Subschema".to_owned());
    let search = base_search(&dn, &["attributeTypes", "objectClasses"]);
    let entries = conn.search_scope(&search, Scope::Base, at).await?;
    let schema = entries.first().map(|entry| {
        let values = |name| entry.attributes.values(name).iter().map(|value| String::from_utf8_lossy(value));
        Subschema::new(values("attributeTypes"), values("objectClasses"))
    });
    schema.filter(|schema| !schema.attributes.is_empty()).ok_or_else(|| {
        let error = at.error(ErrorKind::Schema, format!("the server's schema, {dn}, cannot be read"));
        let who = at.bind_dn.as_deref().unwrap_or("anonymous");
        Failure::Answered(
            error.with_help(format!("let {who} read {dn}: without it an unknown attribute looks like no entry")),
        )
    })
}

impl Subschema {
    fn new<T: AsRef<str>>(attributes: impl Iterator<Item = T>, classes: impl Iterator<Item = T>) -> Self {
        let mut schema = Self::default();
        for text in attributes {
            let attribute = Attribute::read(text.as_ref());
            for name in &attribute.names {
                schema.by_name.insert(name.clone(), schema.attributes.len());
            }
            schema.has_rules |= attribute.equality.is_some();
            schema.attributes.push(attribute);
        }
        for text in classes {
            schema.classes.extend(Attribute::read(text.as_ref()).names);
        }
        schema
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.by_name.get(&name.to_ascii_lowercase()).and_then(|&n| self.attributes.get(n))
    }

    /// What the server calls an attribute in its answers, if that is not `name`.
    fn other_name(&self, name: &str) -> Option<&str> {
        let first = self.attribute(name)?.names.get(1)?;
        (!first.eq_ignore_ascii_case(name)).then_some(first)
    }

    /// A rule of the attribute, or of what it is derived from.
    fn rule<'a>(&'a self, name: &str, rule: impl Fn(&'a Attribute) -> Option<&'a String>) -> Option<&'a str> {
        let mut at = self.attribute(name);
        // A server cannot load a circle; should it, this ends.
        for _ in 0..16 {
            let attribute = at?;
            if let Some(found) = rule(attribute) {
                return Some(found);
            }
            at = attribute.parent.as_ref().and_then(|parent| self.attribute(parent));
        }
        None
    }

    /// True if a filter can ask for parts of its values.
    pub(super) fn has_parts(&self, name: &str) -> bool {
        !self.has_rules || self.rule(name, |attribute| attribute.substrings.as_ref()).is_some()
    }

    /// How values of an attribute are compared; empty if the server does not say.
    pub(super) fn comparison(&self, name: &str) -> Option<&str> {
        self.attribute(name)?;
        Some(self.rule(name, |attribute| attribute.equality.as_ref()).unwrap_or_default())
    }

    /// What keeps `table` from being asked for.
    pub(super) fn problem(&self, mapping: &Mapping, table: Table) -> Option<String> {
        let place = mapping.place(table)?;
        if !self.classes.contains(&place.class.to_ascii_lowercase()) {
            return Some(format!("the server's schema has no object class {}", place.class));
        }
        for named in mapping.attributes(table) {
            let name = named.attribute;
            let Some(equality) = self.comparison(name) else {
                return Some(format!("the server's schema has no attribute {name}"));
            };
            if let Some(other) = self.other_name(name) {
                return Some(format!("the server calls attribute {name} {other}; write that"));
            }
            let any_case = equality.to_ascii_lowercase().contains("caseignore");
            match named.used {
                Used::Read => {}
                _ if !self.has_rules => {}
                Used::Key | Used::Part if equality.is_empty() => {
                    return Some(format!("the server cannot compare attribute {name}"));
                }
                Used::Key | Used::Part if !any_case => {
                    return Some(format!("the server compares attribute {name} by {equality}, which minds the case"));
                }
                Used::Part if !self.has_parts(name) => {
                    return Some(format!("the server cannot search for parts of attribute {name}"));
                }
                Used::Key | Used::Part => {}
            }
        }
        let unknown = place.filter.into_iter().flat_map(filter_attributes).find(|name| self.attribute(name).is_none());
        unknown.map(|name| format!("the filter names attribute {name}, which the server's schema does not have"))
    }
}

impl Attribute {
    /// Reads a definition (RFC 4512, 4.1). The number is one of the names.
    fn read(text: &str) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().skip_while(|word| *word == "(");
        let plain = |word: &str| word.trim_matches('\'').to_owned();
        let mut read =
            Self { names: words.next().into_iter().map(str::to_ascii_lowercase).collect(), ..Self::default() };
        while let Some(word) = words.next() {
            match word {
                "NAME" => match words.next() {
                    Some("(") => {
                        let names = words.by_ref().take_while(|word| *word != ")");
                        read.names.extend(names.map(|name| plain(name).to_ascii_lowercase()));
                    }
                    Some(name) => read.names.push(plain(name).to_ascii_lowercase()),
                    None => {}
                },
                // Free text; what looks like a word of the definition in it must not count.
                "DESC" => {
                    let mut first = true;
                    for word in words.by_ref() {
                        if word.ends_with('\'') && !(first && word == "'") {
                            break;
                        }
                        first = false;
                    }
                }
                "SUP" => read.parent = words.next().map(plain),
                "EQUALITY" => read.equality = words.next().map(plain),
                "SUBSTR" => read.substrings = words.next().map(plain),
                _ => {}
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(attributes: &[&str], classes: &[&str]) -> Subschema {
        Subschema::new(attributes.iter(), classes.iter())
    }

    const UID: &str = "( 0.9.2342.19200300.100.1.1 NAME ( 'uid' 'userid' ) DESC 'RFC4519: user (login) EQUALITY id' \
                       EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{256} )";

    #[test]
    fn definitions_are_read() {
        let schema =
            schema(&[UID, "( 1.2 NAME 'x' SUP userid )", "(1.3 NAME 'y' DESC 'EQUALITY' )"], &["( 2.5 NAME 'C' )"]);
        assert_eq!(schema.comparison("UserID"), Some("caseIgnoreMatch"));
        assert_eq!(schema.comparison("x"), Some("caseIgnoreMatch"));
        assert_eq!(schema.comparison("1.3"), Some(""));
        assert_eq!(schema.comparison("z"), None);
        assert!(schema.has_parts("x") && !schema.has_parts("y"));
        assert_eq!([schema.other_name("userid"), schema.other_name("UID")], [Some("uid"), None]);
        assert_eq!(schema.other_name("0.9.2342.19200300.100.1.1"), Some("uid"));
        assert!(schema.classes.contains("c"));
    }

    #[test]
    fn the_native_schema_lacks_nothing_and_each_lack_is_named() {
        let text = include_str!("schema/qmail-lookup.schema");
        let definitions = |kind: &str| -> Vec<String> {
            let starts = text.split("\n").enumerate().filter(|(_, line)| line.starts_with(kind));
            let lines: Vec<_> = text.split('\n').collect();
            let whole = |n: usize| {
                let rest = lines[n + 1..].iter().take_while(|line| line.starts_with(' '));
                std::iter::once(&lines[n][kind.len()..]).chain(rest.copied()).collect::<Vec<_>>().join(" ")
            };
            starts.map(|(n, _)| whole(n)).collect()
        };
        let mut attributes = definitions("attributetype ");
        attributes.push("( 2.5.4.35 NAME 'userPassword' EQUALITY octetStringMatch )".to_owned());
        let classes = definitions("objectclass ");
        let native = Mapping::native("dc=x");
        let whole = Subschema::new(attributes.iter(), classes.iter());
        for table in Table::ALL {
            assert_eq!(whole.problem(&native, table), None, "{table}");
        }
        for table in Table::ALL {
            for named in native.attributes(table) {
                let without = attributes.iter().filter(|text| !text.contains(&format!("'{}'", named.attribute)));
                let problem = Subschema::new(without, classes.iter()).problem(&native, table);
                assert!(problem.is_some_and(|text| text.contains(named.attribute)), "{named:?}");
            }
            assert!(Subschema::new(attributes.iter(), [].iter()).problem(&native, table).is_some());
        }
        let exact: Vec<_> = attributes.iter().map(|text| text.replace("caseIgnore", "caseExact")).collect();
        assert!(Subschema::new(exact.iter(), classes.iter()).problem(&native, Table::Mailbox).is_some());
    }
}
