//! A key that a reader refused, before it is known where that key was written.

use qmail_lookup_backends::registry::SettingsError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Which key, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Key path in the value that was read; empty if it is the value as a whole.
    pub(crate) key: String,
    /// What is wrong and what is expected.
    pub(crate) problem: String,
    /// The keys known in that place, if it is the key itself that is not known.
    pub(crate) unknown: Option<Vec<String>>,
    /// The value that was probably meant, if it is one of a few.
    pub(crate) nearest: Option<String>,
}

impl Refusal {
    /// A known key with an impossible value.
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), unknown: None, nearest: None }
    }

    /// A key that nobody knows.
    pub(crate) fn unknown(key: impl Into<String>, known: Vec<String>) -> Self {
        Self { key: key.into(), problem: "unknown key".to_owned(), unknown: Some(known), nearest: None }
    }

    /// Puts serde's words into those of this project, and takes the known names out of them.
    fn from_serde(key: String, problem: String) -> Self {
        let names =
            |expected: &str| -> Vec<String> { expected.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        let (said, expected) = problem.split_once(", expected ").unwrap_or((&problem, ""));
        if said.starts_with("unknown field `") {
            return Self::unknown(key, names(expected));
        }
        if let Some(missing) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let key = if key.is_empty() { missing.to_owned() } else { format!("{key}.{missing}") };
            return Self::new(key, "missing");
        }
        if let Some(value) = said.strip_prefix("unknown variant ") {
            let known = names(expected);
            let nearest = crate::nearest::nearest(value.trim_matches('`'), known.iter().map(String::as_str));
            let nearest = nearest.map(str::to_owned);
            return Self { nearest, ..Self::new(key, format!("{value} is none of {}", known.join(", "))) };
        }
        // What serde calls a choice is no help to anybody.
        match problem.strip_suffix("expected string or map") {
            Some(said) => Self::new(key, format!("{said}expected a word in quotes")),
            None => Self::new(key, problem),
        }
    }
}

impl From<SettingsError> for Refusal {
    fn from(error: SettingsError) -> Self {
        Self::from_serde(error.key, error.problem)
    }
}

/// Reads a struct; the refusal names the key.
pub(crate) fn read<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Value::Object(data)).map_err(|error| {
        let path = error.path().to_string();
        let key = if path == "." { String::new() } else { path };
        Refusal::from_serde(key, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Choice {
        Plain,
        Like,
        Regex,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code, reason = "only the refusals are of interest")]
    struct Inner {
        choice: Option<Choice>,
        list: Vec<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the refusals are of interest")]
    struct Outer {
        inner: Inner,
    }

    #[test]
    fn a_refusal_names_the_key_and_what_is_possible() {
        let refuse = |value: Value| read::<Outer>(value.as_object().unwrap().clone()).unwrap_err();
        let unknown =
            |key: &str, known: &[&str]| Refusal::unknown(key, known.iter().map(|&known| known.to_owned()).collect());
        assert_eq!(refuse(json!({"inner": {"chioce": 1}})), unknown("inner.chioce", &["choice", "list"]));
        assert_eq!(refuse(json!({"outer": 1})), unknown("outer", &["inner"]));
        assert_eq!(refuse(json!({})), Refusal::new("inner", "missing"));
        let refusal = refuse(json!({"inner": {"choice": "lik"}}));
        let expected = Refusal::new("inner.choice", "`lik` is none of plain, like, regex");
        assert_eq!(refusal, Refusal { nearest: Some("like".to_owned()), ..expected });
        let refusal = refuse(json!({"inner": {"choice": "sql"}}));
        assert_eq!(refusal, Refusal::new("inner.choice", "`sql` is none of plain, like, regex"));
        let refusal = refuse(json!({"inner": {"list": [1, 300]}}));
        assert_eq!(refusal, Refusal::new("inner.list[1]", "invalid value: integer `300`, expected u8"));
    }
}
