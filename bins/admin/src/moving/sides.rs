//! The two stores that `compare` and `migrate` work with.

use super::target::file_of;
use crate::cli::Cli;
use crate::output::{Failure, Output};
use crate::session::{Session, alarms};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, PREFIX, Place, Role, Sources, load};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// Opens both sides, and passes on what should be known about their configurations; connects to none.
///
/// Each side has rules: a configuration file its own, unless --config is given and no side has any in its file; a URL and
/// a control/sqlserver those of --config, else those of the other side.
///
/// # Errors
/// If a side cannot be used, and if something else chooses a store, for it would be both sides.
pub(crate) fn sides(
    cli: &Cli,
    registry: &Registry,
    from: &OsStr,
    to: &OsStr,
    output: &Output,
) -> Result<[Side; 2], Failure> {
    refuse_other_stores(cli)?;
    let given = [given("--from", from, registry)?, given("--to", to, registry)?];
    let shared = cli.config.as_deref().map(|path| shared_rules(path, registry)).transpose()?;
    let mut configs = Vec::new();
    let mut has_rules = false;
    for (_, one) in &given {
        configs.push(config(cli, registry, one)?);
        if let (Given::Toml(path), Some(_)) = (one, &shared) {
            has_rules |= has_own_rules(path, registry)?;
        }
    }
    let rules = |at: usize| {
        let is_toml = |at: usize| matches!(given.get(at), Some((_, Given::Toml(_))));
        match &shared {
            Some(shared) if !is_toml(at) || !has_rules => Some(shared),
            None if !is_toml(at) && is_toml(1 - at) => configs.get(1 - at),
            _ => None,
        }
    };
    let mut said = BTreeSet::new();
    let mut sides = Vec::new();
    for (at, (name, _)) in given.iter().enumerate() {
        let Some(mut config) = configs.get(at).cloned() else { continue };
        for warning in alarms(&config).filter(|warning| said.insert(warning.clone())) {
            output.complain(&warning);
        }
        if let Some(other) = rules(at) {
            config.rules = other.rules.clone();
            config.auth = other.auth.clone();
            config.qmail.clone_from(&other.qmail);
        }
        sides.push(Side { name: name.clone(), session: Session::of(config, registry)? });
    }
    sides.try_into().map_err(|_| Failure::usage("two stores are needed"))
}

/// What chooses the store of other verbs would change both sides, or neither.
fn refuse_other_stores(cli: &Cli) -> Result<(), Failure> {
    for (option, is_given) in [("--store", cli.store.is_some()), ("--sqlserver", cli.sqlserver.is_some())] {
        if is_given {
            let why = "is not for two stores: name the one as --from and the other as --to";
            return Err(Failure::usage(format!("{option} {why}")));
        }
    }
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let Some(path) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
        // How long a question may take is about questions, not about a store.
        if path.split("__").next() == Some("store") && path != "store__deadline" {
            return Err(Failure::usage(format!(
                "environment variable {name}: would mean both sides; unset it, and put the setting into a configuration \
                 file for one side (a password as password_file)"
            )));
        }
    }
    Ok(())
}

/// The rules of --config. It need not choose a store.
fn shared_rules(path: &Path, registry: &Registry) -> Result<Config, Failure> {
    let store_url = Some("sqlite:/nonexistent".to_owned());
    let sources = Sources { config: Some(path.to_owned()), store_url, ..Sources::default() };
    Ok(load(&sources.with_process_environment(), registry)?)
}

/// True if the file has a table `[rules]` or `[auth]`.
fn has_own_rules(path: &Path, registry: &Registry) -> Result<bool, Failure> {
    // Without the environment, which has none of its own.
    let config = load(&Sources { config: Some(path.to_owned()), ..Sources::default() }, registry)?;
    Ok(["rules", "auth"].into_iter().any(|table| matches!(config.place(table), Place::File { .. })))
}

/// A side as it was named, and what it is.
fn given(option: &str, argument: &OsStr, registry: &Registry) -> Result<(String, Given), Failure> {
    let Some(text) = argument.to_str() else {
        return Err(Failure::usage(format!("{option}: not UTF-8; give the file another name, or a link to it")));
    };
    let is_url = text
        .split_once(':')
        .is_some_and(|(scheme, _)| registry.find(scheme).is_some() || matches!(scheme, "ldaps" | "ldapi" | "mariadb"));
    let path = PathBuf::from(text);
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let given = match (is_url, is_toml) {
        (true, _) => Given::Url(text.to_owned()),
        (false, true) => Given::Toml(path),
        (false, false) => Given::Sqlserver(path),
    };
    Ok((text.to_owned(), given))
}

fn config(cli: &Cli, registry: &Registry, given: &Given) -> Result<Config, Failure> {
    let mut sources = Sources::default();
    match given {
        // --config, with another store: it says how long a question may take.
        Given::Url(url) => {
            sources.config.clone_from(&cli.config);
            sources.store_url = Some(url.clone());
        }
        Given::Toml(path) => sources.config = Some(path.clone()),
        Given::Sqlserver(path) => sources.sqlserver = Some(path.clone()),
    }
    Ok(load(&sources.with_process_environment(), registry)?)
}

/// The roles for which both sides have the same rows, as far as their configurations tell.
pub(crate) fn common(from: &Session, to: &Session) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| is_common(from, to, *role)).collect()
}

fn is_common(from: &Session, to: &Session, role: Role) -> bool {
    let store = |session: &Session| {
        let stores = &session.stores;
        match role {
            Role::Mailbox => stores.mailbox.clone(),
            Role::Alias => stores.alias.clone(),
            Role::Virtual => stores.virtuals.clone(),
        }
    };
    let (here, there) = (from.config.store.role(role), to.config.store.role(role));
    let (from, to) = (store(from), store(to));
    let shares_server = || {
        let (from, to) = (from.place(), to.place());
        let servers: BTreeSet<&str> = from.split(", ").collect();
        to.split(", ").any(|server| servers.contains(server))
    };
    let file = |store: &dyn qmail_lookup_core::Backend| {
        let found = std::fs::metadata(file_of(store)?).ok()?;
        Some((found.dev(), found.ino()))
    };
    here.same_backend(there)
        || here.same_rows(there) && shares_server()
        || file(&*from).is_some_and(|here| file(&*to) == Some(here))
}
