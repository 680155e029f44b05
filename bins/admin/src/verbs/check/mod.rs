//! `check`: configuration, permissions, connection, TLS, grants, columns, indexes, canary.

mod judge;

use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use judge::{Finding, Level};
use qmail_lookup_core::Backend;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn run(session: &Session, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = judge::configuration(&session.config);
    // Roles that share a store are looked at once.
    let mut stores: Vec<(&Arc<dyn Backend>, Vec<&str>)> = Vec::new();
    let roles = &session.stores;
    for (store, role) in [(&roles.mailbox, "mailbox"), (&roles.alias, "alias"), (&roles.virtuals, "virtual")] {
        match stores.iter_mut().find(|(known, _)| Arc::ptr_eq(known, store)) {
            Some((_, names)) => names.push(role),
            None => stores.push((store, vec![role])),
        }
    }
    let mut unreachable = None;
    for (store, names) in &stores {
        match store.facts(session.by).await {
            Ok(facts) => {
                findings.extend(judge::store(&facts, names, store.authenticator().is_some()));
                if names.contains(&"mailbox") {
                    findings.push(judge::canary(&session.config, store.as_ref(), session.by).await);
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
