//! `alias USER [EXT]`: the delivery instructions of one set, as dot-qmail lines; and `alias add`, `list`, `del`.

mod edit;

pub(crate) use edit::lines;

use crate::cli;
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::rules::{Delivery, Instructions, Set};
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

pub(crate) async fn run(session: &Session, verb: &cli::AliasVerb, output: &mut Output) -> Result<Exit, Failure> {
    match &verb.edit {
        Some(edit) => edit::run(session, edit, output).await,
        None => {
            let bytes = |argument: &Option<OsString>| argument.clone().unwrap_or_default().into_vec();
            show(session, &bytes(&verb.user), &bytes(&verb.ext), output).await
        }
    }
}

async fn show(session: &Session, user: &[u8], ext: &[u8], output: &mut Output) -> Result<Exit, Failure> {
    let question = Instructions { username: user.to_vec(), ext: ext.to_vec(), alias_home: session.alias_home() };
    let (user, ext) = (text(user), text(ext));
    let Some(Delivery::Rows { set, instructions, owner }) = session.lookup.decide(question, session.by).await? else {
        let value = json!({ "result": "none", "username": user, "ext": ext, "instructions": [] });
        let what = format!("no alias rows for '{ext}' of {user}: qmail's own files decide");
        output.result(&value, |out| out.line(what));
        return Ok(Exit::No);
    };
    let lines: Vec<_> = instructions.iter().map(|i| text(&i.to_line())).collect();
    let value = json!({
        "result": "rows", "username": user, "ext": ext, "instructions": lines,
        "set": match set { Set::Exact => "exact", Set::Default(_) => "default" },
        "owner": owner.owner, "owner_default": owner.owner_default,
    });
    output.result(&value, |out| {
        for instruction in &instructions {
            out.line(instruction.to_line());
        }
    });
    Ok(Exit::Yes)
}
