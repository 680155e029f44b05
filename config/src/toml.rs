//! The TOML file: read with spans, so that every later error has its line.

use crate::error::{ConfigError, Place};
use crate::locate::{line_column, locate};
use serde_json::{Map, Number, Value};
use std::path::{Path, PathBuf};
use toml_edit::{Document, Item, TableLike};

/// A parsed file.
#[derive(Clone)]
pub(crate) struct TomlFile {
    path: PathBuf,
    document: Document<String>,
}

impl TomlFile {
    /// Parses `source`. The parser's own rendering is not used: it quotes the line, which may hold a password.
    pub(crate) fn parse(path: &Path, source: String) -> Result<Self, ConfigError> {
        let copy = source.clone();
        match Document::parse(source) {
            Ok(document) => Ok(Self { path: path.to_owned(), document }),
            Err(error) => {
                let place = match error.span() {
                    Some(span) => Place::line(path, line_column(&copy, span.start)),
                    None => Place::file(path),
                };
                let problem = format!("not TOML: {}", error.message().replace('\n', ", "));
                Err(ConfigError::new(place, "", problem))
            }
        }
    }

    /// The settings as a plain value.
    pub(crate) fn data(&self) -> Map<String, Value> {
        table(self.document.as_table())
    }

    /// Where a key path is written.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place::File { path: self.path.clone(), at: locate(&self.document, key) }
    }

    /// The file's name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads one value as TOML writes it on the right of `=`.
pub(crate) fn value(text: &str) -> Option<Value> {
    let value: toml_edit::Value = text.trim().parse().ok()?;
    Some(plain(&value))
}

fn table(table: &dyn TableLike) -> Map<String, Value> {
    table.iter().filter_map(|(key, item)| Some((key.to_owned(), self::item(item)?))).collect()
}

fn item(item: &Item) -> Option<Value> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(plain(value)),
        Item::Table(inner) => Some(Value::Object(table(inner))),
        Item::ArrayOfTables(tables) => Some(tables.iter().map(|inner| Value::Object(table(inner))).collect()),
    }
}

fn plain(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => {
            Number::from_f64(*number.value()).map_or_else(|| Value::String(number.value().to_string()), Value::Number)
        }
        toml_edit::Value::Boolean(flag) => Value::Bool(*flag.value()),
        toml_edit::Value::Datetime(time) => Value::String(time.value().to_string()),
        toml_edit::Value::Array(values) => values.iter().map(plain).collect(),
        toml_edit::Value::InlineTable(inner) => Value::Object(table(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_arrives() {
        let source = "a = 'x'\nb = 1\nc = true\nd = [1, 'y']\ne = { f = 2 }\n[g.h]\ni = 1.5\n[[j]]\nk = 1979-05-27\n";
        let file = TomlFile::parse(Path::new("f"), source.into()).unwrap();
        let expected = json!({"a": "x", "b": 1, "c": true, "d": [1, "y"], "e": {"f": 2}, "g": {"h": {"i": 1.5}},
            "j": [{"k": "1979-05-27"}]});
        assert_eq!(Value::Object(file.data()), expected);
    }

    #[test]
    fn a_syntax_error_names_line_and_column_and_not_the_text() {
        for (source, place) in [
            ("[store]\npassword = 0012345\n", "f:2:"),
            ("[store]\npassword = hunter2\n", "f:2:"),
            ("[store]\npassword = \"hunter2\n", "f:2:"),
            ("[store]\npassword = \"hunter2\" 12345\n", "f:2:"),
            ("[store]\npassword = 1\npassword = \"hunter2\"\n", "f:3:1"),
            ("[store\n", "f:1:"),
        ] {
            let error = TomlFile::parse(Path::new("f"), source.into()).err().unwrap().to_string();
            assert!(error.starts_with(place) && error.contains("not TOML"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("12345"), "{error}");
        }
    }
}
