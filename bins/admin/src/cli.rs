//! Verbs and options.

mod editing;
mod moving;

pub(crate) use editing::{
    Alias, AliasVerb, Edit, Hash, MakeHome, Password, Rcpthost, RcpthostVerb, User, UserAdd, Virtual, VirtualVerb,
};
pub(crate) use moving::{Compare, Export, Format, Import, Into, Migrate};

use clap::{Args, Parser, Subcommand};
use qmail_lookup_config::QmailSend;
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
    /// Show the delivery instructions of a mailbox and an extension; add, list or delete some
    #[command(
        after_help = "Examples:\n  qmail-lookup alias iain list\n  qmail-lookup alias add iain list ./Maildir/ '&me@example.org'\n  qmail-lookup alias list iain\n  qmail-lookup alias del iain list"
    )]
    Alias(AliasVerb),
    /// Show who owns a virtual address; add, list or delete some
    #[command(
        after_help = "Examples:\n  qmail-lookup virtual sales@example.org\n  qmail-lookup virtual add sales@example.org iain\n  qmail-lookup virtual add @example.org iain @\n  qmail-lookup virtual list example.org\n  qmail-lookup virtual del sales@example.org"
    )]
    Virtual(VirtualVerb),
    /// Is mail for this host accepted by table rcpthosts? Add, list or delete some
    #[command(
        after_help = "Examples:\n  qmail-lookup rcpthost example.org\n  qmail-lookup rcpthost add example.org\n  qmail-lookup rcpthost list\n  qmail-lookup rcpthost del example.org"
    )]
    Rcpthost(RcpthostVerb),
    /// Add, show, list, delete, suspend and rename mailboxes, and set their passwords
    #[command(
        after_help = "Examples:\n  qmail-lookup user add iain --uid 800 --gid 800 --home /home/mail/iain --create-home --maildir\n  printf 'secret\\n' | qmail-lookup user passwd iain\n  qmail-lookup user list 'ia*'\n  qmail-lookup user del iain --with-rows"
    )]
    User {
        #[command(subcommand)]
        edit: User,
    },
    /// Ask two stores the same questions, and say where they differ
    #[command(
        after_help = "Examples:\n  qmail-lookup compare --from /var/qmail/control/sqlserver --to sqlite:mail.db\n  qmail-lookup compare --from old.toml --to new.toml --from-log /var/log/qmail/current\n  qmail-lookup compare --from sqlite:a.db --to sqlite:b.db --json\n\nExit status: 0 the same, 1 something differs, 111 something could not be asked."
    )]
    Compare(Compare),
    /// Copy the four tables from one store to another
    #[command(
        after_help = "Examples:\n  qmail-lookup migrate --from /var/qmail/control/sqlserver --to sqlite:mail.db --dry-run\n  qmail-lookup migrate --from sqlite:mail.db --to 'mysql://qmail@localhost/qmail?socket=/run/mysqld/mysqld.sock'\n\nRun it again if it was cut off: it goes on.\nExit status: 0 copied and the same, 1 refused or different, 111 cut off: run it again."
    )]
    Migrate(Migrate),
    /// Write the four tables as text, one row a line
    #[command(
        after_help = "Examples:\n  qmail-lookup export --output mail.export\n  qmail-lookup export --no-passwords | diff - yesterday.export"
    )]
    Export(Export),
    /// Read rows from a file of `export` or of another system
    #[command(
        after_help = "Examples:\n  qmail-lookup --store sqlite:mail.db import mail.export\n  qmail-lookup --store sqlite:mail.db import --format mysqldump qmail.sql\n  qmail-lookup --store sqlite:mail.db import --format vpopmail --uid 89 --gid 89 vpopmail.sql --dry-run\n  qmail-lookup --store sqlite:mail.db import --format qmail /var/qmail --shadow /etc/shadow\n\nExit status: 0 imported, 1 refused, or something could not be carried over, 111 cut off: run it again."
    )]
    Import(Import),
    /// Print what makes a shell complete verbs and options
    #[command(
        after_help = "Example:\n  qmail-lookup completion bash >/usr/share/bash-completion/completions/qmail-lookup"
    )]
    Completion {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Make a home as the user that it is for: what `user add --create-home` runs as a child
    #[command(hide = true)]
    MakeHome(MakeHome),
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
    /// Find what is wrong with the rows, and say what repairs it
    #[command(
        after_help = "Examples:\n  qmail-lookup lint\n  qmail-lookup lint --json | jq -r '.findings[] | select(.repair_kind == \"statement\").repair'\n\nExit status: 0 no errors and no warnings, 1 findings, 111 a store could not be read. Notes alone are no finding."
    )]
    Lint(Lint),
    /// Write the hosts of the stores into qmail's control files, and tell qmail-send
    #[command(
        after_help = "Examples:\n  qmail-lookup sync --dry-run\n  qmail-lookup sync --yes            the first time, if there are many hosts\n  qmail-lookup sync --no-hup         while qmail is stopped\n  qmail-lookup sync --watch          as a service of root\n\nExit status: 0 in step, 1 hosts were refused or wait for a decision, 111 nothing or not all could be done."
    )]
    Sync(Sync),
    /// Put qmail-getpw and qmail-local in the place of qmail's own, which are kept as NAME.stock
    #[command(
        after_help = "Examples:\n  qmail-lookup install --dry-run\n  qmail-lookup install\n  qmail-lookup install --checkpassword /bin/checkpassword\n\nRun it again after qmail was upgraded. What `uninstall` finds it gives back."
    )]
    Install(Install),
    /// Give qmail its own programs and control files back
    #[command(
        after_help = "Examples:\n  qmail-lookup uninstall --dry-run\n  qmail-lookup uninstall             while qmail runs: takes the hosts out, and sees that their mail is delivered\n  qmail-lookup uninstall --no-hup    while qmail is stopped: gives the programs back\n\nExit status: 0 done, 1 refused, 111 not all of it yet: the text says what has to be done before it is run again."
    )]
    Uninstall(Uninstall),
    /// Go through the FAQ's symptoms on this host, and say which apply and what to do
    #[command(
        after_help = "Examples:\n  qmail-lookup doctor\n  qmail-lookup doctor --user iain\n\nExit status: 0 all is well, 1 something is wrong, 111 something could not be looked at."
    )]
    Doctor(Doctor),
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// qmail's home, if it is not the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) qmail: Option<PathBuf>,
    /// Do not look at homes
    #[arg(long)]
    pub(crate) no_homes: bool,
    /// Do not show progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Count notes as findings, too
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// qmail's home, if it is not the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) qmail: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not tell qmail-send: it is not running
    #[arg(long, conflicts_with = "watch")]
    pub(crate) no_hup: bool,
    /// Go on for ever, and write whenever a store has changed
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// Write even if more hosts come or go than sync.grow and sync.shrink allow
    #[arg(long, conflicts_with = "watch")]
    pub(crate) yes: bool,
    /// How qmail-send is told: auto, service:DIR, pidfile:FILE, command:COMMAND [default: sync.qmail_send]
    #[arg(long, value_name = "HOW", value_parser = |how: &str| QmailSend::try_from(how.to_owned()))]
    pub(crate) qmail_send: Option<QmailSend>,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// qmail's home, if it is not the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) qmail: Option<PathBuf>,
    /// Where the programs of qmail-lookup are
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/qmail-lookup")]
    pub(crate) programs: PathBuf,
    /// Put checkpassword in the place of this one, too
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpassword: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// qmail's home, if it is not the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) qmail: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not tell qmail-send: it is not running
    #[arg(long)]
    pub(crate) no_hup: bool,
    /// Give the programs back while qmail-send runs: it then bounces mail of mailboxes that are no system users
    #[arg(long, conflicts_with = "no_hup")]
    pub(crate) running: bool,
    /// How qmail-send is told: auto, service:DIR, pidfile:FILE, command:COMMAND [default: sync.qmail_send]
    #[arg(long, value_name = "HOW", value_parser = |how: &str| QmailSend::try_from(how.to_owned()))]
    pub(crate) qmail_send: Option<QmailSend>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// qmail's home, if it is not the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) qmail: Option<PathBuf>,
    /// Look at this mailbox's home and login only
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<OsString>,
}
