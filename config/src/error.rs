//! What is wrong with a configuration: where, which key, what was expected, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere in particular: a default, or something that is missing.
    Nowhere,
    /// A file; line and column count from 1, the column counts characters.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line and column, where they are known.
        at: Option<(usize, usize)>,
    },
    /// An environment variable, by its full name.
    Variable(String),
    /// The URL after `--store`.
    StoreUrl,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), at: None }
    }

    /// A line and column of a file.
    #[must_use]
    pub fn line(path: &Path, at: (usize, usize)) -> Self {
        Self::File { path: path.to_owned(), at: Some(at) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("configuration"),
            Self::File { path, at: Some((line, column)) } => write!(f, "{}:{line}:{column}", path.display()),
            Self::File { path, at: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::StoreUrl => f.write_str("--store"),
        }
    }
}

/// A configuration that cannot be used. `Display` is one line and never holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Box<Details>);

#[derive(Clone, PartialEq, Eq)]
struct Details {
    place: Place,
    key: String,
    problem: String,
    nearest: Option<String>,
    help: Option<String>,
}

impl ConfigError {
    /// `key` is the path of the setting, for example `rules.virtual_patterns`; empty if it is about no single one.
    /// `problem` says what is wrong and what is expected, and never quotes a secret.
    #[must_use]
    pub fn new(place: Place, key: impl Into<String>, problem: impl Into<String>) -> Self {
        let (key, problem) = (key.into(), problem.into());
        Self(Box::new(Details { place, key, problem, nearest: None, help: None }))
    }

    /// Adds what was probably meant.
    #[must_use]
    pub fn with_nearest(mut self, nearest: Option<String>) -> Self {
        self.0.nearest = nearest;
        self
    }

    /// Adds what to do, ideally a command.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Where it was written.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The file, if it was written in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0.place {
            Place::File { path, .. } => Some(path),
            Place::Nowhere | Place::Variable(_) | Place::StoreUrl => None,
        }
    }

    /// Line and column in the file, from 1, where they are known.
    #[must_use]
    pub fn at(&self) -> Option<(usize, usize)> {
        match &self.0.place {
            Place::File { at, .. } => *at,
            Place::Nowhere | Place::Variable(_) | Place::StoreUrl => None,
        }
    }

    /// Path of the key; empty if it is about no single one.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What is wrong and what is expected.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// What was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        self.0.nearest.as_deref()
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { place, key, problem, nearest, help } = &*self.0;
        sentence(f, place, key, problem, nearest.as_deref(), help.as_deref())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigError({self})")
    }
}

impl std::error::Error for ConfigError {}

/// How much a [`Warning`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A danger that must not wait until somebody looks: a secret that everybody can read.
    Alarm,
    /// Unwise here and now.
    Unwise,
    /// Of interest only to somebody who looks, for example what another reader of the same file would refuse.
    Note,
}

/// Something that works but should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// How much it matters.
    pub level: Level,
    /// Where it was written.
    pub place: Place,
    /// Path of the key; empty if it is about no single one.
    pub key: String,
    /// What it is. Never a secret.
    pub text: String,
    /// What to do.
    pub help: Option<String>,
}

impl Warning {
    /// Something unwise.
    #[must_use]
    pub fn unwise(place: Place, key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Unwise, place, key: key.into(), text: text.into(), help: None }
    }

    /// A danger.
    #[must_use]
    pub fn alarm(place: Place, text: impl Into<String>) -> Self {
        Self { level: Level::Alarm, ..Self::unwise(place, "", text) }
    }

    /// Something worth knowing.
    #[must_use]
    pub fn note(place: Place, key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::unwise(place, key, text) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.place, &self.key, &self.text, None, self.help.as_deref())
    }
}

fn sentence(
    f: &mut fmt::Formatter<'_>,
    place: &Place,
    key: &str,
    problem: &str,
    nearest: Option<&str>,
    help: Option<&str>,
) -> fmt::Result {
    let mut text = format!("{place}: ");
    if !key.is_empty() {
        text += &format!("{key}: ");
    }
    text += problem;
    if let Some(nearest) = nearest {
        text += &format!("; did you mean {nearest}?");
    }
    if let Some(help) = help {
        text += &format!("; {help}");
    }
    // One line, whatever a file name or key may hold.
    for c in text.chars() {
        if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_and_says_everything() {
        let place = Place::line(Path::new("/etc/q\nl.toml"), (3, 1));
        let error = ConfigError::new(place, "rules.brake", "unknown key")
            .with_nearest(Some("break".into()))
            .with_help("known keys: break");
        assert_eq!(
            error.to_string(),
            r"/etc/q\nl.toml:3:1: rules.brake: unknown key; did you mean break?; known keys: break"
        );
        assert_eq!(ConfigError::new(Place::StoreUrl, "", "no").to_string(), "--store: no");
    }
}
