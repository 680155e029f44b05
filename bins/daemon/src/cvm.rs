//! CVM version 2, for mailfront and its kin: what is answered to a request. Two sockets, because a client that has no
//! password to send leaves it out, and its login looks like a lookup then.
//!
//! The client library waits for ever, so there is a response to everything, by the deadline.

use crate::auth::{Attempt, Gate, answered, login_as_either};
use crate::daemon::Daemon;
use crate::state::State;
use qmail_lookup_core::control::Control;
use qmail_lookup_core::rules::{Recipient, RecipientStanding};
use qmail_lookup_core::settings::{AuthSettings, LoginBy};
use qmail_lookup_core::wire::auth::Reply;
use qmail_lookup_core::wire::cvm::{self, Facts, Request};
use qmail_lookup_core::{Deadline, Lookup, LookupError, Secret};
use std::sync::Arc;

/// The service that logins by CVM are counted and logged under. They carry no address.
const SERVICE: &[u8] = b"cvm";

/// Uid and gid of every recipient. Source: nobody and nogroup of most systems. The protocol wants some; a program that
/// is pointed at the wrong socket and takes a lookup for a login must not get anybody's.
const NOBODY: u32 = 65_534;

/// The response to a question for a recipient. Why there is none goes to the log.
pub(crate) async fn recipient(daemon: &Daemon, state: &State, request: &[u8], by: Deadline) -> Vec<u8> {
    let asked = match cvm::request(request) {
        Ok(Some(request)) => [b"cvm-lookup ", &address(&request)[..]].concat(),
        _ => b"cvm-lookup".to_vec(),
    };
    let (response, error) = match state.control.read(by).await {
        Ok(control) => lookup(&state.lookup, &control, request, by).await,
        Err(error) => (cvm::temporary(cvm::TEMPORARY, b""), Some(error)),
    };
    match error {
        Some(error) => daemon.trouble(state, &asked, &error),
        None => daemon.overdue.answered(&asked),
    }
    response
}

/// Whether a recipient exists; and the error, if that is not known.
///
/// | recipient | response |
/// |---|---|
/// | possible: a mailbox, the alias user, files, a system user | 0, with the account as asked, [`NOBODY`] and `/` |
/// | bounces (rule V5) | 100 |
/// | neither local nor virtual here | 100, out of scope, so that the client asks elsewhere |
/// | not known | 1 |
/// | no lookup: without a secret, or with anything that proves who somebody is | 2 |
///
/// A lookup carries a secret, which may be empty. A login whose password is empty carries neither password nor secret,
/// as some clients send it: without this it would look like a lookup, and be let in.
/// `control` as in [`Recipient`].
async fn lookup(
    lookup: &Lookup,
    control: &Arc<Control>,
    request: &[u8],
    by: Deadline,
) -> (Vec<u8>, Option<LookupError>) {
    let request = match cvm::request(request) {
        Ok(Some(request)) if request.secret && request.password.is_none() && !request.challenged => request,
        Ok(Some(request)) => return (cvm::temporary(cvm::BAD_REQUEST, request.random), None),
        Ok(None) | Err(_) => return (cvm::temporary(cvm::BAD_REQUEST, b""), None),
    };
    let random = request.random;
    let question = Recipient { address: address(&request), control: Arc::clone(control) };
    let response = match answered(lookup.decide(question, by), by).await {
        Ok(RecipientStanding::Possible) => {
            let facts = Facts { user: request.account, uid: NOBODY, gid: NOBODY, home: b"/", domain: request.domain };
            accept(random, &facts).unwrap_or_else(|| cvm::temporary(cvm::TEMPORARY, random))
        }
        Ok(RecipientStanding::Unknown) => refuse(random, false),
        Ok(RecipientStanding::NotOurs) => refuse(random, true),
        Err(error) => return (cvm::temporary(cvm::TEMPORARY, random), Some(error)),
    };
    (response, None)
}

/// Whether a password lets somebody in. What the account means depends on `auth.login`:
///
/// - `username`: the account. The domain says nothing: a client adds its own to a bare name.
/// - `address`: `account@domain`.
/// - `both`: `account@domain`, as a mailbox name and then as an address; if it is neither, the account.
///
/// Without a domain the account is all there is. A request without a password, or with an empty one, is refused
/// whatever else it holds. A login that is the stock program's (rule P6) is out of scope: a client with another module
/// asks that one next.
pub(crate) async fn login(
    gate: &Arc<Gate>,
    lookup: &Lookup,
    settings: &AuthSettings,
    request: &[u8],
    by: Deadline,
) -> Vec<u8> {
    let Ok(Some(request)) = cvm::request(request) else { return cvm::temporary(cvm::BAD_REQUEST, b"") };
    let (random, account, full) = (request.random, request.account.to_vec(), address(&request));
    let (typed, or) = match settings.login {
        LoginBy::Username => (account, None),
        LoginBy::Address => (full, None),
        LoginBy::Both if request.domain.is_empty() => (account, None),
        LoginBy::Both => (full, Some(account)),
    };
    let attempt = Attempt {
        login: typed,
        password: Secret::new(request.password.unwrap_or_default().to_vec()),
        service: SERVICE.to_vec(),
        remote: Vec::new(),
    };
    match login_as_either(gate, lookup, settings, attempt, or, by).await {
        Reply::Ok(account) => {
            let (uid, gid) = (account.uid, account.gid);
            let facts = Facts { user: &account.user, uid, gid, home: &account.home, domain: request.domain };
            accept(random, &facts).unwrap_or_else(|| cvm::temporary(cvm::TEMPORARY, random))
        }
        Reply::No => refuse(random, false),
        Reply::Stock => refuse(random, true),
        Reply::Temporary(_) | Reply::Done(_) => cvm::temporary(cvm::TEMPORARY, random),
    }
}

/// `account@domain`, or the account alone.
fn address(request: &Request<'_>) -> Vec<u8> {
    match request.domain {
        b"" => request.account.to_vec(),
        domain => [request.account, b"@", domain].concat(),
    }
}

/// The response that says yes; the domain, which the client knows anyway, is left out if there is no room. `None` if
/// even then there is none.
fn accept(random: &[u8], facts: &Facts<'_>) -> Option<Vec<u8>> {
    cvm::ok(random, facts).or_else(|_| cvm::ok(random, &Facts { domain: b"", ..*facts })).ok()
}

fn refuse(random: &[u8], out_of_scope: bool) -> Vec<u8> {
    cvm::no(random, out_of_scope).unwrap_or_else(|_| cvm::temporary(cvm::TEMPORARY, random))
}

#[cfg(test)]
mod tests;
