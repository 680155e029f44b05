//! The two stores that `compare` and `migrate` work with.

use crate::cli::Cli;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, Sources, load};
use std::ffi::OsStr;
use std::path::PathBuf;

/// One of them.
pub(crate) struct Side {
    /// As it was given.
    pub(crate) name: String,
    pub(crate) session: Session,
}

/// How a side was given.
enum Given {
    Url(String),
    Toml(PathBuf),
    Sqlserver(PathBuf),
}

/// Opens both sides; connects to none. A side that is given as a URL has no rules of its own: it is asked by those of the
/// other side, or of --config.
///
/// # Errors
/// If a side cannot be used.
pub(crate) fn sides(cli: &Cli, registry: &Registry, from: &OsStr, to: &OsStr) -> Result<[Side; 2], Failure> {
    let given = [given(from, registry), given(to, registry)];
    let mut configs = Vec::new();
    for one in &given {
        configs.push(config(cli, registry, one)?);
    }
    let rules = |at: usize| {
        let other = given.get(1 - at).is_some_and(|other| !matches!(other, Given::Url(_)));
        let own = given.get(at).is_some_and(|own| !matches!(own, Given::Url(_)));
        if !own && other { configs.get(1 - at) } else { configs.get(at) }
    };
    let mut sides = Vec::new();
    for (at, name) in [from, to].into_iter().enumerate() {
        let Some(mut config) = configs.get(at).cloned() else { continue };
        if let Some(other) = rules(at) {
            config.rules = other.rules.clone();
            config.auth = other.auth.clone();
            config.qmail.clone_from(&other.qmail);
        }
        sides.push(Side { name: name.to_string_lossy().into_owned(), session: Session::of(config, registry)? });
    }
    sides.try_into().map_err(|_| Failure::usage("two stores are needed"))
}

fn given(argument: &OsStr, registry: &Registry) -> Given {
    let text = argument.to_string_lossy();
    let is_url = text
        .split_once(':')
        .is_some_and(|(scheme, _)| registry.find(scheme).is_some() || matches!(scheme, "ldaps" | "ldapi" | "mariadb"));
    if is_url {
        return Given::Url(text.into_owned());
    }
    let path = PathBuf::from(argument);
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    if is_toml { Given::Toml(path) } else { Given::Sqlserver(path) }
}

fn config(cli: &Cli, registry: &Registry, given: &Given) -> Result<Config, Failure> {
    let mut sources = Sources::default();
    match given {
        // The rules of --config, with another store.
        Given::Url(url) => {
            sources.config.clone_from(&cli.config);
            sources.store_url = Some(url.clone());
        }
        Given::Toml(path) => sources.config = Some(path.clone()),
        Given::Sqlserver(path) => sources.sqlserver = Some(path.clone()),
    }
    Ok(load(&sources.with_process_environment(), registry)?)
}
