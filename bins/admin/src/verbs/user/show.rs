//! `user show`.

use super::list::word;
use crate::editing::rows::{aliases, the_mailbox, virtuals_of};
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use crate::verbs::alias::lines;
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::password::{Verdict, classify, verify};
use qmail_lookup_core::{CredentialRow, Secret, Standing, TableRow, Username};
use serde_json::json;

pub(super) async fn run(session: &Session, name: &Username, output: &mut Output) -> Result<Exit, Failure> {
    let row = the_mailbox(session, name).await?;
    let sets = lines(session, &aliases(session, name).await?);
    let virtuals = virtuals_of(session, name).await?;
    let cell = |cell: &Option<Vec<u8>>| text(cell.as_deref().unwrap_or_default());
    let standing = word(Standing::read(row.mailbox.suspended.as_deref()));
    let mailbox = &row.mailbox;
    let (uid, gid, home) = (cell(&mailbox.uid), cell(&mailbox.gid), cell(&mailbox.home));
    let usable = mailbox.validate(&session.config.rules).err().map(|bad| format!("{}: {}", bad.column, bad.problem));
    let form = form(row.clone()).await;
    let address = |row: &TableRow| match row {
        TableRow::Virtual(of) => (key_of(row), cell(&of.ext)),
        _ => (key_of(row), String::new()),
    };
    let addresses: Vec<(String, String)> = virtuals.iter().map(address).collect();
    let value = json!({
        "result": "mailbox", "username": cell(&mailbox.username), "uid": uid, "gid": gid, "home": home,
        "standing": standing, "password": form, "wrong": usable,
        "aliases": sets.iter().map(|(_, ext, line)| json!({ "ext": ext, "line": line })).collect::<Vec<_>>(),
        "virtuals": addresses.iter().map(|(a, ext)| json!({ "address": a, "ext": ext })).collect::<Vec<_>>(),
    });
    output.result(&value, |out| {
        let wrong = usable.map(|why| ("wrong", why));
        let pairs = [("username", cell(&mailbox.username)), ("uid", uid), ("gid", gid), ("home", home)];
        let more = [("standing", standing.to_owned()), ("password", form)];
        out.pairs(&pairs.into_iter().chain(more).chain(wrong).collect::<Vec<_>>());
        for (user, ext, line) in &sets {
            let dash = if ext.is_empty() { "" } else { "-" };
            out.say(&format!("{user}{dash}{ext}: {line}"));
        }
        for (address, ext) in &addresses {
            let ext = if ext.is_empty() { String::new() } else { format!(" (ext {ext})") };
            out.say(&format!("{address}{ext}"));
        }
    });
    Ok(Exit::Yes)
}

/// What kind of password is stored, and whether anybody could log in by it. Never any of it.
async fn form(row: CredentialRow) -> String {
    if row.password.as_ref().is_none_or(|stored| stored.expose().is_empty()) {
        return "none: nobody can log in".to_owned();
    }
    let family = match classify(row.password.as_ref(), row.password_type.as_deref()) {
        Ok(family) => family.as_str(),
        Err(why) => return format!("cannot be verified: {why}"),
    };
    // Whether this system knows the form is seen by trying any password.
    let tried = tokio::task::spawn_blocking(move || {
        verify(row.password.as_ref(), row.password_type.as_deref(), &Secret::new(b"-".to_vec()))
    });
    match tried.await {
        Ok(Verdict::Match | Verdict::Mismatch) => family.to_owned(),
        Ok(Verdict::Unverifiable(why)) => format!("{family}, and cannot be verified: {why}"),
        _ => format!("{family}; whether it can be verified is not known"),
    }
}
