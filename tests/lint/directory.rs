//! The rows of a directory: the change records that lint prints are LDIF, and repair.

use crate::cli::{Run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::{Table, TableRow};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::load::ldap::{Names, base, create};
use qmail_lookup_tests::server::slapd::{Certificate, PASSWORD, Schema, Slapd, USER, missing};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const ROWS: &[(Table, &[&str])] = &[
    (Table::Mailbox, &["iain", "20001", "20001", "/h", "x", "Password", "N"]),
    (Table::Mailbox, &["low", "7", "20001", "/h", "x", "Password", "N"]),
    (Table::Alias, &["iain", "bogus", "", "", "3"]),
    (Table::Alias, &["iain", "ok", ".", "/Maildir/", "4"]),
    (Table::Virtual, &["bar.com", "%", "iain", ""]),
    (Table::Virtual, &["bar.com", "x", "iain", ""]),
];

pub(super) fn trials() -> Vec<Trial> {
    if missing().is_some() {
        return Vec::new(); // said loudly by the subject
    }
    vec![
        Trial::test("lint::slapd::directory::change_records_repair_what_they_can_name", repairs),
        Trial::test("lint::slapd::directory::passwords_are_judged_only_where_they_are_compared", passwords),
    ]
}

struct Site {
    server: Slapd,
    folder: TempDir,
}

impl Site {
    fn new() -> Result<Self, Failed> {
        let server = Slapd::start(Schema::Native, Certificate::Good)?;
        let cells = |cells: &[&str]| cells.iter().map(|cell| Some(cell.as_bytes().to_vec())).collect::<Vec<_>>();
        let rows: Vec<_> = ROWS.iter().map(|(table, row)| TableRow::from_cells(*table, cells(row))).collect();
        create(&server, "q", Names::ByKey, &rows)?;
        let folder = tempfile::tempdir()?;
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, Permissions::from_mode(0o600))?;
        std::fs::create_dir_all(folder.path().join("control"))?;
        std::fs::write(folder.path().join("control/locals"), "mail.test\n")?;
        Ok(Self { server, folder })
    }

    fn lint(&self, auth: &str, args: &[&str]) -> Result<Run, Failed> {
        let (path, password) = (self.folder.path().join("q.toml"), self.folder.path().join("password"));
        let store = format!(
            "[store]\nkind = \"ldap\"\nservers = [\"{}\"]\nbind_dn = \"{USER}\"\npassword_file = \"{}\"\nbase = \"{}\"\nauth = \"{auth}\"\n",
            self.server.ldapi(),
            password.display(),
            base("q"),
        );
        std::fs::write(&path, format!("qmail = \"{}\"\n{store}", self.folder.path().display()))?;
        let config = path.display().to_string();
        run_with(&[&["--config", config.as_str(), "lint", "--no-homes"], args].concat(), "", &[])
    }

    fn findings(&self, auth: &str) -> Result<Vec<Value>, Failed> {
        let json = self.lint(auth, &["--json"])?.exits(1)?.json()?;
        Ok(json["findings"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.kill();
    }
}

fn repairs() -> Outcome {
    let site = Site::new()?;
    let text = site.lint("bind", &[])?.exits(1)?;
    // Each record begins a line of its own, as ldapmodify wants it.
    ensure(text.out.lines().any(|line| line.starts_with("dn: ")), format!("{text:#?}"))?;
    let of = |f: &Value, rule: &str| f["rule"] == rule;
    let found = site.findings("bind")?;
    let named = |rule: &str| found.iter().filter(|f| of(f, rule)).map(|f| f["repair_kind"].clone()).collect::<Vec<_>>();
    // A catch-all is named by its pattern: changing it is a new name.
    equal(
        "kinds",
        (named("A2"), named("V2"), named("K3")),
        (vec!["statement".into()], vec!["words".into()], vec!["words".into()]),
    )?;
    for finding in found.iter().filter(|f| f["repair_kind"] == "statement") {
        site.server.modify(finding["repair"].as_str().unwrap_or_default())?;
    }
    let left = site.findings("bind")?;
    ensure(!left.iter().any(|f| of(f, "A2") || f["repair_kind"] == "statement"), format!("{left:#?}"))?;
    ensure(left.iter().any(|f| of(f, "V2")) && left.iter().any(|f| of(f, "K3")), format!("{left:#?}"))
}

fn passwords() -> Outcome {
    let site = Site::new()?;
    let judged =
        |auth: &str| Ok::<_, Failed>(site.findings(auth)?.iter().any(|f| f["rule"] == "P1" || f["rule"] == "P2"));
    ensure(!judged("bind")?, "a directory that is bound to knows its passwords itself")?;
    ensure(judged("compare")?, "passwords in clear were not counted")
}
