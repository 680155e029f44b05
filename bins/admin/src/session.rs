//! What a verb works with: the configuration, the opened stores, and one deadline for the whole question.

use crate::cli::{Cli, Verb};
use crate::output::{Failure, Output};
use qmail_lookup_backends::registry::Registry;
use qmail_lookup_config::{Config, Level, Role, Sources, Stores, load};
use qmail_lookup_core::{Backend, Deadline, Lookup, Table};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// See the module.
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) stores: Stores,
    pub(crate) lookup: Lookup,
    pub(crate) by: Deadline,
}

/// Reads the configuration that the options choose, and passes its warnings on.
///
/// # Errors
/// If it cannot be used.
pub(crate) fn configuration(cli: &Cli, registry: &Registry) -> Result<Config, Failure> {
    let sources = Sources {
        config: cli.config.clone(),
        sqlserver: cli.sqlserver.clone(),
        store_url: cli.store.clone(),
        ..Sources::default()
    };
    Ok(load(&sources.with_process_environment(), registry)?)
}

/// The warnings that nobody should miss, for people.
pub(crate) fn alarms(config: &Config) -> impl Iterator<Item = String> {
    config.warnings.iter().filter(|warning| warning.level == Level::Alarm).map(|warning| format!("warning: {warning}"))
}

impl Session {
    /// Opens the stores; connects to nothing.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub(crate) fn open(cli: &Cli, registry: &Registry, output: &Output) -> Result<Self, Failure> {
        let config = configuration(cli, registry)?;
        // `check` lists them all.
        if !matches!(cli.verb, Verb::Check) {
            alarms(&config).for_each(|warning| output.complain(&warning));
        }
        Self::of(config, registry)
    }

    /// Opens the stores of a configuration.
    ///
    /// # Errors
    /// If a store's settings cannot be used.
    pub(crate) fn of(config: Config, registry: &Registry) -> Result<Self, Failure> {
        let stores = config.open(registry)?;
        let lookup = stores.lookup(&config.rules);
        let by = Deadline::after(config.deadline);
        Ok(Self { config, stores, lookup, by })
    }

    /// Each store once, with the tables that it serves.
    pub(crate) fn stores(&self) -> Vec<(&Arc<dyn Backend>, Vec<Table>)> {
        let tables = |role| match role {
            Role::Mailbox => vec![Table::Mailbox],
            Role::Alias => vec![Table::Alias],
            Role::Virtual => vec![Table::Virtual, Table::Rcpthosts],
        };
        let each = self.stores.each().into_iter();
        each.map(|(store, roles)| (store, roles.into_iter().flat_map(tables).collect())).collect()
    }

    /// Home of the alias user, as qmail lays it out.
    pub(crate) fn alias_home(&self) -> Vec<u8> {
        self.config.qmail.join("alias").as_os_str().as_bytes().to_vec()
    }
}
