//! Whether the daemon works with the configuration that is looked at.

use super::check::Outcome;
use super::host::{Host, tool};
use super::rows::Sample;
use crate::socketmap;
use qmail_lookup_core::getpw::Answer;
use qmail_lookup_core::rules::Getpw;
use qmail_lookup_core::wire::getpw;
use qmail_lookup_core::wire::socketmap::Reply;
use qmail_lookup_core::{Deadline, Username};
use std::path::Path;
use std::time::Duration;

/// Mailboxes that both are asked for.
const MAILBOXES: usize = 3;

/// Asks the daemon and the stores for the same mailboxes. What either cannot say is said elsewhere.
pub(super) async fn run(host: &Host<'_>, socket: &Path, sample: &Sample) -> Option<Outcome> {
    let Sample::Rows(rows, _) = sample else { return None };
    let config = &host.session.config;
    let valid = rows.iter().filter_map(|row| row.mailbox.validate(&config.rules).ok()).take(MAILBOXES);
    for name in valid.map(|mailbox| mailbox.username) {
        let (Some(theirs), Some(ours)) = (daemons(host, socket, &name).await, stores(host, &name).await) else {
            continue;
        };
        let of = |answer: &Answer| (answer.winner.clone(), answer.home_missing, answer.home_mismatch);
        if of(&theirs) == of(&ours) {
            continue;
        }
        let what = format!("of mailbox {name} qmail-lookupd says something else than {}", tool(host.cli, "getpw"));
        return Some(if config.cache.ttl.is_zero() {
            let mend = "start qmail-lookupd with this configuration, or tell it to read it again (kill -HUP)";
            Outcome::wrong(format!("{what}: it works with another configuration"), mend)
        } else {
            let why = format!("{what}: its cache is behind, or it works with another configuration");
            Outcome::Unknown {
                why,
                mend: format!("run this again in {} s", config.cache.ttl.as_secs().saturating_add(1)),
            }
        });
    }
    None
}

async fn stores(host: &Host<'_>, name: &Username) -> Option<Answer> {
    let config = &host.session.config;
    let question = Getpw { local: name.as_bytes().to_vec() };
    let owner = host.session.lookup.decide(question, Deadline::after(config.deadline)).await.ok()?;
    Some(Answer::of(&owner, name.as_bytes(), &config.rules, None))
}

async fn daemons(host: &Host<'_>, socket: &Path, name: &Username) -> Option<Answer> {
    let by = Deadline::after(host.session.config.deadline + Duration::from_secs(1)).instant().into();
    let answer = tokio::time::timeout_at(by, socketmap::ask(socket, "getpw", name.as_bytes())).await.ok()?.ok()?;
    match Reply::read(&answer).ok()? {
        Reply::Ok(data) => getpw::decode(data).ok(),
        Reply::NotFound | Reply::Temp(_) | Reply::Timeout(_) | Reply::Perm(_) => None,
    }
}
