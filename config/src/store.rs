//! `[store]` and its overrides: which settings each role's store is opened with.
//!
//! `[store]` serves all three roles; `[store.mailbox]`, `[store.alias]` and `[store.virtual]` override it. An override
//! of the same kind is merged over `[store]`, one of another kind starts empty. rcpthosts follows the virtual role.
//! `kind`, `deadline`, `canary` and the role tables are taken out; the rest is the business of the kind's own reader.

use crate::refusal::Refusal;
use crate::settings::duration;
use qmail_lookup_backends::registry::{Entry, OpenContext, Registry};
use qmail_lookup_backends::trust::Proof;
use qmail_lookup_core::Username;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Time for a whole question, unless `store.deadline` says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Longest `store.deadline`.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// Keys of `[store]` that are not the store's own.
const LAYER_KEYS: [&str; 6] = ["kind", "deadline", "canary", "mailbox", "alias", "virtual"];

/// Of these, a higher layer or table that sets one unsets the other.
pub(crate) const RIVALS: [(&str, &str); 2] = [("password", "password_file"), ("password_file", "password")];

/// What a store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Mailboxes and their passwords.
    Mailbox,
    /// Delivery instructions.
    Alias,
    /// Virtual hosts and rcpthosts.
    Virtual,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mailbox, Self::Alias, Self::Virtual];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Alias => "alias",
            Self::Virtual => "virtual",
        }
    }
}

/// The store of one role.
#[derive(Clone)]
pub struct RoleStore {
    /// Its kind.
    pub kind: String,
    /// The table it is written in: `store` or `store.ROLE`.
    pub table: String,
    /// What it must show before its "none" is believed.
    pub proof: Proof,
    /// What the kind's reader gets. May hold a password.
    pub(crate) settings: Map<String, Value>,
    /// For each key of `settings` its path in the configuration.
    pub(crate) paths: BTreeMap<String, String>,
}

impl RoleStore {
    /// True if both are opened with the same settings, and so share one backend.
    #[must_use]
    pub fn same_backend(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }

    /// True if both name the same database, or the same part of a directory: at the same servers these are the same rows.
    #[must_use]
    pub fn same_rows(&self, other: &Self) -> bool {
        let same = |key: &&str| self.settings.get(*key) == other.settings.get(*key);
        let is_server = matches!(&*self.kind, "mysql" | "ldap");
        self.kind == other.kind && is_server && ["database", "base", "mapping"].iter().all(same)
    }

    /// Which database it is at its servers, or which part of a directory; empty for a file.
    #[must_use]
    pub fn part(&self) -> String {
        let named = ["database", "base", "mapping"].iter().filter_map(|key| Some((key, self.settings.get(*key)?)));
        named.map(|(key, value)| format!("{key} {}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(" ")
    }

    /// True if logins are decided by comparing what is stored with what is offered; false if a directory decides them.
    #[must_use]
    pub fn compares_passwords(&self) -> bool {
        self.kind != "ldap" || self.settings.get("auth").is_some_and(|auth| auth == "compare")
    }

    /// The path of a key of `settings`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        let end = key.find(['.', '[']).unwrap_or(key.len());
        let (first, rest) = key.split_at(end);
        match self.paths.get(first) {
            Some(path) => format!("{path}{rest}"),
            None if key.is_empty() => self.table.clone(),
            None => format!("{}.{key}", self.table),
        }
    }
}

impl fmt::Debug for RoleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.settings.keys().collect();
        write!(f, "RoleStore({} [{}] {keys:?} {:?})", self.kind, self.table, self.proof)
    }
}

/// The stores of all roles.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of [`Role::ALL`].
    roles: [RoleStore; 3],
    pub(crate) deadline: Duration,
}

impl Plan {
    /// The store of one role.
    #[must_use]
    pub fn role(&self, role: Role) -> &RoleStore {
        let [mailbox, alias, virtuals] = &self.roles;
        match role {
            Role::Mailbox => mailbox,
            Role::Alias => alias,
            Role::Virtual => virtuals,
        }
    }

    /// Reads the `[store]` table. The keys of refusals are paths from the top of the configuration.
    pub(crate) fn read(store: &Map<String, Value>, registry: &Registry) -> Result<Self, Refusal> {
        let deadline = deadline(store)?;
        let mailbox = role(store, Role::Mailbox, registry)?;
        let [mut alias, mut virtuals] = [role(store, Role::Alias, registry)?, role(store, Role::Virtual, registry)?];
        for other in [&mut alias, &mut virtuals] {
            if other.proof == Proof::None && other.same_backend(&mailbox) {
                other.proof = mailbox.proof.clone();
            }
        }
        Ok(Self { roles: [mailbox, alias, virtuals], deadline })
    }
}

fn deadline(store: &Map<String, Value>) -> Result<Duration, Refusal> {
    let Some(value) = store.get("deadline") else { return Ok(DEFAULT_DEADLINE) };
    let refuse = |problem: String| Refusal::new("store.deadline", problem);
    let length = duration(value).map_err(|error| refuse(error.to_string()))?;
    if length.is_zero() || length > DEADLINE_MAX {
        return Err(refuse("out of range; expected more than 0s and at most 60s".to_owned()));
    }
    Ok(length)
}

fn role(store: &Map<String, Value>, role: Role, registry: &Registry) -> Result<RoleStore, Refusal> {
    let table = format!("store.{}", role.as_str());
    let own = match store.get(role.as_str()) {
        None => None,
        Some(Value::Object(own)) => Some(own),
        Some(_) => return Err(Refusal::new(table.clone(), format!("expected a table [{table}]"))),
    };
    let general_kind = kind(store, "store", registry)?;
    let own_kind = own.map_or(Ok(None), |own| kind(own, &table, registry))?;
    let merged = own_kind.is_none() || own_kind.map(|entry| entry.kind) == general_kind.map(|entry| entry.kind);
    let Some(entry) = own_kind.or(general_kind) else {
        let kinds: Vec<&str> = registry.kinds().collect();
        return Err(Refusal::new("store.kind", format!("missing; expected one of {}", kinds.join(", "))));
    };
    let (mut settings, mut paths) = (Map::new(), BTreeMap::new());
    let mut add = |from: &Map<String, Value>, prefix: &str, out: &[&str]| {
        for (rival, key) in RIVALS {
            if from.contains_key(rival) && !from.contains_key(key) {
                settings.remove(key);
            }
        }
        for (key, value) in from.iter().filter(|(key, _)| !out.contains(&key.as_str())) {
            settings.insert(key.clone(), value.clone());
            paths.insert(key.clone(), format!("{prefix}.{key}"));
        }
    };
    if merged {
        add(store, "store", &LAYER_KEYS);
    }
    if let Some(own) = own {
        if own.contains_key("deadline") {
            let problem = "belongs into [store]: it is for a whole question, whichever stores are asked";
            return Err(Refusal::new(format!("{table}.deadline"), problem));
        }
        add(own, &table, &["kind", "canary"]);
    }
    // Merged like every other key; a blank one takes it back.
    let inherited = if merged { canary(store, "store")? } else { None };
    let name = own.map(|own| canary(own, &table)).transpose()?.flatten().or(inherited).flatten();
    let proof = match (role, name) {
        (_, Some(name)) => Proof::Canary(name),
        (Role::Mailbox, None) => Proof::NotEmpty,
        (Role::Alias | Role::Virtual, None) => Proof::None,
    };
    let table = if own.is_some() { table } else { "store".to_owned() };
    let role = RoleStore { kind: entry.kind.to_owned(), table, proof, settings, paths };
    check_keys(&role, entry)?;
    Ok(role)
}

fn kind<'a>(table: &Map<String, Value>, name: &str, registry: &'a Registry) -> Result<Option<&'a Entry>, Refusal> {
    let Some(value) = table.get("kind") else { return Ok(None) };
    let found = value.as_str().and_then(|kind| registry.find(kind));
    found.map(Some).ok_or_else(|| {
        let kinds: Vec<&str> = registry.kinds().collect();
        Refusal::new(format!("{name}.kind"), format!("not a kind of store; expected one of {}", kinds.join(", ")))
    })
}

/// The canary that a table names; `Some(None)` if it names none on purpose, with a blank.
fn canary(table: &Map<String, Value>, name: &str) -> Result<Option<Option<Username>>, Refusal> {
    let Some(value) = table.get("canary") else { return Ok(None) };
    if value.as_str() == Some("") {
        return Ok(Some(None));
    }
    let found = value.as_str().and_then(|text| Username::new(text.as_bytes()));
    found.map(|name| Some(Some(name))).ok_or_else(|| {
        let problem = "not a mailbox name in quotes: 1 to 128 printable ASCII bytes, no blanks";
        Refusal::new(format!("{name}.canary"), problem)
    })
}

/// Refuses keys that the kind does not know, and secrets that are not text: whose digits would they be?
fn check_keys(role: &RoleStore, entry: &Entry) -> Result<(), Refusal> {
    let own = known_keys(entry);
    for (key, value) in &role.settings {
        if own.is_some_and(|own| !own.contains(&key.as_str())) {
            let path = role.path_of(key);
            let general = path.matches('.').count() == 1;
            let layers = if general { &LAYER_KEYS[..] } else { &["kind", "canary"] };
            let known = own.unwrap_or_default().iter().chain(layers).map(|&known| known.to_owned()).collect();
            return Err(Refusal::unknown(path, known));
        }
        if key.contains("password") && !value.is_string() {
            return Err(Refusal::new(role.path_of(key), "expected text: put the value into quotes"));
        }
    }
    Ok(())
}

/// The keys of a kind, learned from how it refuses one that no kind can have; `None` if it does not refuse.
pub(crate) fn known_keys(entry: &Entry) -> Option<&'static [&'static str]> {
    let impossible = Map::from_iter([("\0".to_owned(), Value::Null)]);
    (entry.open)(impossible, &OpenContext::default()).err().map(|error| error.known)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
