//! Stores of a trial's own, as `--from` and `--to` name them, and rows in them.

use crate::cli::{Run, program, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::Outcome;
use qmail_lookup_tests::load::ldap::base;
use qmail_lookup_tests::load::{mysql, sqlite};
use qmail_lookup_tests::server::is_required;
use qmail_lookup_tests::server::mariadb::{self, MariaDb};
use qmail_lookup_tests::server::slapd::{self, Certificate, Schema, Slapd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Trials that need servers; without them they are ignored with the reason, or fail where these are required.
pub(super) fn trial(name: &str, needs: &[&str], run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    let why = needs.iter().find_map(|kind| {
        let why = if *kind == "mariadb" { mariadb::missing() } else { slapd::missing() };
        why.map(|why| (why, is_required(if *kind == "mariadb" { "mariadb" } else { "ldap" })))
    });
    match why {
        None => Trial::test(format!("moving::{name}"), run),
        Some((why, required)) => {
            Trial::test(format!("moving::{name} ({why})"), move || Err(why.into())).with_ignored_flag(!required)
        }
    }
}

/// A folder for files, and the servers of one trial.
pub(super) struct World {
    folder: TempDir,
    pub(super) mariadb: Option<MariaDb>,
    pub(super) slapd: Option<Slapd>,
}

impl World {
    pub(super) fn new(needs: &[&str]) -> Result<Self, Failed> {
        let mariadb = needs.contains(&"mariadb").then(|| MariaDb::start(&[])).transpose()?;
        if let Some(server) = &mariadb {
            // These tests kill it; what it has committed must survive that.
            server.sql("SET GLOBAL innodb_flush_log_at_trx_commit=1")?;
        }
        let slapd = needs.contains(&"ldap").then(|| Slapd::start(Schema::Native, Certificate::Good)).transpose()?;
        let world = Self { folder: tempfile::tempdir()?, mariadb, slapd };
        world.write("password", mariadb::PASSWORD)?;
        Ok(world)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<String, Failed> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    }

    /// An SQLite file, made or not.
    pub(super) fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.path(name).display())
    }

    /// An SQLite file with these rows.
    pub(super) fn sqlite_with(&self, name: &str, tables: sqlite::Tables, rows: &[TableRow]) -> Result<String, Failed> {
        sqlite::create(&self.path(name), tables, rows)?;
        Ok(self.sqlite(name))
    }

    pub(super) fn server(&self) -> Result<&MariaDb, Failed> {
        self.mariadb.as_ref().ok_or_else(|| "no MariaDB".into())
    }

    pub(super) fn directory(&self) -> Result<&Slapd, Failed> {
        self.slapd.as_ref().ok_or_else(|| "no slapd".into())
    }

    /// The URL of a database, made or not.
    pub(super) fn mysql(&self, database: &str) -> Result<String, Failed> {
        let (socket, password) = (self.server()?.socket().display(), self.path("password"));
        let password = password.display();
        Ok(format!("mysql://{}@localhost/{database}?socket={socket}&password_file={password}", mariadb::USER))
    }

    /// A new database without tables.
    pub(super) fn mysql_empty(&self, database: &str) -> Result<String, Failed> {
        self.server()?.sql(&format!("CREATE DATABASE {database}"))?;
        self.mysql(database)
    }

    /// A new database with these rows.
    pub(super) fn mysql_with(&self, name: &str, tables: mysql::Tables, rows: &[TableRow]) -> Result<String, Failed> {
        mysql::create(self.server()?, name, tables, rows)?;
        self.mysql(name)
    }

    /// The configuration of a new base with nothing below it.
    pub(super) fn ldap_empty(&self, name: &str) -> Result<String, Failed> {
        let server = self.directory()?;
        let base = base(name);
        server
            .add(&format!("dn: {base}\nobjectClass: dcObject\nobjectClass: organization\ndc: {name}\no: {name}\n\n"))?;
        self.ldap(name)
    }

    /// The configuration of a base.
    pub(super) fn ldap(&self, name: &str) -> Result<String, Failed> {
        self.ldap_as(name, slapd::USER, name)
    }

    /// The configuration `file` of a base that is read as `user`.
    pub(super) fn ldap_as(&self, name: &str, user: &str, file: &str) -> Result<String, Failed> {
        let (url, base) = (self.directory()?.ldapi(), base(name));
        let password = self.path("password");
        self.write(
            &format!("{file}.toml"),
            &format!(
                "[store]\nkind = \"ldap\"\nservers = [\"{url}\"]\nbind_dn = \"{user}\"\npassword_file = \"{}\"\n\
                 base = \"{base}\"\nauth = \"compare\"\n",
                password.display()
            ),
        )
    }

    /// Runs the tool with a home of its own.
    pub(super) fn run(&self, args: &[&str]) -> Result<Run, Failed> {
        let home = self.folder.path().display().to_string();
        run_with(args, "", &[("HOME", &home)])
    }

    /// `migrate` with further options.
    pub(super) fn migrate(&self, from: &str, to: &str, more: &[&str]) -> Result<Run, Failed> {
        self.run(&[&["migrate", "--from", from, "--to", to], more].concat())
    }

    /// Starts `migrate`; its output goes to files.
    pub(super) fn begin(&self, from: &str, to: &str, more: &[&str]) -> Result<Child, Failed> {
        let mut command = Command::new(program()?);
        command.args(["migrate", "--from", from, "--to", to]).args(more);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        let file = |name: &str| std::fs::File::create(self.path(name));
        command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
        Ok(command.spawn()?)
    }

    /// What the run that was started said on standard error.
    pub(super) fn said(&self) -> Result<String, Failed> {
        Ok(std::fs::read_to_string(self.path("err"))?)
    }

    /// The text that `export` writes.
    pub(super) fn export(&self, store: &str) -> Result<String, Failed> {
        let which = if store.ends_with(".toml") { "--config" } else { "--store" };
        Ok(self.run(&[which, store, "export"])?.exits(0)?.out)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = &self.mariadb {
            server.thaw();
            server.kill();
        }
        if let Some(server) = &self.slapd {
            server.thaw();
            server.kill();
        }
    }
}

/// A row of text.
pub(super) fn row(table: Table, cells: &[&str]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())))
}

/// A mailbox.
pub(super) fn mailbox(name: &str) -> TableRow {
    row(Table::Mailbox, &[name, "800", "100", "/home/mail", "open-sesame", "Password", "N"])
}

/// A few rows of each table; the alias rows are in another order than without numbers.
pub(super) fn few() -> Vec<TableRow> {
    vec![
        mailbox("iain"),
        mailbox("bob"),
        row(Table::Alias, &["iain", "list", "zed", "example.org", "1"]),
        row(Table::Alias, &["iain", "list", "a", "example.org", "2"]),
        row(Table::Alias, &["bob", "@", ".", "/Maildir/", "3"]),
        row(Table::Virtual, &["bar.com", "sales", "iain", ""]),
        row(Table::Virtual, &["bar.com", "", "bob", "@"]),
        row(Table::Rcpthosts, &["bar.com"]),
    ]
}
