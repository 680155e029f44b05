//! `rcpthost HOST`: does table rcpthosts accept mail for this host?; and `add`, `list`, `del`.

mod edit;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::rules::Accepted;
use serde_json::json;
use std::os::unix::ffi::OsStrExt;

pub(crate) async fn run(session: &Session, verb: &cli::RcpthostVerb, output: &mut Output) -> Result<Exit, Failure> {
    match &verb.edit {
        Some(edit) => edit::run(session, edit, output).await,
        None => show(session, verb.host.clone().unwrap_or_default().as_bytes(), output).await,
    }
}

async fn show(session: &Session, host: &[u8], output: &mut Output) -> Result<Exit, Failure> {
    let found = session.lookup.decide(Accepted { host: host.to_vec() }, session.by).await?;
    match found {
        Some(row) => {
            output.result(&json!({ "result": "accepted", "host": text(host), "row": row.as_str() }), |out| {
                out.line(format!("accepted by row {row}"));
            });
            Ok(Exit::Yes)
        }
        None => {
            output.result(&json!({ "result": "none", "host": text(host) }), |out| {
                out.line(format!("no row for {}: qmail's own rcpthosts files decide", text(host)));
            });
            Ok(Exit::No)
        }
    }
}
