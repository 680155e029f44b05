//! From the sources to a [`Config`].

use crate::error::{ConfigError, Place, Warning};
use crate::layers::{Layer, Layers, Origin};
use crate::settings::{DEFAULT_QMAIL, Tables};
use crate::sqlserver::{Concern, Finding};
use crate::store::Plan;
use crate::toml::TomlFile;
use crate::variables::{self, PREFIX};
use crate::{Config, check, deny, file, sqlserver, sqlserver_store, url};
use qmail_lookup_backends::registry::Registry;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file that is read if nothing else is said and it is there.
pub const DEFAULT_CONFIG: &str = "/etc/qmail-lookup/qmail-lookup.toml";

/// What to read. Without `config`, `sqlserver` and `store_url`: [`DEFAULT_CONFIG`] if it is there, else
/// `control/sqlserver` in qmail's home if that is there; that file also lies below a `config` that chooses no store. A
/// `store_url` alone reads no file.
#[derive(Clone, Default)]
pub struct Sources {
    /// A TOML file; it must exist.
    pub config: Option<PathBuf>,
    /// A legacy file; it must exist. Below `config` if both are given.
    pub sqlserver: Option<PathBuf>,
    /// Takes the place of `[store]`.
    pub store_url: Option<String>,
    /// Environment variables; those that do not begin with [`PREFIX`] are not looked at.
    pub env: Vec<(OsString, OsString)>,
}

impl Sources {
    /// With the variables of this process.
    #[must_use]
    pub fn with_process_environment(mut self) -> Self {
        self.env = std::env::vars_os().collect();
        self
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the URL nor a variable is shown: they may hold a password.
        f.debug_struct("Sources")
            .field("config", &self.config)
            .field("sqlserver", &self.sqlserver)
            .field("store_url", &self.store_url.is_some())
            .finish_non_exhaustive()
    }
}

/// Reads the sources and judges them. Connects to nothing.
///
/// # Errors
/// On a file that cannot be read, on anything unknown or impossible in a source, and if no store is chosen.
pub fn load(sources: &Sources, registry: &Registry) -> Result<Config, ConfigError> {
    load_with(sources, registry, Path::new(DEFAULT_CONFIG))
}

/// As [`load`], with another place for the default file.
pub(crate) fn load_with(sources: &Sources, registry: &Registry, default: &Path) -> Result<Config, ConfigError> {
    let environment = environment(&sources.env)?;
    let (config, legacy) = files(sources, &environment, default)?;
    let mut warnings = Vec::new();
    let mut permissions = Vec::new();
    let mut layers = Vec::new();
    let toml = config.as_ref().map(|path| toml_layer(path, &mut permissions)).transpose()?;
    let url = sources.store_url.as_ref().map(|url| url::read(url, registry)).transpose()?;
    if let (Some(url), Some(set)) = (&url, &environment) {
        refuse_overridden(url, set)?;
    }
    let above = [toml.as_ref(), url.as_ref(), environment.as_ref()];
    let legacy = match legacy {
        None => below_a_file_without_store(above.into_iter().flatten())?,
        given => given,
    };
    if let Some(path) = &legacy {
        layers.push(legacy_layer(path, &mut warnings, &mut permissions)?);
    }
    layers.extend(toml);
    layers.extend(url);
    layers.extend(environment);
    let layers = Layers::stack(layers)?;
    let tables = variables::settle(layers.merged.clone(), &layers.variables(), Tables::read)
        .map_err(|refusal| layers.error(refusal))?;
    if tables.store.is_empty() {
        let place = config.as_deref().map_or(Place::Nowhere, Place::file);
        let help = "add a table [store], or give --sqlserver FILE or --store URL";
        return Err(ConfigError::new(place, "", "no store is chosen").with_help(help));
    }
    complete(&layers, &tables.store)?;
    let store = Plan::read(&tables.store, registry).map_err(|refusal| layers.error(refusal))?;
    let Tables { qmail, strict_permissions, mut rules, auth, daemon, cache, shadow, sync, .. } = tables;
    warnings.extend(layers.warnings.iter().cloned());
    deny::extend(&mut rules);
    let deadline = store.deadline;
    let mut config = Config {
        qmail,
        strict_permissions,
        rules,
        auth,
        daemon,
        cache,
        shadow,
        sync,
        store,
        deadline,
        warnings: Vec::new(),
        layers,
    };
    warnings.extend(check::permissions(&config, &permissions)?);
    warnings.extend(check::settings(&config));
    config.warnings = warnings;
    Ok(config)
}

/// The layer of the environment, if it sets anything.
fn environment(pairs: &[(OsString, OsString)]) -> Result<Option<Layer>, ConfigError> {
    let mut texts = Vec::new();
    for (name, value) in pairs {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        match value.to_str() {
            Some(value) => texts.push((name.into_owned(), value.to_owned())),
            None => return Err(ConfigError::new(Place::Variable(name.into_owned()), "", "its value is not UTF-8")),
        }
    }
    let (data, names) = variables::read(texts)?;
    Ok((!data.is_empty()).then_some(Layer { origin: Origin::Environment(names), data }))
}

/// The TOML file and the legacy file to read.
fn files(
    sources: &Sources,
    environment: &Option<Layer>,
    default: &Path,
) -> Result<(Option<PathBuf>, Option<PathBuf>), ConfigError> {
    let Sources { config, sqlserver, store_url, .. } = sources;
    if config.is_some() || sqlserver.is_some() || store_url.is_some() {
        return Ok((config.clone(), sqlserver.clone()));
    }
    let set = environment.as_ref().map(|layer| &layer.data);
    let qmail = set.and_then(|data| data.get("qmail")?.as_str()).unwrap_or(DEFAULT_QMAIL);
    let legacy = Path::new(qmail).join("control/sqlserver");
    if there(default)? {
        return Ok((Some(default.to_owned()), None));
    }
    if there(&legacy)? {
        return Ok((None, Some(legacy)));
    }
    if set.is_some_and(|data| data.contains_key("store")) {
        return Ok((None, None));
    }
    let problem = format!("no store is chosen: neither {} nor {} is there", default.display(), legacy.display());
    let help = "write one of them, or give --config FILE, --sqlserver FILE or --store URL";
    Err(ConfigError::new(Place::Nowhere, "", problem).with_help(help))
}

/// `control/sqlserver` of qmail's home, if it is there and nothing above chooses a store.
fn below_a_file_without_store<'a>(above: impl Iterator<Item = &'a Layer>) -> Result<Option<PathBuf>, ConfigError> {
    let mut qmail = DEFAULT_QMAIL;
    for layer in above {
        if layer.data.contains_key("store") {
            return Ok(None);
        }
        qmail = layer.data.get("qmail").and_then(Value::as_str).unwrap_or(qmail);
    }
    let legacy = Path::new(qmail).join("control/sqlserver");
    Ok(there(&legacy)?.then_some(legacy))
}

/// A variable may add to the store that `--store` names, and never lead to another one unsaid.
fn refuse_overridden(url: &Layer, set: &Layer) -> Result<(), ConfigError> {
    let store = |layer: &Layer| layer.data.get("store").and_then(Value::as_object).cloned().unwrap_or_default();
    let named = store(url);
    match store(set).into_iter().find(|(key, _)| named.contains_key(key)) {
        None => Ok(()),
        Some((key, _)) => {
            let path = format!("store.{key}");
            let problem = "is set by --store too; unset the variable, or leave it out of the URL";
            Err(ConfigError::new(Place::Variable(variables::name_of(&path)), path, problem))
        }
    }
}

/// True if the file is there. One that cannot be looked at may be there, and nothing else must take its place.
fn there(path: &Path) -> Result<bool, ConfigError> {
    path.try_exists().map_err(|error| ConfigError::new(Place::file(path), "", format!("cannot be looked at: {error}")))
}

/// What [`check::permissions`] gets of one file: what to say of its mode, and if that is about a secret.
type Judged = (Option<Warning>, bool);

fn judged(path: &Path, mode: u32, secret: bool) -> Judged {
    (file::judge(path, mode, if secret { "a password" } else { "" }), secret && mode & 0o004 != 0)
}

fn toml_layer(path: &Path, permissions: &mut Vec<Judged>) -> Result<Layer, ConfigError> {
    let (content, mode) = file::read(path)?;
    let source = String::from_utf8(content).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        let at = crate::locate::line_column(&before, before.len());
        ConfigError::new(Place::line(path, at), "", "not UTF-8, so not TOML")
    })?;
    let toml = TomlFile::parse(path, source)?;
    let data = toml.data();
    permissions.push(judged(path, mode, holds_password(&data)));
    Ok(Layer { origin: Origin::Toml(toml), data })
}

fn holds_password(data: &Map<String, Value>) -> bool {
    data.iter().any(|(key, value)| match value {
        Value::Object(inner) => holds_password(inner),
        _ => key.contains("password") && !key.ends_with("_file"),
    })
}

fn legacy_layer(path: &Path, warnings: &mut Vec<Warning>, permissions: &mut Vec<Judged>) -> Result<Layer, ConfigError> {
    let (content, mode) = file::read(path)?;
    let (values, mut findings) = sqlserver::parse(&content);
    let store = sqlserver_store::translate(&values);
    findings.extend(store.findings);
    findings.sort_by_key(|finding| (finding.line, finding.column));
    let mut refused = findings.iter().filter(|finding| finding.concern == Concern::Refused);
    if let Some(first) = refused.next() {
        let place = Place::line(path, (first.line, first.column));
        let error = ConfigError::new(place, first.key.unwrap_or_default(), first.text.clone());
        let more = refused.count();
        return Err(if more == 0 { error } else { error.with_help(format!("{more} more in this file")) });
    }
    warnings.extend(findings.into_iter().map(|finding| warning(path, finding)));
    permissions.push(judged(path, mode, store.data.contains_key("password")));
    let data = Map::from_iter([("store".to_owned(), Value::Object(store.data))]);
    let lines: BTreeMap<_, _> = store.lines;
    Ok(Layer { origin: Origin::Sqlserver { path: path.to_owned(), lines }, data })
}

fn warning(path: &Path, finding: Finding) -> Warning {
    let place = Place::line(path, (finding.line, finding.column));
    let key = finding.key.unwrap_or_default();
    match finding.concern {
        Concern::Refused | Concern::Unwise => Warning::unwise(place, key, finding.text),
        Concern::Notice | Concern::OldParser | Concern::PerlClient => Warning::note(place, key, finding.text),
    }
}

/// Names the lines that `control/sqlserver` lacks, in its own words, unless another source has them.
fn complete(layers: &Layers, store: &Map<String, Value>) -> Result<(), ConfigError> {
    let Some(path) = layers.sqlserver() else { return Ok(()) };
    let lacks = |&(_, key): &(&str, &str)| !store.contains_key(key);
    let missing: Vec<&str> =
        [("login", "user"), ("db", "database")].into_iter().filter(lacks).map(|(line, _)| line).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let problem = format!("no line for {}", missing.join(" and "));
    Err(ConfigError::new(Place::file(path), "", problem).with_help("expected lines such as: login qmail"))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "load_daemon_tests.rs"]
mod daemon_tests;

#[cfg(test)]
#[path = "example_tests.rs"]
mod example_tests;

#[cfg(test)]
#[path = "precedence_tests.rs"]
mod precedence_tests;
