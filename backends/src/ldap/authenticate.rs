//! Logins decided by the server: the entry is searched, then somebody binds as it on a connection of its own.

use super::Store;
use super::connection::LdapServer;
use super::error::{lookup_error, of_result, rc};
use super::rows::Found;
use crate::cells;
use crate::question::Question;
use crate::workers::Again;
use async_trait::async_trait;
use qmail_lookup_core::credential::Refusal;
use qmail_lookup_core::credential::password_is_right;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AuthAnswer, Authenticator, CredentialResolver, CredentialRow, Deadline, ErrorKind, LookupError, Secret, Username,
};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

/// Binds under way at the same time. The server hashes, and each takes a connection there.
const BINDS_MAX: usize = 32;

/// Asks the server whether a password is right.
pub(super) struct BindAuthenticator {
    store: Arc<Store>,
    rules: Arc<RuleSettings>,
    places: Semaphore,
}

/// What a bind came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Yes,
    Wrong,
}

impl BindAuthenticator {
    pub(super) fn new(store: Arc<Store>, rules: Arc<RuleSettings>) -> Self {
        Self { store, rules, places: Semaphore::new(BINDS_MAX) }
    }

    async fn bind(&self, server: &LdapServer, dn: &str, offered: &Secret, by: Deadline) -> Result<Bound, LookupError> {
        let at = server.context();
        // With an empty name or password a bind succeeds, and says nothing about anybody.
        if dn.is_empty() || offered.expose().is_empty() {
            return Err(at.error(ErrorKind::Misconfigured, "a bind without a name or password was not made"));
        }
        let Ok(password) = std::str::from_utf8(offered.expose()) else {
            let what = "the offered password is not UTF-8, which a bind cannot carry";
            return Err(at.error(ErrorKind::Refused, what).with_help("auth = \"compare\" compares any bytes"));
        };
        let place = timeout_at(by.instant().into(), self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(at.error(ErrorKind::Overloaded, format!("{BINDS_MAX} logins are under way already")));
        };
        let mut conn = server.dial_by(by).await?;
        let result = timeout_at(by.instant().into(), conn.ldap.simple_bind(dn, password)).await;
        let result = result.map_err(|_| server.too_late())?;
        let result = result.map_err(|error| lookup_error(error, "logging in as the user", at))?;
        match result.rc {
            rc::SUCCESS => Ok(Bound::Yes),
            rc::INVALID_CREDENTIALS | rc::CONSTRAINT | rc::UNWILLING => Ok(Bound::Wrong),
            _ => Err(of_result(&result, "logging in as the user", at)),
        }
    }
}

#[async_trait]
impl Authenticator for BindAuthenticator {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let question = Question::Mailboxes(vec![who.clone()]);
        let reply = self.store.reply(question, by, Again::Never).await?;
        let mut found = reply.rows.into_iter();
        let Some(Found { dn, cells, .. }) = found.next() else { return Ok(AuthAnswer::Refused(Refusal::Unknown)) };
        if found.next().is_some() {
            return Err(qmail_lookup_core::rules::twice(who).into());
        }
        if offered.expose().is_empty() || offered.expose().contains(&0) {
            return Ok(AuthAnswer::Refused(Refusal::UnusablePassword));
        }
        Ok(match self.bind(&reply.server, &dn, offered, by).await? {
            // The row is judged only now: whoever does not know the password learns nothing about it.
            Bound::Yes => {
                let mailbox = cells::mailbox(cells).validate(&self.rules)?;
                password_is_right(mailbox)
            }
            Bound::Wrong => AuthAnswer::Refused(Refusal::WrongPassword),
        })
    }
}

/// For `auth = "compare"`.
#[async_trait]
impl CredentialResolver for Store {
    async fn credentials(&self, names: &[Username], by: Deadline) -> Result<Vec<CredentialRow>, LookupError> {
        let reply = self.reply(Question::Credentials(names.to_vec()), by, Again::Never).await?;
        if reply.rows.iter().any(|row| row.passwords > 1) {
            let what = "an entry has several values of userPassword, any of which a server would take";
            let error = reply.server.context().error(ErrorKind::Misconfigured, what);
            return Err(error.with_help("leave it one value, or use auth = \"bind\""));
        }
        Ok(reply.rows.into_iter().map(|row| cells::credential(row.cells)).collect())
    }
}
