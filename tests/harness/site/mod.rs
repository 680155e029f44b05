//! A whole site: qmail's home with its control files, homes of users with uids of their own, a store, and the real
//! daemon over it. It needs root, because its parts are people who do not trust each other.

mod commands;
mod daemon;
mod dropins;
mod local;
mod lspawn;
mod programs;
mod rows;
mod thread;

pub use commands::{Ran, command, may_mount, run};
pub use daemon::{Daemon, connect, read_frame};
pub use dropins::{RcptCheck, Said};
pub use local::{ALIAS_EMPTY, Local, Queued, Report};
pub use lspawn::Answer;
pub use programs::{dropin, example, program};
pub use rows::{alias_row, host_row, virtual_row};
pub use thread::{as_member, as_user};

use crate::check::{Outcome, ensure};
use crate::load;
use crate::server::is_required;
use crate::server::mariadb::{MariaDb, PASSWORD, USER};
use crate::server::slapd::Slapd;
use crate::shape::Shape;
use libtest_mimic::{Failed, Trial};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The daemon's uid and gid; no user has them.
pub const DAEMON: u32 = 20_900;
/// A uid that may ask nothing.
pub const STRANGER: u32 = 20_901;
/// Uids and gids of the mailboxes.
pub const IAIN: u32 = 20_001;
/// See [`IAIN`].
pub const BOB: u32 = 20_002;
/// See [`IAIN`].
pub const BOB_SMITH: u32 = 20_003;
/// See [`IAIN`].
pub const VIRTUAL: u32 = 20_004;
/// See [`IAIN`].
pub const SUSPENDED: u32 = 20_005;
/// A system user who stands for qmailp: he may ask `getpw`.
pub const QMAILP: &str = "games";
/// A system user who stands for qmaild: he may ask `rcpthosts` and `recipient`.
pub const QMAILD: &str = "news";
/// A system user who stands for qmail's alias user.
pub const ALIAS: &str = "uucp";

/// Everybody's password.
pub const SECRET: &str = "open sesame";

/// The rows. The same text suits both kinds of store; `HOMES` stands for the folder of the homes.
const ROWS: &str = "
INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended) VALUES
  ('iain', '20001', '20001', 'HOMES/iain', 'open sesame', 'Password', 'N'),
  ('bob', '20002', '20002', 'HOMES/bob', 'open sesame', 'Password', 'N'),
  ('bob-smith', '20003', '20003', 'HOMES/bob-smith', 'open sesame', 'Password', 'N'),
  ('virtual', '20004', '20004', 'HOMES/virtual', 'open sesame', 'Password', 'N'),
  ('suspended', '20005', '20005', 'HOMES/suspended', 'open sesame', 'Password', 'Y'),
  ('broken', '0', '0', 'HOMES/broken', 'open sesame', 'Password', 'N');
INSERT INTO alias (username, alias, alias_username, alias_host) VALUES
  ('iain', 'work', '.', '/Maildir/'), ('iain', 'away', 'friend', 'example.org'), ('iain', 'secret', '|', 'private'),
  ('bob', '@', '.', '/Catchall/'), ('virtual', '@', '.', '/Maildir/');
INSERT INTO virtual (username, ext, virtual_username, virtual_host) VALUES
  ('virtual', '@', '', 'virtual.com'), ('iain', 'work', 'sales', 'bar.com'), ('iain', '', 'iain', 'bar.com'),
  ('nobody-here', '', 'info', 'bar.com');
INSERT INTO rcpthosts (host) VALUES ('virtual.com'), ('bar.com'), ('.wild.test');
";

/// See the module.
pub struct Site {
    folder: TempDir,
    /// The MariaDB of the site, if that is its store.
    pub mariadb: Option<MariaDb>,
    /// The slapd of the site, if that is its store.
    pub slapd: Option<Slapd>,
    /// Groups that the daemon is a member of: it can give its sockets for logins to no other `auth_group`.
    pub groups: Vec<u32>,
}

/// A trial that needs root, and a system that lets it mount: ignored with a loud name without the latter.
pub fn mounting(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    if may_mount() {
        return trial(name, run);
    }
    Trial::test(format!("{name} (needs to mount)"), || Err("needs to mount".into())).with_ignored_flag(true)
}

/// A trial that needs root: ignored with a loud name without, and a failure in CI.
pub fn trial(name: &str, run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    if nix::unistd::geteuid().is_root() {
        return Trial::test(name, run);
    }
    let required = is_required("root");
    Trial::test(format!("{name} (needs root)"), || Err("needs root".into())).with_ignored_flag(!required)
}

impl Site {
    fn new(mariadb: Option<MariaDb>, slapd: Option<Slapd>) -> Result<Self, Failed> {
        Ok(Self { folder: new_folder()?, mariadb, slapd, groups: Vec::new() })
    }

    /// A site on a SQLite file. The lines of `more` are added to its configuration, below the `[table]` lines among
    /// them (`[store]` before any); `{RUN}` is the folder of the sockets.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn sqlite(more: &str) -> Result<Self, Failed> {
        let site = Self::new(None, None)?;
        let file = site.path("db/store.sqlite");
        site.lay_out()?;
        std::fs::create_dir(site.path("db"))?;
        load::sqlite::create(&file, load::sqlite::Tables::Documented, &[])?;
        rusqlite::Connection::open(&file)?.execute_batch(&site.rows())?;
        chown(site.path("db"), Some(DAEMON), Some(DAEMON))?;
        chown(&file, Some(DAEMON), Some(DAEMON))?;
        site.configure(&format!("kind = \"sqlite\"\npath = \"{}\"", file.display()), more)?;
        Ok(site)
    }

    /// A site on a MariaDB of its own, as [`Site::sqlite`].
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn mariadb(more: &str) -> Result<Self, Failed> {
        let site = Self::new(Some(MariaDb::start(&[])?), None)?;
        site.lay_out()?;
        if let Some(server) = &site.mariadb {
            // Whatever happens to the server, what it was told before stays.
            server.sql("SET GLOBAL innodb_flush_log_at_trx_commit=1; CREATE DATABASE qmail")?;
            let settings = [
                ("servers", serde_json::json!([format!("unix:{}", server.socket().display())])),
                ("user", USER.into()),
                ("password", PASSWORD.into()),
                ("database", "qmail".into()),
            ];
            load::create_tables(&*load::open("mysql", &settings)?, &Shape::documented())?;
            server.sql(&format!("USE qmail; {}", site.rows()))?;
            let socket = server.socket().display();
            let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
            let store = format!(
                "kind = \"mysql\"\nservers = [\"unix:{socket}\"]\nuser = \"{USER}\"\npassword = \"{password}\"\ndatabase = \"qmail\"\ncanary = \"iain\""
            );
            site.configure(&store, more)?;
        }
        Ok(site)
    }

    /// A path inside the site.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the sockets.
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.path("run").join(name)
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("qmail-lookup.toml")
    }

    /// Changes the rows of the store.
    ///
    /// # Errors
    /// The store's, or if it has no SQL.
    pub fn sql(&self, statements: &str) -> Outcome {
        ensure(self.slapd.is_none(), "a directory has no SQL")?;
        match &self.mariadb {
            Some(server) => server.sql(&format!("USE qmail; {statements}")),
            None => Ok(rusqlite::Connection::open(self.path("db/store.sqlite"))?.execute_batch(statements)?),
        }
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(&self) -> Result<Daemon, Failed> {
        Daemon::start(self)
    }

    /// Writes the configuration anew: the store's settings as they were, and `more`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn reconfigure(&self, more: &str) -> Outcome {
        let store = std::fs::read_to_string(self.path("store.toml"))?;
        self.configure(&store, more)
    }

    fn configure(&self, store: &str, more: &str) -> Outcome {
        let run = self.path("run").display().to_string();
        let fixed = format!(
            "[rules]\nalias_user = \"{ALIAS}\"\n[daemon]\nlookup_socket = \"{run}/lookup.sock\"\n\
             auth_socket = \"{run}/auth.sock\"\n[daemon.allow]\n{QMAILP} = [\"getpw\"]\n\
             {QMAILD} = [\"rcpthosts\", \"recipient\"]\n"
        );
        let q = self.path("q").display().to_string();
        let mut text = format!("qmail = \"{q}\"\n[store]\n{store}\n{fixed}");
        // Lines of `more` go below the table that they name; a new table goes to the end.
        let mut table = "[store]".to_owned();
        for line in more.replace("{RUN}", &run).lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with('[') {
                line.clone_into(&mut table);
                if !text.contains(line) {
                    text.push_str(&format!("{line}\n"));
                }
            } else {
                text = text.replacen(&format!("{table}\n"), &format!("{table}\n{line}\n"), 1);
            }
        }
        std::fs::write(self.path("store.toml"), store)?;
        std::fs::write(self.config(), text)?;
        // Only the daemon may read it: it holds the password.
        std::fs::set_permissions(self.config(), std::fs::Permissions::from_mode(0o600))?;
        Ok(chown(self.config(), Some(DAEMON), Some(DAEMON))?)
    }

    fn rows(&self) -> String {
        ROWS.replace("HOMES", &self.path("homes").display().to_string())
    }

    fn lay_out(&self) -> Outcome {
        for name in ["q", "q/bin", "q/control", "run", "homes"] {
            std::fs::create_dir(self.path(name))?;
            std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755))?;
        }
        chown(self.path("run"), Some(DAEMON), Some(DAEMON))?;
        let control = [
            ("lookupsocket", format!("{}\n", self.socket("lookup.sock").display())),
            ("authsocket", format!("{}\n", self.socket("auth.sock").display())),
            ("me", "mail.test\n".to_owned()),
            ("locals", "mail.test\n".to_owned()),
            ("rcpthosts", "mail.test\nvirtual.com\nbar.com\n".to_owned()),
            ("virtualdomains", "virtual.com:=virtual.com=\nbar.com:=bar.com=\n".to_owned()),
        ];
        for (name, text) in control {
            std::fs::write(self.path("q/control").join(name), text)?;
        }
        std::fs::write(self.path("q/message"), "Subject: test\n\nhello\n")?;
        let alias = nix::unistd::User::from_name(ALIAS)?.ok_or("no stand-in for the alias user")?.uid.as_raw();
        let homes = [
            ("iain", IAIN),
            ("bob", BOB),
            ("bob-smith", BOB_SMITH),
            ("virtual", VIRTUAL),
            ("suspended", SUSPENDED),
            ("alias", alias),
        ];
        for (name, id) in homes {
            let home = self.path("homes").join(name);
            std::fs::create_dir(&home)?;
            chown(&home, Some(id), Some(id))?;
        }
        for name in ["qmail-getpw", "qmail-local", "checkpassword", "dovecot-checkpassword", "qmail-rcptcheck"] {
            // By another process: a file that a thread of this one has open for writing cannot be run, and a process
            // that another thread starts meanwhile inherits it for a moment.
            let copied = Command::new("cp").arg(dropin(name)?).arg(self.path("q/bin")).status()?;
            ensure(copied.success(), format!("{name} cannot be copied"))?;
        }
        self.lay_out_queue()?;
        // Its stock program knows one system user, and else ends at the alias user, as qmail's own does.
        self.script(
            "q/bin/qmail-getpw.stock",
            &format!(
                "case $1 in sysuser*) printf 'sysuser\\0001234\\0001234\\000/sys\\000\\000\\000' ;; \
                 *) printf '{ALIAS}\\00010\\00010\\000/alias\\000-\\000%s\\000' \"$1\" ;; esac"
            ),
        )
    }

    /// Writes an executable shell script.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn script(&self, name: &str, body: &str) -> Outcome {
        write_script(&self.path(name), body)
    }
}

fn write_script(path: &Path, body: &str) -> Outcome {
    std::fs::write(path, format!("#!/bin/sh\n{body}\n"))?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Where the folders of sites are made: programs that root runs believe a file only if nobody else can write in any
/// directory above it, and programs can be run from there.
const BASE: &str = "/var/lib";

fn new_folder() -> Result<TempDir, Failed> {
    let folder = tempfile::Builder::new().prefix("ql.").tempdir_in(BASE)?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = &self.mariadb {
            server.kill();
        }
        if let Some(server) = &self.slapd {
            server.kill();
        }
    }
}
