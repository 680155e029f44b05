//! Verbs and options.

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  qmail-lookup demo
  qmail-lookup --store sqlite:mail.db init
  qmail-lookup --store sqlite:mail.db explain sales@example.org
  qmail-lookup --store 'mysql://qmail@localhost/qmail?socket=/run/mysqld/mysqld.sock' check
  qmail-lookup --sqlserver /var/qmail/control/sqlserver getpw iain-list
  qmail-lookup --config /etc/qmail-lookup/qmail-lookup.toml virtual info@example.org --json

Exit status: 0 yes, 1 no, 111 not known (temporary), 100 wrong usage or configuration.
Without --config, --sqlserver or --store: /etc/qmail-lookup/qmail-lookup.toml, else control/sqlserver of qmail's home.";

/// Asks, explains and checks the mail accounts of a qmail site in MySQL, SQLite or LDAP.
#[derive(Debug, Parser)]
#[command(name = "qmail-lookup", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Legacy control/sqlserver file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) sqlserver: Option<PathBuf>,
    /// Store: sqlite:PATH, mysql://USER@HOST:PORT/DB, mysql://USER@localhost/DB?socket=PATH,
    /// ldap:ldapi://%2FPATH/BASE, ldap://HOST:PORT/BASE
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// One JSON value on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say on standard error what is being done
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Load the FAQ's example rows into a temporary SQLite file and show each decision
    Demo {
        /// Keep the file and say where it is
        #[arg(long)]
        keep: bool,
    },
    /// Create the tables, or print the statements that would
    #[command(
        after_help = "Examples:\n  qmail-lookup --store sqlite:mail.db init\n  qmail-lookup --store mysql://root@localhost/qmail init --username-width 128 --with-seq\n  qmail-lookup --store sqlite:x init --print\n\nThe documented columns exactly; a table that is there already is left as it is."
    )]
    Init {
        /// Width of column username [documented: 32]
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=128))]
        username_width: u16,
        /// Add column seq to table alias, which keeps the order of instructions
        #[arg(long)]
        with_seq: bool,
        /// Print the statements and change nothing
        #[arg(long)]
        print: bool,
    },
    /// Who gets the mail of a local part: what qmail-getpw answers
    #[command(
        after_help = "Examples:\n  qmail-lookup getpw iain-list\n  qmail-lookup getpw --null '=virtual.com=-sales' | tr '\\0' '\\n'"
    )]
    Getpw {
        /// Local part as it stands in the queue; =HOST=-USER for a virtual host
        local: OsString,
        /// Print the six NUL-terminated fields that qmail-lspawn reads
        #[arg(long, conflicts_with = "json")]
        null: bool,
        /// Look at the home directory as qmail-getpw does
        #[arg(long)]
        check_home: bool,
    },
    /// Show a mailbox
    Mailbox {
        /// Mailbox name
        user: OsString,
    },
    /// Show the delivery instructions of a mailbox and an extension
    Alias {
        /// Mailbox name, or the alias user's
        user: OsString,
        /// Extension; without it, the user's own default
        ext: Option<OsString>,
    },
    /// Show who owns a virtual address
    Virtual {
        /// USER@HOST
        address: OsString,
    },
    /// Is mail for this host accepted by table rcpthosts?
    Rcpthost {
        /// Host
        host: OsString,
    },
    /// Check a password, read from the first line of standard input
    #[command(after_help = "Example:\n  printf 'secret\\n' | qmail-lookup auth iain")]
    Auth {
        /// Login, as it would be typed at a POP3 prompt
        user: OsString,
    },
    /// Show every decision for an address: rules, queries, rows, instructions
    #[command(
        after_help = "Verdicts: deliver, forward, files (qmail's own files decide), bounce, not-ours, temporary.\nA local part alone is taken as local; so is a host of QMAIL/control/locals. A line of\nQMAIL/control/virtualdomains that fits comes before the rows of a host."
    )]
    Explain {
        /// USER@HOST, or a local part alone
        address: OsString,
    },
    /// Check configuration, connection, privileges, tables and canary
    Check,
    /// Tell the daemon to believe a store again that has lost most of its rows on purpose
    #[command(
        after_help = "When most of the keys that qmail-lookupd found before are gone, it takes no \"none\" of that store for an answer, so\nthat nobody's mail bounces. It believes the store again when the rows are back, or when it is told by this verb.\nOnly root may tell it; it is found by daemon.auth_socket."
    )]
    Trust,
    /// Tell the daemon to forget the answers that it keeps (cache.ttl)
    Flush,
}
