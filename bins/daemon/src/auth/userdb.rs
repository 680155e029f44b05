//! Whose mailbox a login means, without a password: for Dovecot's userdb. It grants nothing and tells no password.

use super::{account, answered};
use qmail_lookup_core::rules::{Login, OneMailbox};
use qmail_lookup_core::settings::AuthSettings;
use qmail_lookup_core::wire::auth::Reply;
use qmail_lookup_core::{Deadline, Lookup, LookupError, Mailbox, Standing};

/// Finds the account by the rule that logins go by (P7). A suspended mailbox is found: it may not log in, but its
/// mail is delivered. One whose mail bounces is not.
pub(crate) async fn userdb(lookup: &Lookup, settings: &AuthSettings, login: &[u8], by: Deadline) -> Reply {
    match answered(mailbox_of(lookup, settings, login, by), by).await {
        Ok(Some(mailbox)) if mailbox.standing != Standing::Bounced => Reply::Ok(account(mailbox)),
        Ok(_) => Reply::No,
        // The words of this error may quote what was typed.
        Err(error) => Reply::Temporary(format!("{}: {}", error.place(), error.kind().as_str()).into_bytes()),
    }
}

/// The mailbox that a login means, suspended or not.
pub(crate) async fn mailbox_of(
    lookup: &Lookup,
    settings: &AuthSettings,
    login: &[u8],
    by: Deadline,
) -> Result<Option<Mailbox>, LookupError> {
    match lookup.decide(Login { typed: login.to_vec(), by: settings.login }, by).await? {
        Some(name) => lookup.decide(OneMailbox { name: name.as_bytes().to_vec() }, by).await,
        None => Ok(None),
    }
}
