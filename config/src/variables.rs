//! Settings from the environment: `QMAIL_LOOKUP_STORE__PASSWORD` is `store.password`.
//!
//! A variable is text, and text it stays where the setting is text: `0012345` and `true` are good passwords. Only where
//! the reader of a setting refuses text is it read as TOML, then as a list separated by commas.

use crate::error::{ConfigError, Place};
use crate::refusal::Refusal;
use crate::toml;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What every variable begins with.
pub const PREFIX: &str = "QMAIL_LOOKUP_";

/// Key path to the name of the variable that set it.
pub(crate) type Names = BTreeMap<String, String>;

/// The variable that sets a key path.
pub(crate) fn name_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// Reads the variables that begin with [`PREFIX`]; the others are not looked at.
pub(crate) fn read(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<(Map<String, Value>, Names), ConfigError> {
    let (mut data, mut names) = (Map::new(), Names::new());
    for (name, text) in pairs {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path = rest.to_ascii_lowercase().replace("__", ".");
        let refuse = |problem: &str| Err(ConfigError::new(Place::Variable(name.clone()), "", problem));
        if path.split('.').any(str::is_empty) || path.split('.').count() > LEVELS_MAX {
            return refuse("not the name of a setting").map_err(|error: ConfigError| {
                error.with_help(format!("write {}, with two underscores between table and key", name_of("rules.break")))
            });
        }
        if put(&mut data, &path, Value::String(text)).is_none() || names.insert(path, name.clone()).is_some() {
            return refuse("another variable sets the same key, or a key inside it");
        }
    }
    Ok((data, names))
}

/// No setting lies deeper.
const LEVELS_MAX: usize = 4;

/// Sets `path`, making tables on the way; `None` if something that is no table stands in the way or is there.
fn put(data: &mut Map<String, Value>, path: &str, value: Value) -> Option<()> {
    match path.split_once('.') {
        None if data.contains_key(path) => None,
        None => data.insert(path.to_owned(), value).map_or(Some(()), |_| None),
        Some((first, rest)) => {
            let table = data.entry(first).or_insert_with(|| Value::Object(Map::new()));
            put(table.as_object_mut()?, rest, value)
        }
    }
}

/// Readings of a variable's text, in the order they are tried.
#[derive(Clone, Copy)]
enum Reading {
    Toml,
    Words,
    Numbers,
}

impl Reading {
    const ALL: [Self; 3] = [Self::Toml, Self::Words, Self::Numbers];

    fn apply(self, text: &str) -> Option<Value> {
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        match self {
            // A whole table in one variable would silently take the place of one in the file.
            Self::Toml => toml::value(text).filter(|value| !value.is_string() && !value.is_object()),
            Self::Words => Some(words().map(Value::from).collect()),
            Self::Numbers => words().map(|word| word.parse::<i64>().ok().map(Value::from)).collect(),
        }
    }
}

/// Lets `reader` read `data`. As long as it refuses a key that a variable set, that variable is read another way.
pub(crate) fn settle<T>(
    mut data: Map<String, Value>,
    names: &Names,
    mut reader: impl FnMut(Map<String, Value>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut tried: BTreeMap<String, (String, std::slice::Iter<'static, Reading>, Refusal)> = BTreeMap::new();
    loop {
        let refusal = match reader(data.clone()) {
            Ok(done) => return Ok(done),
            Err(refusal) => refusal,
        };
        let key = refusal.key.split('[').next().unwrap_or_default().to_owned();
        if refusal.unknown.is_some() || !names.contains_key(&key) {
            return Err(refusal);
        }
        let Some(cell) = find(&mut data, &key) else { return Err(refusal) };
        if !tried.contains_key(&key) {
            let Some(text) = cell.as_str() else { return Err(refusal) };
            tried.insert(key.clone(), (text.to_owned(), Reading::ALL.iter(), refusal.clone()));
        }
        let Some((text, readings, first)) = tried.get_mut(&key) else { return Err(refusal) };
        // The refusal that speaks of the value is worth more than one that speaks of its type.
        if first.problem.starts_with(TYPE) && !refusal.problem.starts_with(TYPE) {
            *first = refusal;
        }
        match readings.find_map(|reading| reading.apply(text)) {
            Some(value) => *cell = value,
            None => return Err(first.clone()),
        }
    }
}

/// How serde begins when it met another type than it wanted.
const TYPE: &str = "invalid type";

fn find<'a>(data: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => data.get_mut(path),
        Some((first, rest)) => find(data.get_mut(first)?.as_object_mut()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Target {
        text: String,
        number: u16,
        flag: bool,
        words: Vec<String>,
        numbers: Vec<u32>,
    }

    fn target(number: &str, text: &str, words: &str, numbers: &str) -> Result<Target, Refusal> {
        let pairs = [("NUMBER", number), ("TEXT", text), ("WORDS", words), ("NUMBERS", numbers), ("FLAG", "true")];
        let pairs = pairs.map(|(name, text)| (format!("{PREFIX}{name}"), text.to_owned()));
        let (data, names) = read(pairs).unwrap();
        settle(data, &names, crate::refusal::read)
    }

    #[test]
    fn text_stays_text_and_the_rest_is_converted() {
        for text in ["0012345", "true", "12", "[1]", "a,b", "", " x ", "\"quoted\""] {
            for (words, numbers) in [("a, 01,b", "1,2"), ("[\"a\", '01', \"b\"]", "[1, 2]")] {
                let expected = Target {
                    text: text.into(),
                    number: 3306,
                    flag: true,
                    words: vec!["a".into(), "01".into(), "b".into()],
                    numbers: vec![1, 2],
                };
                assert_eq!(target("3306", text, words, numbers).unwrap(), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn what_fits_no_reading_is_refused_with_the_first_reason() {
        let refusal = target("many", "x", "a", "1").unwrap_err();
        assert_eq!(
            (refusal.key.as_str(), refusal.problem.as_str()),
            ("number", "invalid type: string \"many\", expected u16")
        );
        let refusal = target("70000", "x", "a", "1").unwrap_err();
        assert_eq!(refusal.problem, "invalid value: integer `70000`, expected u16");
    }

    #[test]
    fn names_become_key_paths() {
        let pair = |name: &str| (name.to_owned(), "1".to_owned());
        let (data, names) =
            read([pair("QMAIL_LOOKUP_STORE__MAILBOX__PATH"), pair("QMAIL_LOOKUP_QMAIL"), pair("PATH")]).unwrap();
        assert_eq!(Value::Object(data), json!({"store": {"mailbox": {"path": "1"}}, "qmail": "1"}));
        assert_eq!(names.get("store.mailbox.path").map(String::as_str), Some("QMAIL_LOOKUP_STORE__MAILBOX__PATH"));
        assert_eq!(name_of("store.mailbox.path"), "QMAIL_LOOKUP_STORE__MAILBOX__PATH");
        for bad in ["QMAIL_LOOKUP_", "QMAIL_LOOKUP___A", "QMAIL_LOOKUP_A__"] {
            let error = read([pair(bad)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("environment variable {bad}: not the name of a setting")), "{error}");
        }
        for order in [["QMAIL_LOOKUP_STORE", "QMAIL_LOOKUP_STORE__KIND"], ["QMAIL_LOOKUP_A__B", "QMAIL_LOOKUP_A"]] {
            let error = read(order.map(pair)).unwrap_err().to_string();
            assert!(error.contains("another variable sets the same key"), "{error}");
        }
    }
}
