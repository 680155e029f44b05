//! Filters. A key stands in one only as escaped bytes, so it cannot be syntax.

use super::mapping::{AliasMap, Mapping, VirtualMap};
use super::search::Search;
use super::subschema::Subschema;
use crate::question::Question;
use qmail_lookup_core::{AliasKey, VirtualKey};
use std::fmt::Write as _;

/// `bytes` as the value of a filter: everything but ASCII letters and digits as `\xx` (RFC 4515, 3).
pub(super) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 3), |mut out, &b| {
        if b.is_ascii_alphanumeric() {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\{b:02x}");
        }
        out
    })
}

fn equals(attribute: &str, value: &[u8]) -> String {
    format!("({attribute}={})", escaped(value))
}

fn present(attribute: &str) -> String {
    format!("({attribute}=*)")
}

/// Absent, or there with an empty value.
fn blank(attribute: &str) -> String {
    format!("(|(!({attribute}=*))({attribute}=))")
}

fn one_of(mut filters: Vec<String>) -> String {
    filters.sort_unstable();
    filters.dedup();
    if filters.len() == 1 { filters.concat() } else { format!("(|{})", filters.concat()) }
}

fn all_of(filters: &[String]) -> String {
    format!("(&{})", filters.concat())
}

/// The searches that answer a question: one, and one more for each host of which any row will do. None if no entry
/// can be what is asked for. Without a schema, as for a server that can do everything.
pub(super) fn searches(question: &Question, mapping: &Mapping, schema: Option<&Subschema>) -> Vec<Search> {
    let table = question.table();
    let Some(place) = mapping.place(table) else { return Vec::new() };
    let attributes = attributes(question, mapping);
    let search = |keys: String, one: bool| {
        let class = format!("(objectClass={})", place.class);
        let filter = all_of(&[class, place.filter.unwrap_or_default().to_owned(), keys]);
        let attributes =
            if matches!(question, Question::AnyMailbox) { vec!["1.1".to_owned()] } else { attributes.clone() };
        Search { base: place.base.to_owned(), filter, attributes, one }
    };
    let mut all = Vec::new();
    let mut put = |keys: Vec<String>| {
        if !keys.is_empty() {
            all.push(search(one_of(keys), false));
        }
    };
    match question {
        Question::Mailboxes(names) | Question::Credentials(names) => {
            let username = mapping.mailbox.as_ref().map(|map| map.username.as_str()).unwrap_or_default();
            put(names.iter().map(|name| equals(username, name.as_bytes())).collect());
        }
        Question::Rcpthosts(hosts) => {
            let attribute = mapping.rcpthosts.as_ref().map(|map| map.host.as_str()).unwrap_or_default();
            put(hosts.iter().map(|host| equals(attribute, host.as_bytes())).collect());
        }
        Question::Aliases(keys) => {
            if let Some(map) = &mapping.alias {
                put(alias(keys, map));
            }
        }
        Question::Virtuals(keys) => {
            if let Some(map) = &mapping.virtuals {
                put(keys.iter().filter_map(|key| virtual_key(key, map, schema)).collect());
                for key in keys.iter().filter(|key| matches!(key, VirtualKey::Any { .. })) {
                    all.push(search(any_of_host(key.host().as_bytes(), map), true));
                }
            }
        }
        Question::AnyMailbox => {
            let username = mapping.mailbox.as_ref().map(|map| present(&map.username));
            all.extend(username.map(|keys| search(keys, true)));
        }
    }
    all
}

/// The attributes to be read, by name. Questions of routing never name that of the password.
fn attributes(question: &Question, mapping: &Mapping) -> Vec<String> {
    let named = mapping.attributes(question.table()).into_iter();
    let secret = |column: &str| column == "password" && !matches!(question, Question::Credentials(_));
    let mut names: Vec<_> =
        named.filter(|named| !secret(named.column)).map(|named| named.attribute.to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One filter for each user asked about.
fn alias(keys: &[AliasKey], map: &AliasMap) -> Vec<String> {
    let mut filters = Vec::new();
    for same_user in keys.chunk_by(|a, b| a.username == b.username) {
        let Some(first) = same_user.first() else { continue };
        let whose = match (&map.username, &map.owner) {
            (Some(username), _) => equals(username, first.username.as_bytes()),
            (None, Some(owner)) if owner.eq_ignore_ascii_case(first.username.as_str()) => String::new(),
            (None, _) => continue,
        };
        let extensions = same_user.iter().filter_map(|key| match &map.alias {
            Some(alias) if key.alias.as_bytes().is_empty() => {
                // Where all rows are one user's, the name of the alias is what an entry is about.
                map.username.is_some().then(|| blank(alias))
            }
            Some(alias) => Some(equals(alias, key.alias.as_bytes())),
            None => key.alias.as_bytes().is_empty().then(String::new),
        });
        let extensions: Vec<_> = extensions.collect();
        if !extensions.is_empty() {
            filters.push(match (whose.is_empty(), one_of(extensions)) {
                (true, extensions) => extensions,
                (false, extensions) if extensions.is_empty() => whose,
                (false, extensions) => all_of(&[whose, extensions]),
            });
        }
    }
    filters
}

fn virtual_key(key: &VirtualKey, map: &VirtualMap, schema: Option<&Subschema>) -> Option<String> {
    let host = key.host().as_bytes();
    let Some(host_attribute) = &map.host else { return address_key(key, map) };
    // One column of the tables is two attributes here; either may hold what is asked for.
    let attributes: Vec<&String> = map.user.iter().chain(&map.pattern).collect();
    let nobody = all_of(&attributes.iter().map(|name| blank(name)).collect::<Vec<_>>());
    let users = match key {
        VirtualKey::Any { .. } => return None,
        VirtualKey::Exact { user, .. } if user.as_bytes().is_empty() => nobody,
        VirtualKey::Exact { user, .. } => one_of(attributes.iter().map(|name| equals(name, user.as_bytes())).collect()),
        VirtualKey::Patterns { .. } => {
            let mut patterns: Vec<_> = map.pattern.iter().map(|name| present(name)).collect();
            if let Some(user) = &map.user {
                // A server that cannot search for parts has to give all of them.
                let can = schema.is_none_or(|schema| schema.has_parts(user));
                let wildcard = format!("(|({user}=*\\25*)({user}=*\\5f*))");
                patterns.push(if can { wildcard } else { present(user) });
            }
            patterns.push(nobody);
            one_of(patterns)
        }
    };
    Some(all_of(&[equals(host_attribute, host), users]))
}

fn address_key(key: &VirtualKey, map: &VirtualMap) -> Option<String> {
    let host = key.host().as_bytes();
    let user = match key {
        VirtualKey::Any { .. } => return None,
        VirtualKey::Exact { user, .. } if !user.as_bytes().is_empty() => user.as_bytes(),
        VirtualKey::Exact { .. } | VirtualKey::Patterns { .. } => map.catchall.as_ref()?.as_bytes(),
    };
    let address = [user, b"@", host].concat();
    Some(one_of(map.addresses.iter().map(|name| equals(name, &address)).collect()))
}

fn any_of_host(host: &[u8], map: &VirtualMap) -> String {
    match &map.host {
        Some(attribute) => equals(attribute, host),
        None => {
            let ending = escaped(&[b"@", host].concat());
            one_of(map.addresses.iter().map(|name| format!("({name}=*{ending})")).collect())
        }
    }
}

/// The searches as people would type them.
pub(super) fn text(question: &Question, mapping: &Mapping) -> String {
    let pieces = question.clone().pieces();
    let searches = pieces.iter().flat_map(|piece| searches(piece, mapping, None));
    let lines: Vec<_> = searches.map(|search| format!("-b '{}' '{}'", search.base, search.filter)).collect();
    if lines.is_empty() {
        return format!("nothing: table {} is not in the directory", question.table().name());
    }
    lines.join("\n")
}
