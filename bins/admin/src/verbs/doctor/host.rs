//! What the checks work with: the host that is looked at, as its configuration and qmail's home describe it.

use super::check::Report;
use super::ids::Ids;
use crate::cli;
use crate::session::Session;
use nix::unistd::User;
use qmail_lookup_config::{QmailSend, Right, quoted};
use qmail_lookup_core::Table;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a check that takes another's uid was left out.
pub(super) const NOT_ROOT: &str = "only root can try it as somebody else";
/// What helps then.
pub(super) const AS_ROOT: &str = "run it as root";

/// See the module.
pub(super) struct Host<'a> {
    pub(super) cli: &'a cli::Cli,
    pub(super) options: &'a cli::Doctor,
    pub(super) session: Session,
    pub(super) qmail: PathBuf,
    pub(super) is_root: bool,
    /// Tables whose store does not answer. It was said once.
    pub(super) down: Vec<Table>,
}

impl Host<'_> {
    /// A file of qmail's home.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.qmail.join(name)
    }

    /// A command of this tool, with the options that lead to the same configuration.
    pub(super) fn tool(&self, verb: &str) -> String {
        let mut words = tool(self.cli, verb);
        if let Some(qmail) = &self.options.qmail {
            words.push_str(&format!(" --qmail {}", quoted(qmail)));
        }
        words
    }

    /// `sync`, as it has to be run now.
    pub(super) fn sync(&self) -> String {
        let running = crate::qmail::send::find(&self.qmail);
        let asked = self.session.config.sync.qmail_send != QmailSend::Auto;
        self.tool(if asked || matches!(running, Ok(Some(_))) { "sync" } else { "sync --no-hup" })
    }

    /// See [`crate::qmail::send::told`]; it is also made by [`Host::tell`].
    pub(super) fn told(&self) -> PathBuf {
        crate::qmail::send::told(&self.qmail)
    }

    /// The command that tells a running qmail-send of its control files. What is changed after it begins is not told.
    pub(super) fn tell(&self) -> Option<String> {
        let pid = crate::qmail::send::find(&self.qmail).ok().flatten()?;
        let told = self.told();
        let folder = told.parent().unwrap_or(&self.qmail);
        Some(format!("mkdir -p {} && touch {} && kill -HUP {pid}", quoted(folder), quoted(&told)))
    }

    /// Who runs qmail-getpw: qmailp, else a user of `[daemon.allow]` who may ask what it asks.
    pub(super) fn asker(&self) -> Option<User> {
        self.user_with("qmailp", Right::Getpw)
    }

    /// Who runs qmail-smtpd: qmaild, else a user of `[daemon.allow]` who may ask about its hosts.
    pub(super) fn receiver(&self) -> Option<User> {
        self.user_with("qmaild", Right::Rcpthosts)
    }

    fn user_with(&self, name: &str, right: Right) -> Option<User> {
        let user = |name: &str| User::from_name(name).ok().flatten();
        let allow = &self.session.config.daemon.allow;
        let others = allow.iter().filter(|(_, rights)| rights.contains(&right)).map(|(name, _)| name.as_str());
        std::iter::once(name).chain(others).find_map(user)
    }

    /// The daemon's uid and gid: those of the owner of the folder of its sockets, else of its usual user.
    pub(super) fn daemon(&self) -> Option<Ids> {
        let folder = self.session.config.daemon.lookup_socket.parent().map(Path::to_owned).unwrap_or_default();
        let owner = std::fs::metadata(folder).ok().filter(|facts| facts.uid() != 0);
        let usual = || User::from_name("qmail-lookup").ok().flatten().map(|user| ids_of(&user));
        owner.map(|facts| Ids { uid: facts.uid(), gid: facts.gid() }).or_else(usual)
    }

    /// False if the rows of `table` cannot be read; then that is said under `question`.
    pub(super) fn has_rows(&self, table: Table, question: &'static str, report: &mut Report) -> bool {
        let up = !self.down.contains(&table);
        if !up {
            report.unknown(question, format!("the store of table {table} does not answer, see above"), "");
        }
        up
    }
}

/// A command of this tool for the same configuration.
pub(super) fn tool(cli: &cli::Cli, verb: &str) -> String {
    let mut words = "qmail-lookup".to_owned();
    for (option, value) in [("--config", &cli.config), ("--sqlserver", &cli.sqlserver)] {
        if let Some(path) = value {
            words.push_str(&format!(" {option} {}", quoted(path)));
        }
    }
    if let Some(url) = &cli.store {
        words.push_str(&format!(" --store {}", quoted(Path::new(url))));
    }
    format!("{words} {verb}")
}

/// Uid and gid of a user of the system.
pub(super) fn ids_of(user: &User) -> Ids {
    Ids { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}
