//! The stores: reached, with no more rights than they take, with the documented tables, and the right ones.

use super::check::{Outcome, Report};
use super::host::Host;
use super::questions::{CANARY, CONNECTING, SELECT};
use crate::output::Failure;
use crate::verbs::check::judge::{self, Level};
use qmail_lookup_core::{Deadline, Table};
use std::sync::Arc;

pub(super) async fn run(host: &mut Host<'_>, report: &mut Report) {
    let stores: Vec<_> = host.session.stores().into_iter().map(|(store, tables)| (Arc::clone(store), tables)).collect();
    let by = || Deadline::after(host.session.config.deadline);
    let mut down = Vec::new();
    for (store, tables) in stores {
        let facts = match store.facts(by()).await {
            Ok(facts) => facts,
            Err(error) => {
                let mend = error.help().map(str::to_owned);
                let mend =
                    mend.unwrap_or_else(|| format!("start the server, or correct [store]; {}", host.tool("check")));
                report.wrong(CONNECTING, error.to_string(), mend);
                down.extend(tables);
                continue;
            }
        };
        let logins = tables.contains(&Table::Mailbox) && store.authenticator().is_some();
        let bad = judge::store(&facts, &tables, logins).into_iter().filter(|finding| finding.level == Level::Bad);
        let bad: Vec<_> = bad.map(|f| Outcome::wrong(format!("{}: {}", f.subject, f.what), f.help)).collect();
        report.all(CONNECTING, bad, format!("{} ({})", facts.server, facts.version));
        let more = facts.grants.iter().filter(|grant| !judge::is_select_only(grant));
        let more: Vec<_> = more.map(|grant| Outcome::wrong(grant.clone(), revoke(grant))).collect();
        report.all(SELECT, more, if facts.grants.is_empty() { "this store has no privileges" } else { "SELECT only" });
        match judge::canary(&host.session.config, store.as_ref(), &tables, by()).await {
            Ok(finding) if finding.level == Level::Bad => report.wrong(CANARY, finding.what, finding.help),
            Ok(finding) => report.ok(CANARY, finding.what),
            Err(error) => {
                report.unknown(CANARY, Failure::from(error).line(), host.tool("check"));
                down.extend(tables);
            }
        }
    }
    host.down = down;
}

/// The statements that leave SELECT of a grant; words, if it is not in the usual form.
fn revoke(grant: &str) -> String {
    let read = || {
        let rest = grant.strip_prefix("GRANT ")?;
        let (privileges, rest) = rest.split_once(" ON ")?;
        let (object, rest) = rest.split_once(" TO ")?;
        let user = rest.split([' ', ';']).next()?;
        Some((privileges, object, user, rest.contains("WITH GRANT OPTION")))
    };
    let Some((privileges, object, user, option)) = read() else {
        return "revoke everything but SELECT".to_owned();
    };
    let mut statements = Vec::new();
    if privileges.starts_with("ALL") {
        statements.push(format!("REVOKE ALL PRIVILEGES ON {object} FROM {user};"));
        statements.push(format!("GRANT SELECT ON {object} TO {user};"));
    } else {
        let more: Vec<_> = judge::privileges(privileges).into_iter().filter(|name| !judge::is_select(name)).collect();
        if !more.is_empty() {
            statements.push(format!("REVOKE {} ON {object} FROM {user};", more.join(", ")));
        }
    }
    if option {
        statements.insert(0, format!("REVOKE GRANT OPTION ON {object} FROM {user};"));
    }
    statements.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_leaves_select() {
        for (grant, statement) in [
            (
                "GRANT SELECT, INSERT, UPDATE (`a`, `b`) ON `q`.* TO `u`@`%`",
                "REVOKE INSERT, UPDATE (`a`, `b`) ON `q`.* FROM `u`@`%`;",
            ),
            (
                "GRANT ALL PRIVILEGES ON `q`.* TO `u`@`h` WITH GRANT OPTION",
                "REVOKE GRANT OPTION ON `q`.* FROM `u`@`h`; REVOKE ALL PRIVILEGES ON `q`.* FROM `u`@`h`; \
                 GRANT SELECT ON `q`.* TO `u`@`h`;",
            ),
            ("GRANT SELECT ON *.* TO `u`@`h` WITH GRANT OPTION", "REVOKE GRANT OPTION ON *.* FROM `u`@`h`;"),
            ("something else", "revoke everything but SELECT"),
        ] {
            assert_eq!(revoke(grant), statement, "{grant}");
        }
    }
}
