//! What is unwise or wrong about the facts that a store told.

use qmail_lookup_backends::trust::Proof;
use qmail_lookup_config::{Config, Level as ConfigLevel, Role};
use qmail_lookup_core::{Backend, Deadline, ErrorKind, LookupError, StoreFacts, Table, TableFacts};
use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verbs) enum Level {
    Ok,
    Warn,
    Bad,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct Finding {
    pub(in crate::verbs) level: Level,
    pub(in crate::verbs) subject: String,
    pub(in crate::verbs) what: String,
    pub(in crate::verbs) help: String,
}

impl Finding {
    fn new(level: Level, subject: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level, subject: subject.to_owned(), what: what.into(), help: help.into() }
    }

    fn ok(subject: &str, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, what, "")
    }

    fn warn(subject: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Level::Warn, subject, what, help)
    }

    pub(in crate::verbs) fn bad(subject: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Level::Bad, subject, what, help)
    }

    fn word(&self) -> &'static str {
        match self.level {
            Level::Ok => "ok",
            Level::Warn => "warning",
            Level::Bad => "bad",
        }
    }

    pub(in crate::verbs) fn line(&self) -> String {
        let help = if self.help.is_empty() { String::new() } else { format!(" ({})", self.help) };
        format!("{:8} {}: {}{help}", self.word(), self.subject, self.what)
    }

    pub(in crate::verbs) fn to_json(&self) -> Value {
        json!({ "level": self.word(), "subject": self.subject, "what": self.what, "help": self.help })
    }
}

/// The configuration was read; what of it works and should be known. The canary has a finding of its own.
pub(in crate::verbs) fn configuration(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = config.describe().into_iter().map(|line| Finding::ok("configuration", line)).collect();
    for warning in config.warnings.iter().filter(|warning| !warning.key.ends_with(".canary")) {
        let level = if warning.level == ConfigLevel::Note { Level::Ok } else { Level::Warn };
        findings.push(Finding::new(level, "configuration", warning.to_string(), ""));
    }
    findings
}

/// Everything about one store, which serves these tables.
pub(in crate::verbs) fn store(facts: &StoreFacts, tables: &[Table], logins: bool) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("connection", format!("{} ({})", facts.server, facts.version))];
    findings.push(match (&facts.tls, facts.local) {
        (Some(protocol), _) => Finding::ok("tls", protocol.clone()),
        (None, true) => Finding::ok("tls", "not needed: the connection stays on this machine"),
        (None, false) => {
            Finding::warn("tls", "rows and passwords cross the network unencrypted", "set store.tls = \"verify\"")
        }
    });
    findings.extend(grants(&facts.grants));
    for &table in tables {
        match facts.tables.iter().find(|found| found.table == table) {
            Some(found) => findings.extend(columns(found, logins)),
            None => findings.push(missing(facts, table)),
        }
    }
    findings
}

fn missing(facts: &StoreFacts, table: Table) -> Finding {
    match facts.missing.iter().find(|missing| missing.table == table) {
        Some(known) => Finding::bad(table.name(), known.what.clone(), known.help.clone()),
        None => Finding::bad(
            table.name(),
            "the table is missing, or this user may not see it",
            format!("qmail-lookup init, or GRANT SELECT on {table}"),
        ),
    }
}

/// The FAQ: a user who only needs SELECT should only have SELECT.
fn grants(grants: &[String]) -> Vec<Finding> {
    if grants.is_empty() {
        return Vec::new();
    }
    let more: Vec<_> = grants.iter().filter(|grant| !is_select_only(grant)).cloned().collect();
    if more.is_empty() {
        return vec![Finding::ok("grants", "SELECT only")];
    }
    let help = "lookups need SELECT only; revoke the rest, or use another user for changes";
    more.into_iter().map(|grant| Finding::warn("grants", grant, help)).collect()
}

/// Whether a grant, in the words of the store, gives nothing but SELECT.
pub(in crate::verbs) fn is_select_only(grant: &str) -> bool {
    let upper = grant.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix("GRANT ") else { return true };
    let names = privileges(rest.split(" ON ").next().unwrap_or_default());
    let option = upper.contains(" WITH GRANT OPTION");
    names.into_iter().all(is_select) && !option
}

/// The privileges of a list; the columns of one stay with it.
pub(in crate::verbs) fn privileges(list: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let names = list.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    names.map(str::trim).collect()
}

/// Whether a privilege, in capitals, is one that lookups need.
pub(in crate::verbs) fn is_select(privilege: &str) -> bool {
    matches!(privilege.split('(').next().unwrap_or_default().trim(), "SELECT" | "USAGE")
}

fn columns(found: &TableFacts, logins: bool) -> Vec<Finding> {
    let table = found.table;
    let has = |column: &str| found.columns.iter().any(|(name, _)| name.eq_ignore_ascii_case(column));
    let mut findings = Vec::new();
    let missing: Vec<_> = table.columns().iter().copied().filter(|column| !has(column)).collect();
    for column in missing.iter().filter(|column| !table.optional_columns().contains(column)) {
        if logins || *column != "password" {
            findings.push(Finding::bad(table.name(), format!("column {column} is missing"), "add it as documented"));
        }
    }
    for column in missing.iter().filter(|column| table.optional_columns().contains(column)) {
        let what = match *column {
            "suspended" => "column suspended is missing: no mailbox can be suspended",
            "password_type" => "column password_type is missing: only values that show their own form can log in",
            // The documented table has none.
            _ => continue,
        };
        findings.push(Finding::warn(table.name(), what, "add it as documented"));
    }
    let keys = table.columns().get(..table.key_columns()).unwrap_or_default();
    for (column, kind) in found.columns.iter().filter(|(column, _)| keys.contains(&column.as_str())) {
        let exact = kind.ends_with("_bin") || kind.ends_with("_cs") || kind.contains("binary(");
        if exact {
            let what = format!("key column {column} tells capitals from small letters: a stored Boss is never found");
            findings.push(Finding::warn(
                table.name(),
                what,
                "give it a collation that ends in _ci, or store small letters",
            ));
        }
    }
    if found.indexed == Some(false) {
        let help = format!("add an index on {}", keys.join(", "));
        findings.push(Finding::warn(table.name(), "every lookup reads the whole table", help));
    }
    if findings.is_empty() && found.indexed.is_none() {
        let keys = found
            .columns
            .iter()
            .take(table.key_columns())
            .filter(|(_, kind)| kind != "not mapped")
            .filter_map(|(_, kind)| kind.split(' ').next());
        let what = format!(
            "whether the server has an index for {} cannot be seen from here",
            keys.collect::<Vec<_>>().join(", ")
        );
        findings.push(Finding::ok(table.name(), what));
    }
    if findings.is_empty() {
        let engine = found.engine.as_ref().map(|engine| format!(", {engine}")).unwrap_or_default();
        findings.push(Finding::ok(table.name(), format!("{} columns{engine}", found.columns.len())));
    }
    findings
}

/// Rule K4: does the store prove itself?
///
/// # Errors
/// If it could not be asked.
pub(in crate::verbs) async fn canary(
    config: &Config,
    store: &dyn Backend,
    tables: &[Table],
    by: Deadline,
) -> Result<Finding, LookupError> {
    let role = match tables.first() {
        Some(Table::Alias) => Role::Alias,
        Some(Table::Virtual | Table::Rcpthosts) => Role::Virtual,
        Some(Table::Mailbox) | None => Role::Mailbox,
    };
    let help = "set canary to a mailbox that always exists in this store";
    // Through the trust layer this is the proof itself.
    let proved = store.any_mailbox(by).await;
    match (&config.store.role(role).proof, proved) {
        (Proof::None, _) => {
            Ok(Finding::warn("canary", format!("none is set for {}: its \"none\" is unproved", store.place()), help))
        }
        (Proof::Canary(name), Ok(_)) => Ok(Finding::ok("canary", format!("mailbox {name} is there"))),
        (Proof::NotEmpty, Ok(_)) => {
            Ok(Finding::warn("canary", "none is set: only an empty table is noticed, not a wrong one", help))
        }
        (_, Err(error)) if error.kind() == ErrorKind::Misconfigured => {
            Ok(Finding::bad("canary", error.what(), error.help().unwrap_or(help)))
        }
        (_, Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_select_is_all_that_lookups_need() {
        for good in [
            "GRANT USAGE ON *.* TO `qmail`@`localhost`",
            "GRANT SELECT ON `qmail`.* TO `qmail`@`localhost`",
            "GRANT SELECT (`uid`, `username`) ON `qmail`.`mailbox` TO `q`@`%`",
        ] {
            assert!(is_select_only(good), "{good}");
        }
        for more in [
            "GRANT ALL PRIVILEGES ON `qmail`.* TO `q`@`%`",
            "GRANT SELECT, INSERT ON `qmail`.* TO `q`@`%`",
            "GRANT SELECT (`a`), UPDATE (`b`) ON `qmail`.`mailbox` TO `q`@`%`",
            "GRANT SELECT ON *.* TO `q`@`%` WITH GRANT OPTION",
        ] {
            assert!(!is_select_only(more), "{more}");
        }
    }

    #[test]
    fn a_missing_column_is_bad_and_a_missing_optional_one_is_a_warning() {
        let table = |columns: &[&str]| TableFacts {
            table: Table::Mailbox,
            columns: columns.iter().map(|c| ((*c).to_owned(), "text".to_owned())).collect(),
            engine: None,
            indexed: Some(true),
        };
        let levels = |columns: &[&str]| columns_levels(&table(columns));
        assert_eq!(levels(Table::Mailbox.columns()), [Level::Ok]);
        assert_eq!(levels(&["username", "uid", "gid", "home", "password", "password_type"]), [Level::Warn]);
        assert_eq!(levels(&["username", "uid", "gid", "password", "password_type", "suspended"]), [Level::Bad]);
    }

    fn columns_levels(table: &TableFacts) -> Vec<Level> {
        columns(table, true).into_iter().map(|finding| finding.level).collect()
    }
}
