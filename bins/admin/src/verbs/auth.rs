//! `auth USER`: would this password log in?

use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::rules::Login;
use qmail_lookup_core::{AuthAnswer, Refusal, Secret};
use serde_json::json;
use std::io::{BufRead, Read};

/// Longest line that is read as a password. Unit: bytes.
const LINE_MAX: u64 = 4096;

/// `offered` is read before the session is opened: its deadline is for the store, not for who types.
pub(crate) async fn run(
    session: &Session,
    user: &[u8],
    offered: &Secret,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let question = Login { typed: user.to_vec(), by: session.config.auth.login };
    let answer = match session.lookup.decide(question, session.by).await? {
        None => AuthAnswer::Refused(Refusal::Unknown),
        Some(name) => {
            let Some(authenticator) = session.stores.mailbox.authenticator() else {
                return Err(Failure::usage(format!("{} knows no logins", session.stores.mailbox.place())));
            };
            authenticator.authenticate(&name, offered, session.by).await?
        }
    };
    match answer {
        AuthAnswer::Granted(mailbox) => {
            let value = json!({
                "result": "granted", "login": text(user), "username": mailbox.username.as_str(),
                "uid": mailbox.uid, "gid": mailbox.gid, "home": text(&mailbox.home),
            });
            output.result(&value, |out| out.line(format!("granted: mailbox {}", mailbox.username)));
            Ok(Exit::Yes)
        }
        AuthAnswer::Refused(why) => {
            let value = json!({ "result": "refused", "login": text(user), "reason": why.as_str() });
            output.result(&value, |out| out.line(format!("refused: {}", why.as_str())));
            Ok(Exit::No)
        }
    }
}

/// The first line of standard input, without its end: a newline, or a carriage return and a newline.
///
/// # Errors
/// If there is none.
pub(crate) fn first_line() -> Result<Secret, Failure> {
    let mut line = Vec::new();
    let read = std::io::stdin().lock().take(LINE_MAX).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::temporary(format!("cannot read the password from standard input: {error}")))?;
    if line.is_empty() {
        return Err(Failure::usage("no password on standard input; its first line is the password"));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    // Files that were written elsewhere end their lines so, and nobody can type one.
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Secret::new(line))
}
