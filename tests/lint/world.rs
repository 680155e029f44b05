//! A store, and a qmail home, for lint to look at.

use crate::cli::{Run, run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, equal};
use qmail_lookup_tests::server::is_required;
use qmail_lookup_tests::server::mariadb::{self, MariaDb, PASSWORD, USER, missing};
use qmail_lookup_tests::subjects::main_server;
use serde_json::Value;
use sqlx::Row;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Mailboxes of every world. No system user has these names.
const ROWS: &str = "
INSERT INTO mailbox (username, uid, gid, home, password, password_type, suspended) VALUES
  ('iain', '20001', '20001', '/nonexistent/iain', 'x', 'Password', 'N'),
  ('bob', '20002', '20002', '/nonexistent/bob', 'x', 'Password', 'N');
";

/// See the module.
pub(super) struct World {
    pub(super) folder: TempDir,
    url: String,
    server: Option<(&'static MariaDb, String)>,
}

/// A sentence, and what tries it.
pub(super) type Case = (&'static str, fn(&World) -> Outcome);

/// A trial on each kind of SQL store.
pub(super) fn on_each(name: &str, case: fn(&World) -> Outcome) -> Vec<Trial> {
    let sqlite = Trial::test(format!("lint::sqlite::{name}"), move || case(&World::sqlite()?));
    let mariadb = format!("lint::mariadb::{name}");
    let mariadb = match missing() {
        None => Trial::test(mariadb, move || case(&World::mariadb()?)),
        Some(why) => {
            let required = is_required("mariadb");
            Trial::test(format!("{mariadb} ({why})"), move || Err(why.into())).with_ignored_flag(!required)
        }
    };
    vec![sqlite, mariadb]
}

impl World {
    pub(super) fn sqlite() -> Result<Self, Failed> {
        let folder = folder()?;
        let url = format!("sqlite:{}", folder.path().join("store.sqlite").display());
        Self { folder, url, server: None }.filled()
    }

    fn mariadb() -> Result<Self, Failed> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lint{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (server, folder) = (main_server()?, folder()?);
        server.sql(&format!("CREATE DATABASE {name}"))?;
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, Permissions::from_mode(0o600))?;
        let (socket, password) = (server.socket().display(), password.display());
        let url = format!("mysql://{USER}@localhost/{name}?socket={socket}&password_file={password}");
        Self { folder, url, server: Some((server, name)) }.filled()
    }

    fn filled(self) -> Result<Self, Failed> {
        std::fs::create_dir_all(self.path("q/control"))?;
        std::fs::create_dir(self.path("q/alias"))?;
        self.control("me", "mail.test\n")?;
        self.control("locals", "mail.test\n")?;
        run(&["--store", &self.url, "init"])?.exits(0)?;
        self.sql(ROWS)?;
        Ok(self)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `--store` takes.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Writes a control file.
    pub(super) fn control(&self, name: &str, text: &str) -> Outcome {
        Ok(std::fs::write(self.path("q/control").join(name), text)?)
    }

    /// Changes the rows.
    pub(super) fn sql(&self, statements: &str) -> Outcome {
        match &self.server {
            Some((server, name)) => server.sql(&format!("USE {name}; {statements}")),
            None => Ok(rusqlite::Connection::open(self.path("store.sqlite"))?.execute_batch(statements)?),
        }
    }

    /// How many rows of a table fulfil a condition.
    pub(super) fn count(&self, table: &str, condition: &str) -> Result<i64, Failed> {
        let query = format!("SELECT count(*) FROM `{table}` WHERE {condition}");
        let Some((server, name)) = &self.server else {
            return Ok(rusqlite::Connection::open(self.path("store.sqlite"))?.query_row(&query, [], |row| row.get(0))?);
        };
        let mut connection = server.connect()?;
        mariadb::run(&mut connection, &format!("USE {name}"))?;
        let rows = mariadb::query(&mut connection, &query)?;
        Ok(rows.first().ok_or("no row")?.try_get_unchecked(0)?)
    }

    /// Adds rows `(username, alias, alias_username, alias_host)`.
    pub(super) fn aliases(&self, rows: &[[&str; 4]]) -> Outcome {
        self.insert("alias (username, alias, alias_username, alias_host)", rows)
    }

    /// Adds rows `(username, ext, virtual_username, virtual_host)`.
    pub(super) fn virtuals(&self, rows: &[[&str; 4]]) -> Outcome {
        self.insert("`virtual` (username, ext, virtual_username, virtual_host)", rows)
    }

    fn insert(&self, table: &str, rows: &[[&str; 4]]) -> Outcome {
        let row = |row: &[&str; 4]| format!("('{}')", row.join("','"));
        let rows: Vec<String> = rows.iter().map(row).collect();
        self.sql(&format!("INSERT INTO {table} VALUES {}", rows.join(",")))
    }

    /// Runs lint.
    pub(super) fn lint(&self, more: &[&str], env: &[(&str, &str)]) -> Result<Run, Failed> {
        let qmail = self.path("q").display().to_string();
        let args = [&["--store", self.url.as_str(), "lint", "--qmail", &qmail], more].concat();
        run_with(&args, "", env)
    }

    /// The findings of these rules, as `SEVERITY RULE TABLE KEY`; homes are not looked at.
    pub(super) fn found(&self, rules: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, Failed> {
        let all = self.findings(&["--no-homes"], env)?;
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let of = |finding: &&Value| rules.contains(&finding["rule"].as_str().unwrap_or_default());
        let line = |finding: &Value| ["severity", "rule", "table", "key"].map(|name| text(finding, name)).join(" ");
        let mut lines: Vec<String> = all.iter().filter(of).map(line).collect();
        lines.sort();
        Ok(lines)
    }

    /// All findings.
    pub(super) fn findings(&self, more: &[&str], env: &[(&str, &str)]) -> Result<Vec<Value>, Failed> {
        let done = self.lint(&[&["--json"], more].concat(), env)?;
        if ![Some(0), Some(1)].contains(&done.code) {
            return Err(format!("{done:#?}").into());
        }
        Ok(done.json()?["findings"].as_array().cloned().unwrap_or_default())
    }

    /// Fails unless the findings of these rules are exactly `want`.
    pub(super) fn finds(&self, rules: &[&str], want: &[&str]) -> Outcome {
        equal("findings", self.found(rules, &[])?, want)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.server {
            let _ = server.sql(&format!("DROP DATABASE {name}"));
        }
    }
}

fn folder() -> Result<TempDir, Failed> {
    let folder = tempfile::Builder::new().prefix("ql.").tempdir_in("/var/lib")?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}
