//! Options of the verbs that edit rows.

use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// What all edits have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Edit {
    /// Do it even if `lint` would report the rows
    #[arg(long)]
    pub(crate) force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hash {
    /// The strongest of crypt(3) that this system makes and the table's columns hold: yescrypt, else sha512
    Auto,
    /// crypt(3) $y$
    Yescrypt,
    /// argon2id, which programs that know crypt(3) only cannot verify
    Argon2,
    /// crypt(3) $6$
    Sha512,
}

/// Where a password comes from, and how it is stored.
#[derive(Clone, Debug, Args)]
pub(crate) struct Password {
    /// Read the password from the first line of standard input [default, unless that is a terminal]
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// How it is stored
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) hash: Hash,
}

/// See [`User::Add`].
#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// Name
    pub(crate) name: OsString,
    /// Numeric user id of its mail
    #[arg(long)]
    pub(crate) uid: u32,
    /// Numeric group id of its mail
    #[arg(long)]
    pub(crate) gid: u32,
    /// Home directory
    #[arg(long, value_name = "DIR")]
    pub(crate) home: PathBuf,
    /// Nobody can log in
    #[arg(long, conflicts_with_all = ["password_stdin", "hash"])]
    pub(crate) no_password: bool,
    #[command(flatten)]
    pub(crate) password: Password,
    /// Make the home and a Maildir in it, unless they are there
    #[arg(long)]
    pub(crate) create_home: bool,
    /// Add the instruction that delivers into ./Maildir/
    #[arg(long)]
    pub(crate) maildir: bool,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a mailbox
    #[command(
        after_help = "Examples:\n  qmail-lookup user add iain --uid 800 --gid 800 --home /home/mail/iain --create-home --maildir\n  pwgen | qmail-lookup user add bob --uid 801 --gid 801 --home /home/mail/bob --password-stdin\n  qmail-lookup user add info --uid 802 --gid 802 --home /home/mail/info --no-password --dry-run\n\nThe home is made before the row: a mailbox never waits for its home."
    )]
    Add(UserAdd),
    /// Show a mailbox, its instructions and its virtual addresses
    Show {
        /// Name
        name: OsString,
    },
    /// List the mailboxes
    List {
        /// Only those whose whole names fit: * any characters, ? one; upper and lower case are the same
        pattern: Option<OsString>,
    },
    /// Delete a mailbox; its home stays
    Del {
        /// Name
        name: OsString,
        /// Delete its alias rows and virtual rows, too
        #[arg(long)]
        with_rows: bool,
        #[command(flatten)]
        edit: Edit,
    },
    /// Set a password
    Passwd {
        /// Name
        name: OsString,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        edit: Edit,
    },
    /// Refuse its logins; its mail gets what rules.suspended_mail says
    Suspend {
        /// Name
        name: OsString,
        #[command(flatten)]
        edit: Edit,
    },
    /// Let it log in again
    Resume {
        /// Name
        name: OsString,
        #[command(flatten)]
        edit: Edit,
    },
    /// Rename a mailbox with its alias rows and virtual rows; its home stays where it is
    Rename {
        /// Name
        name: OsString,
        /// New name
        new: OsString,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alias {
    /// Add delivery instructions
    Add {
        /// Mailbox name, or the alias user's
        user: OsString,
        /// Extension; '' for the user's own default, @ for all extensions without rows
        ext: OsString,
        /// Lines as of a dot-qmail file: ./Maildir/, /path/mbox, |program, &user@host, user@host
        #[arg(required = true)]
        instructions: Vec<OsString>,
        #[command(flatten)]
        edit: Edit,
    },
    /// List delivery instructions
    List {
        /// Of this user only
        user: Option<OsString>,
    },
    /// Delete delivery instructions
    Del {
        /// Mailbox name, or the alias user's
        user: OsString,
        /// Extension
        ext: OsString,
        /// Only these lines [default: all of this extension]
        instructions: Vec<OsString>,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Virtual {
    /// Add a virtual address
    Add {
        /// USER@HOST; @HOST is the catch-all
        address: OsString,
        /// Who owns it
        owner: OsString,
        /// Extension that the owner gets its mail under; @ for the user part as it was typed
        ext: Option<OsString>,
        /// Put this row in the place of those that the address has
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        edit: Edit,
    },
    /// List virtual addresses
    List {
        /// Of this host only
        host: Option<OsString>,
    },
    /// Delete a virtual address
    Del {
        /// USER@HOST; @HOST is the catch-all
        address: OsString,
        /// Only the row of this owner
        owner: Option<OsString>,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rcpthost {
    /// Accept mail for a host
    Add {
        /// Host, or .SUFFIX
        host: OsString,
        #[command(flatten)]
        edit: Edit,
    },
    /// List the accepted hosts
    List,
    /// Accept mail for a host no more
    Del {
        /// Host, or .SUFFIX
        host: OsString,
        #[command(flatten)]
        edit: Edit,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AliasVerb {
    /// Mailbox name, or the alias user's; behind -- if it is called like a verb
    #[arg(required = true)]
    pub(crate) user: Option<OsString>,
    /// Extension; without it, the user's own default
    pub(crate) ext: Option<OsString>,
    #[command(subcommand)]
    pub(crate) edit: Option<Alias>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct VirtualVerb {
    /// USER@HOST
    #[arg(required = true)]
    pub(crate) address: Option<OsString>,
    #[command(subcommand)]
    pub(crate) edit: Option<Virtual>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RcpthostVerb {
    /// Host
    #[arg(required = true)]
    pub(crate) host: Option<OsString>,
    #[command(subcommand)]
    pub(crate) edit: Option<Rcpthost>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MakeHome {
    /// Whose it is
    #[arg(long)]
    pub(crate) uid: u32,
    /// Whose it is
    #[arg(long)]
    pub(crate) gid: u32,
    /// Make the home only, where nobody but root may write
    #[arg(long)]
    pub(crate) as_root: bool,
    /// Home directory
    pub(crate) home: PathBuf,
}
