//! Logins: the daemon's socket for them, and what is stored of a password.

use super::check::{Outcome, Report};
use super::getpw::{believed, named, reached};
use super::host::Host;
use super::ids::Ids;
use super::questions::{CHECKPASSWORD, HANGS, REFUSES};
use super::rows::Sample;
use qmail_lookup_config::{Role, quoted};
use qmail_lookup_core::error::printable;
use qmail_lookup_core::password::{Secret, classify, looks_like_hash};
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{Change, CredentialRow, Standing, TableRow};
use std::path::Path;

/// Where checkpassword looks for control/authsocket, unless it was built otherwise.
const BUILT_IN_HOME: &str = "/var/qmail";

const SUSPENDED: &str = "suspended";
const PASSWORD_TYPE: &str = "password_type";

/// Longer than this is no value that these two columns have. Unit: bytes.
const WORD_MAX: usize = 20;

/// How the store writes a change, if it can.
type Statement<'a> = &'a dyn Fn(&Change) -> Option<String>;

pub(super) async fn run(host: &Host<'_>, sample: &Sample, report: &mut Report) {
    let socket = &host.session.config.daemon.auth_socket;
    let mut found = Vec::new();
    found.extend(named(host, "authsocket", socket));
    // checkpassword is root. That there is no daemon was said above.
    match reached(host, socket, Some(Ids { uid: 0, gid: 0 })).await {
        Some(Outcome::Wrong { what, .. }) if !report.is_ok(HANGS) => {
            found.push(Outcome::Unknown { why: format!("{what}, see above"), mend: String::new() });
        }
        outcome => found.extend(outcome),
    }
    if host.at("control/authsocket").exists() {
        found.extend(believed(&host.at("control"), 0).await);
    }
    let home = if host.qmail == Path::new(BUILT_IN_HOME) {
        String::new()
    } else {
        format!("; checkpassword finds it only with QMAILHOME={} in its environment (conf-qmail)", quoted(&host.qmail))
    };
    report.all(CHECKPASSWORD, found, format!("root reaches {}{home}", socket.display()));
    passwords(host, sample, report);
}

fn passwords(host: &Host<'_>, sample: &Sample, report: &mut Report) {
    if host.session.config.store.role(Role::Mailbox).kind == "ldap" {
        let what = "the directory decides; try a password with `qmail-lookup auth USER`";
        return report.ok(REFUSES, what);
    }
    let Sample::Rows(rows, _) = sample else {
        sample.rows(host, REFUSES, report);
        return;
    };
    let one = host.options.user.is_some();
    let text = |change: &Change| host.session.stores.mailbox.change_text(change);
    let found = rows.iter().filter_map(|row| judge(row, one, &host.session.config.rules, &text)).collect();
    report.all(REFUSES, found, format!("every stored password can be verified here ({})", sample.many()));
}

/// A cell, if it can be no password: where two columns were mistaken for each other, it may be one.
fn word(cell: Option<&[u8]>) -> String {
    let cell = cell.unwrap_or_default();
    let is_word = cell.len() <= WORD_MAX && cell.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'-');
    if is_word { format!("'{}'", printable(cell)) } else { "(not shown: it may be a password)".to_owned() }
}

/// Why nobody can log in by a row. Only of a mailbox that was named are told what its administrator may have meant.
fn judge(row: &CredentialRow, named: bool, rules: &RuleSettings, text: Statement<'_>) -> Option<Outcome> {
    let raw = row.mailbox.username.as_deref().unwrap_or_default();
    let name = printable(raw);
    let set = |column: &str, value: &str| {
        let (old, mut new) = (row.clone(), row.clone());
        let cell = if column == SUSPENDED { &mut new.mailbox.suspended } else { &mut new.password_type };
        *cell = Some(value.into());
        let change = Change::Replace { old: TableRow::Mailbox(old), new: TableRow::Mailbox(new) };
        text(&change).unwrap_or_else(|| format!("set column {column} of {name} to '{value}'"))
    };
    if named && let Err(bad) = row.mailbox.validate(rules) {
        return Some(Outcome::wrong(bad.to_string(), "correct the row"));
    }
    if named && Standing::read(row.mailbox.suspended.as_deref()) != Standing::Active {
        let what = format!("mailbox {name} is suspended: {}", word(row.mailbox.suspended.as_deref()));
        return Some(Outcome::wrong(what, set(SUSPENDED, "N")));
    }
    let stored = row.password.as_ref();
    let why = classify(stored, row.password_type.as_deref()).err()?;
    let value = stored.map(Secret::expose).unwrap_or_default();
    if value.is_empty() && !named {
        return None;
    }
    let kind = match value {
        [] => return Some(Outcome::wrong(format!("mailbox {name}: {why}"), "set a password")),
        [b'*', ..] if looks_like_hash(value) => "MySQL-Password",
        [b'$', ..] if looks_like_hash(value) => "Crypt-Password",
        _ => "Password",
    };
    let what = format!("mailbox {name}, password_type {}: {why}", word(row.password_type.as_deref()));
    let is_so = row.password_type.as_deref().is_some_and(|stored| stored == kind.as_bytes());
    // A value without a mark of its own can be plain text or an old hash: only a person knows.
    let unknown_type = why.contains("password_type");
    let mend = match (kind, unknown_type) {
        // It is cut off, or of a form that nobody can verify here.
        _ if is_so => "set a new password".to_owned(),
        ("Password", false) => "set a new password".to_owned(),
        ("Password", true) => format!("if it is plain text: {}", set(PASSWORD_TYPE, kind)),
        _ => set(PASSWORD_TYPE, kind),
    };
    Some(Outcome::wrong(what, mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::MailboxRow;

    fn row(password: &str, kind: &str, suspended: &str) -> CredentialRow {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let mailbox = MailboxRow {
            username: cell("o'hara"),
            uid: cell("800"),
            gid: cell("100"),
            home: cell("/h"),
            suspended: cell(suspended),
        };
        CredentialRow { mailbox, password: Some(Secret::new(password.into())), password_type: cell(kind) }
    }

    /// What of a change can be told apart here.
    fn statement(change: &Change) -> Option<String> {
        let Change::Replace { old: TableRow::Mailbox(old), new: TableRow::Mailbox(new) } = change else { panic!() };
        assert_eq!((&old.mailbox.username, &old.password), (&new.mailbox.username, &new.password));
        let shown = |cell: &Option<Vec<u8>>| String::from_utf8(cell.clone().unwrap_or_default()).unwrap();
        Some(format!("{} {}", shown(&new.password_type), shown(&new.mailbox.suspended)))
    }

    fn mend(row: &CredentialRow, named: bool) -> Option<String> {
        judge(row, named, &RuleSettings::default(), &statement).map(|outcome| {
            assert!(!format!("{outcome:?}").contains("hunter2"), "a password is shown");
            outcome.mend().to_owned()
        })
    }

    #[test]
    fn the_type_that_a_value_shows_is_named_and_the_value_never() {
        let update = |kind: &str| Some(format!("{kind} N"));
        assert_eq!(mend(&row("hunter2", "Password", "N"), true), None);
        assert_eq!(mend(&row("$1$hunter2$x", "Password", "N"), false), update("Crypt-Password"));
        assert_eq!(mend(&row(&format!("*{}", "A".repeat(40)), "plain", "N"), false), update("MySQL-Password"));
        let plain = update("Password").map(|statement| format!("if it is plain text: {statement}"));
        assert_eq!(mend(&row("hunter2", "clear", "N"), false), plain);
        assert_eq!(mend(&row("hunter2", "MySQL-Password", "N"), true).as_deref(), Some("set a new password"));
        let ldap = judge(&row("hunter2", "clear", "N"), false, &RuleSettings::default(), &|_| None).unwrap();
        assert!(ldap.mend().ends_with("set column password_type of o'hara to 'Password'"), "{ldap:?}");
    }

    #[test]
    fn a_value_of_the_right_type_that_cannot_be_verified_takes_a_new_password() {
        let cut_off = row("$2b$10$0123456789", "Crypt-Password", "N");
        assert_eq!(mend(&cut_off, false).as_deref(), Some("set a new password"));
    }

    #[test]
    fn only_the_mailbox_that_was_named_is_told_to_be_suspended_or_without_a_password() {
        let suspended = row("hunter2", "Password", "Y");
        assert_eq!(mend(&suspended, false), None);
        assert_eq!(mend(&suspended, true).as_deref(), Some("Password N"));
        assert_eq!(mend(&row("", "Password", "N"), false), None);
        assert_eq!(mend(&row("", "Password", "N"), true).as_deref(), Some("set a password"));
    }

    #[test]
    fn a_password_in_the_wrong_column_is_not_shown() {
        for (kind, suspended) in [("hunter2", "N"), ("Password", "hunter2"), ("averylongpassphraseofletters", "N")] {
            let told = judge(&row("x", kind, suspended), true, &RuleSettings::default(), &|_| None).unwrap();
            let told = format!("{told:?}");
            assert!(!told.contains("hunter2") && !told.contains("phrase"), "{told}");
        }
    }
}
