//! The order of the sources: defaults < `control/sqlserver` < TOML < `--store` (only `[store]`) < environment.
//!
//! Tables are merged key by key; lists and values replace. A layer that chooses another kind of store than those below
//! it replaces their `[store]` table: the keys of one kind mean nothing to another. The defaults are those of the typed
//! structs and form no layer.

use crate::error::{ConfigError, Place, Warning};
use crate::refusal::Refusal;
use crate::store::{RIVALS, Role};
use crate::toml::TomlFile;
use crate::variables::{Names, name_of};
use figment::value::Value as FigmentValue;
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a layer comes from, and how to find a key in it.
#[derive(Clone)]
pub(crate) enum Origin {
    /// The legacy file, with line and column by key of `[store]`.
    Sqlserver { path: PathBuf, lines: BTreeMap<String, (usize, usize)> },
    /// The TOML file.
    Toml(TomlFile),
    /// The URL after `--store`.
    StoreUrl,
    /// Environment variables.
    Environment(Names),
}

impl Origin {
    fn place(&self, key: &str) -> Place {
        match self {
            Self::Sqlserver { path, lines } => {
                let name = key.strip_prefix("store.").and_then(|key| key.split(['.', '[']).next());
                Place::File { path: path.clone(), at: name.and_then(|name| lines.get(name)).copied() }
            }
            Self::Toml(file) => file.place(key),
            Self::StoreUrl => Place::StoreUrl,
            Self::Environment(names) => {
                let bare = key.split('[').next().unwrap_or_default();
                let below =
                    || names.iter().find(|(path, _)| path.strip_prefix(bare).is_some_and(|r| r.starts_with('.')));
                let above =
                    || names.iter().find(|(path, _)| bare.strip_prefix(&***path).is_some_and(|r| r.starts_with('.')));
                let name = names.get(bare).or_else(|| above().or_else(below).map(|(_, name)| name));
                Place::Variable(name.cloned().unwrap_or_else(|| name_of(bare)))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Sqlserver { path, .. } => path.display().to_string(),
            Self::Toml(file) => file.path().display().to_string(),
            Self::StoreUrl => "--store".to_owned(),
            Self::Environment(names) => {
                let names: Vec<&str> = names.values().map(String::as_str).collect();
                format!("environment ({})", names.join(", "))
            }
        }
    }
}

/// One source.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    pub(crate) data: Map<String, Value>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.describe())
    }

    fn data(&self) -> Result<figment::value::Map<Profile, figment::value::Dict>, figment::Error> {
        let dict = FigmentValue::serialize(&self.data)?.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// All sources, lowest first, and what they say together.
#[derive(Clone)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    pub(crate) merged: Map<String, Value>,
    pub(crate) warnings: Vec<Warning>,
}

impl Layers {
    /// Merges `layers`, lowest first.
    pub(crate) fn stack(mut layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        for upper in 1..layers.len() {
            let (below, above) = layers.split_at_mut(upper);
            let Some(above) = above.first() else { continue };
            let kind = kind(&above.data);
            let other = below.iter().rev().find_map(|layer| self::kind(&layer.data));
            let replaces =
                matches!(above.origin, Origin::StoreUrl) || kind.is_some() && other.is_some() && kind != other;
            if !replaces {
                displace_rivals(below, &above.data);
                continue;
            }
            for layer in below {
                if let Some(warning) = empty_store(layer, &above.origin) {
                    warnings.push(warning);
                }
            }
        }
        let merged = layers
            .iter()
            .fold(Figment::new(), |figment, layer| figment.merge(layer))
            .extract::<Map<String, Value>>()
            .map_err(|_| ConfigError::new(Place::Nowhere, "", "the sources cannot be merged"))?;
        Ok(Self { layers, merged, warnings })
    }

    /// Where the value of a key path comes from; for a path that is nowhere, the nearest table around it.
    pub(crate) fn place(&self, key: &str) -> Place {
        let bare = key.split('[').next().unwrap_or_default();
        if let Some(layer) = self.layers.iter().rev().find(|layer| holds(&layer.data, bare)) {
            return layer.origin.place(key);
        }
        // A key that is missing: a file with its table is the better place for it than a variable.
        let variable = |layer: &&Layer| matches!(layer.origin, Origin::Environment(_));
        let from_top = || self.layers.iter().rev();
        let by_worth = || from_top().filter(|layer| !variable(layer)).chain(from_top().filter(variable));
        let mut path = bare;
        while let Some((table, _)) = path.rsplit_once('.') {
            if let Some(layer) = by_worth().find(|layer| holds(&layer.data, table)) {
                return layer.origin.place(key);
            }
            path = table;
        }
        Place::Nowhere
    }

    /// The variables in effect, by key path.
    pub(crate) fn variables(&self) -> Names {
        let names = self.layers.iter().find_map(|layer| match &layer.origin {
            Origin::Environment(names) => Some(names.clone()),
            _ => None,
        });
        names.unwrap_or_default()
    }

    /// The path of the legacy file, as long as its store is in effect.
    pub(crate) fn sqlserver(&self) -> Option<&PathBuf> {
        self.layers.iter().find_map(|layer| match &layer.origin {
            Origin::Sqlserver { path, .. } => kind(&layer.data).is_some().then_some(path),
            _ => None,
        })
    }

    /// The sources for people, lowest first.
    pub(crate) fn describe(&self) -> Vec<String> {
        self.layers.iter().map(|layer| layer.origin.describe()).collect()
    }

    /// Says where the refused key was written.
    pub(crate) fn error(&self, refusal: Refusal) -> ConfigError {
        let key = refusal.key;
        let place = self.place(&key);
        let Some(known) = refusal.unknown else {
            return ConfigError::new(place, key, refusal.problem).with_nearest(refusal.nearest);
        };
        let (table, last) = key.rsplit_once('.').unwrap_or(("", &key));
        let nearest = crate::nearest::nearest(last, known.iter().map(String::as_str)).map(|nearest| {
            let path = if table.is_empty() { nearest.to_owned() } else { format!("{table}.{nearest}") };
            if matches!(place, Place::Variable(_)) { name_of(&path) } else { nearest.to_owned() }
        });
        let error = ConfigError::new(place, key, refusal.problem).with_nearest(nearest);
        if known.is_empty() { error } else { error.with_help(format!("known here: {}", known.join(", "))) }
    }
}

fn kind(data: &Map<String, Value>) -> Option<&str> {
    data.get("store")?.get("kind")?.as_str()
}

/// Empties the `[store]` table except for `deadline`, which is about questions and not about the store.
fn empty_store(layer: &mut Layer, by: &Origin) -> Option<Warning> {
    let store = layer.data.get_mut("store")?.as_object_mut()?;
    let before = store.len();
    store.retain(|key, _| key == "deadline");
    let emptied = store.len() < before;
    let place = layer.origin.place("store");
    emptied.then(|| Warning::note(place, "store", format!("not used: {} chooses the store", by.describe())))
}

/// A password in a higher layer is meant instead of a password file in a lower one, and the other way round.
fn displace_rivals(below: &mut [Layer], above: &Map<String, Value>) {
    let Some(store) = above.get("store").and_then(Value::as_object) else { return };
    let tables = Role::ALL.iter().map(|role| Some(role.as_str())).chain([None]);
    for (table, (rival, key)) in tables.flat_map(|table| RIVALS.map(|pair| (table, pair))) {
        let upper = table.map_or(Some(store), |table| store.get(table)?.as_object());
        if upper.is_none_or(|upper| !upper.contains_key(rival) || upper.contains_key(key)) {
            continue;
        }
        for layer in &mut *below {
            let lower = layer.data.get_mut("store");
            let lower = match table {
                Some(table) => lower.and_then(|store| store.get_mut(table)),
                None => lower,
            };
            if let Some(lower) = lower.and_then(Value::as_object_mut) {
                lower.remove(key);
            }
        }
    }
}

fn holds(data: &Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => data.contains_key(path),
        Some((first, rest)) => data.get(first).and_then(Value::as_object).is_some_and(|inner| holds(inner, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn sqlserver() -> Layer {
        let data = json!({"store": {"kind": "mysql", "user": "old", "database": "qmail", "servers": ["a:1", "b:2"]}});
        let lines = BTreeMap::from([("user".to_owned(), (2, 7)), ("servers".to_owned(), (1, 8))]);
        layer(Origin::Sqlserver { path: "control/sqlserver".into(), lines }, &data)
    }

    fn toml(source: &str) -> Layer {
        let file = TomlFile::parse(Path::new("q.toml"), source.into()).unwrap();
        let data = file.data();
        Layer { origin: Origin::Toml(file), data }
    }

    fn environment(pairs: &[(&str, &str)]) -> Layer {
        let pairs = pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned()));
        let (data, names) = crate::variables::read(pairs).unwrap();
        Layer { origin: Origin::Environment(names), data }
    }

    fn layer(origin: Origin, data: &Value) -> Layer {
        Layer { origin, data: data.as_object().unwrap().clone() }
    }

    #[test]
    fn a_higher_layer_wins_key_by_key_and_each_key_knows_its_place() {
        let layers = Layers::stack(vec![
            sqlserver(),
            toml("[store]\nuser = 'middle'\nservers = ['c:3']\ncanary = 'x'\n"),
            environment(&[("QMAIL_LOOKUP_STORE__USER", "top")]),
        ])
        .unwrap();
        let expected = json!({"kind": "mysql", "user": "top", "database": "qmail", "servers": ["c:3"], "canary": "x"});
        assert_eq!(layers.merged["store"], expected);
        assert_eq!(layers.warnings, []);
        for (key, place) in [
            ("store.user", "environment variable QMAIL_LOOKUP_STORE__USER"),
            ("store.servers[0]", "q.toml:3:12"),
            ("store.canary", "q.toml:4:1"),
            ("store.database", "control/sqlserver"),
            ("store.missing", "q.toml:1:2"),
            ("rules", "configuration"),
        ] {
            assert_eq!(layers.place(key).to_string(), place, "{key}");
        }
        assert_eq!(layers.describe(), ["control/sqlserver", "q.toml", "environment (QMAIL_LOOKUP_STORE__USER)"]);
    }

    #[test]
    fn another_kind_replaces_the_store_below_it_and_says_so() {
        let upper = toml("[store]\nkind = 'sqlite'\npath = '/db'\n");
        let layers = Layers::stack(vec![sqlserver(), upper]).unwrap();
        assert_eq!(layers.merged["store"], json!({"kind": "sqlite", "path": "/db"}));
        let said: Vec<String> = layers.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["control/sqlserver: store: not used: q.toml chooses the store"]);
        assert_eq!(layers.sqlserver(), None);
    }

    #[test]
    fn a_password_above_displaces_a_password_file_below() {
        let lower = toml("[store]\nkind = 'x'\npassword_file = '/p'\n[store.alias]\npassword = 'a'\n");
        let upper =
            environment(&[("QMAIL_LOOKUP_STORE__PASSWORD", "b"), ("QMAIL_LOOKUP_STORE__ALIAS__PASSWORD_FILE", "/q")]);
        let layers = Layers::stack(vec![lower, upper]).unwrap();
        let expected = json!({"kind": "x", "password": "b", "alias": {"password_file": "/q"}});
        assert_eq!(layers.merged["store"], expected);
    }

    #[test]
    fn the_url_replaces_the_store_even_of_the_same_kind_but_not_the_deadline() {
        let lower = toml("[store]\nkind = 'sqlite'\npath = '/a'\ndeadline = '1s'\n[rules]\nbreak = '+'\n");
        let url = layer(Origin::StoreUrl, &json!({"store": {"kind": "sqlite", "path": "/b"}}));
        let layers = Layers::stack(vec![lower, url, environment(&[("QMAIL_LOOKUP_STORE__WAL", "true")])]).unwrap();
        let expected = json!({"store": {"kind": "sqlite", "path": "/b", "deadline": "1s", "wal": "true"},
            "rules": {"break": "+"}});
        assert_eq!(Value::Object(layers.merged.clone()), expected);
        assert_eq!(layers.place("store.path"), Place::StoreUrl);
    }
}
