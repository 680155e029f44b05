//! `getpw LOCAL`: what qmail-getpw answers.

use crate::alias_user;
use crate::exit::Exit;
use crate::home;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::getpw::{Answer, Choice, HomeCheck, Owner, SixFields};
use qmail_lookup_core::rules::Getpw;
use serde_json::{Value, json};

pub(crate) async fn run(
    session: &Session,
    local: &[u8],
    null: bool,
    check_home: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let question = Getpw { local: local.to_vec() };
    let owner = session.lookup.decide(question, session.by).await?;
    let rules = &session.config.rules;
    let alias = |ext: &[u8]| alias_user::fields(&rules.alias_user, ext);
    let (result, fields) = match owner {
        Owner::Mailbox { ref mailbox, dash, ref ext } if check_home => {
            let seen = home::look(mailbox, session.by).await;
            let record = match seen {
                HomeCheck::Fine => None,
                _ => alias(b"").ok(),
            };
            let answer = Answer::of(&owner, local, rules, record);
            match answer.choose(|_| seen) {
                Choice::Fields { skipped: None, .. } | Choice::Stock(_) => {
                    ("mailbox", SixFields::of(mailbox, dash, ext))
                }
                Choice::Fields { fields, skipped: Some(_) } => ("alias", fields.clone()),
                Choice::Defer(why) => {
                    let (name, home) = (&mailbox.username, text(&mailbox.home));
                    return Err(Failure::temporary(format!("mailbox {name}: {why}: {home}")));
                }
            }
        }
        Owner::Mailbox { mailbox, dash, ext } => ("mailbox", SixFields::of(&mailbox, dash, &ext)),
        Owner::AliasUser { ext } if null => ("alias", alias(&ext)?),
        Owner::AliasUser { ext } => {
            let result = json!({ "result": "alias", "local": text(local), "user": rules.alias_user, "dash": "-", "ext": text(&ext) });
            let what = format!("no mailbox: the alias user '{}' with extension '{}'", rules.alias_user, text(&ext));
            output.result(&result, |out| out.line(what));
            return Ok(Exit::No);
        }
        Owner::Stock { local } => {
            let what = format!("no mailbox for '{}': the stock qmail-getpw decides", text(&local));
            if null {
                output.complain(&what);
            } else {
                output.result(&json!({ "result": "stock", "local": text(&local) }), |out| out.line(what));
            }
            return Ok(Exit::No);
        }
    };
    if null {
        let bytes = fields.encode().map_err(qmail_lookup_core::LookupError::from)?;
        output.raw(&bytes);
    } else {
        output.result(&as_json(result, local, &fields), |out| out.pairs(&as_pairs(&fields)));
    }
    Ok(Exit::Yes)
}

fn as_json(result: &str, local: &[u8], fields: &SixFields) -> Value {
    json!({
        "result": result, "local": text(local), "user": text(&fields.user), "uid": fields.uid, "gid": fields.gid,
        "home": text(&fields.home), "dash": text(&fields.dash), "ext": text(&fields.ext),
    })
}

fn as_pairs(fields: &SixFields) -> [(&'static str, String); 6] {
    [
        ("user", text(&fields.user)),
        ("uid", fields.uid.to_string()),
        ("gid", fields.gid.to_string()),
        ("home", text(&fields.home)),
        ("dash", text(&fields.dash)),
        ("ext", text(&fields.ext)),
    ]
}
