//! `mailbox USER`: one row of table mailbox, judged. Never the password.

use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::Standing;
use qmail_lookup_core::rules::OneMailbox;
use serde_json::json;

pub(crate) async fn run(session: &Session, user: &[u8], output: &mut Output) -> Result<Exit, Failure> {
    let found = session.lookup.decide(OneMailbox { name: user.to_vec() }, session.by).await?;
    let Some(mailbox) = found else {
        output.result(&json!({ "result": "none", "username": text(user) }), |out| {
            out.line(format!("no mailbox {}", text(user)));
        });
        return Ok(Exit::No);
    };
    let suspended = mailbox.standing != Standing::Active;
    let value = json!({
        "result": "mailbox", "username": mailbox.username.as_str(), "uid": mailbox.uid, "gid": mailbox.gid,
        "home": text(&mailbox.home), "suspended": suspended, "mail_bounces": mailbox.standing == Standing::Bounced,
    });
    output.result(&value, |out| {
        out.pairs(&[
            ("username", mailbox.username.to_string()),
            ("uid", mailbox.uid.to_string()),
            ("gid", mailbox.gid.to_string()),
            ("home", text(&mailbox.home)),
            ("suspended", if suspended { "yes" } else { "no" }.to_owned()),
        ]);
    });
    Ok(Exit::Yes)
}
