//! `virtual ADDR`: who owns a virtual address, by table virtual alone; and `add`, `list`, `del`.

mod edit;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::rules::VirtualAddress;
use serde_json::json;
use std::os::unix::ffi::OsStrExt;

pub(crate) async fn run(session: &Session, verb: &cli::VirtualVerb, output: &mut Output) -> Result<Exit, Failure> {
    match &verb.edit {
        Some(edit) => edit::run(session, edit, output).await,
        None => show(session, verb.address.clone().unwrap_or_default().as_bytes(), output).await,
    }
}

async fn show(session: &Session, address: &[u8], output: &mut Output) -> Result<Exit, Failure> {
    if !address.contains(&b'@') {
        return Err(Failure::usage(format!("'{}' is no address; write USER@HOST", text(address))));
    }
    let found = session.lookup.decide(VirtualAddress { address: address.to_vec() }, session.by).await?;
    let Some(owner) = found else {
        let value = json!({ "result": "none", "address": text(address) });
        output.result(&value, |out| out.line(format!("no virtual row for {}", text(address))));
        return Ok(Exit::No);
    };
    let value = json!({
        "result": "virtual", "address": text(address), "host": owner.host.as_str(),
        "username": owner.username.as_str(), "ext": text(&owner.ext),
    });
    output.result(&value, |out| {
        out.pairs(&[
            ("host", owner.host.to_string()),
            ("username", owner.username.to_string()),
            ("ext", text(&owner.ext)),
        ]);
    });
    Ok(Exit::Yes)
}
