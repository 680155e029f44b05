//! Options.

use clap::Parser;
use qmail_lookup_config::Sources;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  qmail-lookupd --config /etc/qmail-lookup/qmail-lookup.toml
  qmail-lookupd --config /etc/qmail-lookup/qmail-lookup.toml --check
  qmail-lookupd --sqlserver /var/qmail/control/sqlserver
  qmail-lookupd --store sqlite:/var/lib/qmail-lookup/mail.db

It stays in the foreground and logs to standard error. TERM ends it, HUP makes it read its configuration again.
Exit status: 0 ended by a signal, 100 wrong usage or configuration, 111 trouble that may pass.
Without --config, --sqlserver or --store: /etc/qmail-lookup/qmail-lookup.toml, else control/sqlserver of qmail's home.";

/// Answers qmail's lookup questions and logins from MySQL, SQLite or LDAP.
#[derive(Debug, Parser)]
#[command(name = "qmail-lookupd", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Legacy control/sqlserver file
    #[arg(long, value_name = "FILE")]
    pub(crate) sqlserver: Option<PathBuf>,
    /// Store: sqlite:PATH, mysql://USER@HOST:PORT/DB, mysql://USER@localhost/DB?socket=PATH,
    /// ldap:ldapi://%2FPATH/BASE, ldap://HOST:PORT/BASE; never with a password
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Read and judge the configuration, say what is unwise, and end
    #[arg(long)]
    pub(crate) check: bool,
}

impl Cli {
    /// What to read, now and after each HUP.
    pub(crate) fn sources(&self) -> Sources {
        let Self { config, sqlserver, store, .. } = self;
        Sources { config: config.clone(), sqlserver: sqlserver.clone(), store_url: store.clone(), ..Sources::default() }
            .with_process_environment()
    }
}
