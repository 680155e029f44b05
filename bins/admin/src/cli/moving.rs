//! Options of `compare`, `migrate`, `export` and `import`.

use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// One side: a store as for --store, a configuration file (NAME.toml), or a control/sqlserver file
    #[arg(long, value_name = "STORE")]
    pub(crate) from: OsString,
    /// The other side, in the same words
    #[arg(long, value_name = "STORE")]
    pub(crate) to: OsString,
    /// Every key of both sides, with what can be derived from them [default, unless keys are given]
    #[arg(long)]
    pub(crate) all: bool,
    /// Keys, one a line: USER@HOST, a local part, or mailbox:NAME, local:PART, alias:USER EXT, address:USER@HOST,
    /// host:NAME; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Recipients of a log of qmail-send; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from_log: Option<PathBuf>,
    /// Do not compare passwords
    #[arg(long)]
    pub(crate) no_passwords: bool,
    /// Questions that are under way at each side
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) parallel: u16,
    /// Do not show progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How rows get into a store that may hold some already.
#[derive(Debug, Args)]
pub(crate) struct Into {
    /// The target may hold rows: those that it lacks are added, and those that differ are named and left as they are
    #[arg(long, conflicts_with = "replace")]
    pub(crate) merge: bool,
    /// The target may hold rows: those that differ are replaced, and those that the source lacks are deleted
    #[arg(long)]
    pub(crate) replace: bool,
    /// With --replace: delete even if it is much of what the target holds, or all of a table
    #[arg(long, requires = "replace")]
    pub(crate) yes: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave out the rows that the target cannot hold, and write them to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) skip: Option<PathBuf>,
    /// Width of column username, if the tables have to be made [documented: 32]
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub(crate) username_width: u16,
    /// Do not show progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Where the rows are: a store as for --store, a configuration file (NAME.toml), or a control/sqlserver file
    #[arg(long, value_name = "STORE")]
    pub(crate) from: OsString,
    /// Where they shall be, in the same words
    #[arg(long, value_name = "STORE")]
    pub(crate) to: OsString,
    #[command(flatten)]
    pub(crate) into: Into,
    /// Where it is noted that this migration was begun [default: in XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Do not compare the stores at the end
    #[arg(long)]
    pub(crate) no_compare: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to; a file is made with mode 0600, and takes the place of one that is there when it is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave the passwords out
    #[arg(long)]
    pub(crate) no_passwords: bool,
    /// Do not show progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What a file to import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What `export` writes
    Text,
    /// mysqldump of the old patch's four tables
    Mysqldump,
    /// mysqldump of vpopmail's database
    Vpopmail,
    /// mysqldump of postfixadmin's database
    Postfixadmin,
    /// The files of a stock qmail: passwd, users/assign, control/virtualdomains, dot-qmail files
    Qmail,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What it is
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// The file, or qmail's home for --format qmail; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) into: Into,
    /// Leave passwords out, as a file of `export --no-passwords` does: nobody can log in to its mailboxes
    #[arg(long)]
    pub(crate) no_passwords: bool,
    /// uid of mailboxes that the other system has no uid for
    #[arg(long, value_name = "UID")]
    pub(crate) uid: Option<u32>,
    /// gid of mailboxes that the other system has no gid for
    #[arg(long, value_name = "GID")]
    pub(crate) gid: Option<u32>,
    /// Directory that relative homes are below
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// passwd file for --format qmail [default: /etc/passwd]
    #[arg(long, value_name = "FILE")]
    pub(crate) passwd: Option<PathBuf>,
    /// shadow file for --format qmail; without it no passwords are carried over
    #[arg(long, value_name = "FILE")]
    pub(crate) shadow: Option<PathBuf>,
}
