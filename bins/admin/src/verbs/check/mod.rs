//! `check`: configuration, permissions, connection, TLS, grants, columns, indexes, canary.

pub(super) mod judge;

use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use judge::{Finding, Level};
use qmail_lookup_core::Table;
use serde_json::json;

pub(crate) async fn run(session: &Session, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = judge::configuration(&session.config);
    let mut unreachable = None;
    for (store, tables) in session.stores() {
        match store.facts(session.by).await {
            Ok(facts) => {
                let logins = tables.contains(&Table::Mailbox) && store.authenticator().is_some();
                findings.extend(judge::store(&facts, &tables, logins));
                match judge::canary(&session.config, store.as_ref(), &tables, session.by).await {
                    Ok(finding) => findings.push(finding),
                    Err(error) => unreachable = Some(error),
                }
            }
            Err(error) => {
                findings.push(Finding::bad("connection", error.to_string(), error.help().unwrap_or_default()));
                unreachable = Some(error);
            }
        }
    }
    let bad = findings.iter().any(|finding| finding.level == Level::Bad);
    let rows: Vec<_> = findings.iter().map(Finding::to_json).collect();
    output.result(&json!({ "result": if bad { "bad" } else { "ok" }, "findings": rows }), |out| {
        for finding in &findings {
            out.line(finding.line());
        }
    });
    match unreachable {
        Some(error) => {
            output.complain(&Failure::from(error).line());
            Ok(Exit::Temporary)
        }
        None => Ok(if bad { Exit::No } else { Exit::Yes }),
    }
}
