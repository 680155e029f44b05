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
use qmail_lookup_core::{CredentialRow, Standing};
use std::path::Path;

/// Where checkpassword looks for control/authsocket, unless it was built otherwise.
const BUILT_IN_HOME: &str = "/var/qmail";

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
        sample.rows(REFUSES, report);
        return;
    };
    let one = host.options.user.is_some();
    let found = rows.iter().filter_map(|row| judge(row, one, &host.session.config.rules)).collect();
    report.all(REFUSES, found, format!("every stored password can be verified here ({})", sample.many()));
}

/// Why nobody can log in by a row. Only of a mailbox that was named are told what its administrator may have meant.
fn judge(row: &CredentialRow, named: bool, rules: &RuleSettings) -> Option<Outcome> {
    let raw = row.mailbox.username.as_deref().unwrap_or_default();
    let name = printable(raw);
    let set = |column: &str, value: &str| {
        let key = name.replace('\'', "''");
        format!("UPDATE mailbox SET {column} = '{value}' WHERE username = '{key}';")
    };
    if named && let Err(bad) = row.mailbox.validate(rules) {
        return Some(Outcome::wrong(bad.to_string(), "correct the row"));
    }
    if named && Standing::read(row.mailbox.suspended.as_deref()) != Standing::Active {
        let what = format!("mailbox {name} is suspended: '{}'", printable(row.mailbox.suspended.as_deref()?));
        return Some(Outcome::wrong(what, set("suspended", "N")));
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
    let means = row.password_type.as_deref().map(printable).unwrap_or_default();
    let what = format!("mailbox {name}, password_type '{means}': {why}");
    // A value without a mark of its own can be plain text or an old hash: only a person knows.
    let unknown_type = why.contains("password_type");
    let mend = match (kind, unknown_type) {
        ("Password", false) => "set a new password".to_owned(),
        ("Password", true) => format!("if it is plain text: {}", set("password_type", kind)),
        _ => set("password_type", kind),
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

    fn mend(row: &CredentialRow, named: bool) -> Option<String> {
        judge(row, named, &RuleSettings::default()).map(|outcome| {
            assert!(!format!("{outcome:?}").contains("hunter2"), "a password is shown");
            outcome.mend().to_owned()
        })
    }

    #[test]
    fn the_type_that_a_value_shows_is_named_and_the_value_never() {
        let update =
            |kind: &str| Some(format!("UPDATE mailbox SET password_type = '{kind}' WHERE username = 'o''hara';"));
        assert_eq!(mend(&row("hunter2", "Password", "N"), true), None);
        assert_eq!(mend(&row("$1$hunter2$x", "Password", "N"), false), update("Crypt-Password"));
        assert_eq!(mend(&row(&format!("*{}", "A".repeat(40)), "plain", "N"), false), update("MySQL-Password"));
        let plain = update("Password").map(|statement| format!("if it is plain text: {statement}"));
        assert_eq!(mend(&row("hunter2", "clear", "N"), false), plain);
        assert_eq!(mend(&row("hunter2", "MySQL-Password", "N"), true).as_deref(), Some("set a new password"));
    }

    #[test]
    fn only_the_mailbox_that_was_named_is_told_to_be_suspended_or_without_a_password() {
        let suspended = row("hunter2", "Password", "Y");
        assert_eq!(mend(&suspended, false), None);
        assert_eq!(
            mend(&suspended, true).as_deref(),
            Some("UPDATE mailbox SET suspended = 'N' WHERE username = 'o''hara';")
        );
        assert_eq!(mend(&row("", "Password", "N"), false), None);
        assert_eq!(mend(&row("", "Password", "N"), true).as_deref(), Some("set a password"));
    }
}
