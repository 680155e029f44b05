//! Logins for stores that hand out hashes: fetch the row, then let core compare.

use async_trait::async_trait;
use qmail_lookup_core::credential::judge;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AuthAnswer, Authenticator, CredentialResolver, Deadline, ErrorKind, LookupError, Secret, Username,
};
use std::sync::Arc;

/// An [`Authenticator`] over a store's credential rows. Hashing runs on a blocking thread, off the event loop.
pub struct CompareAuthenticator {
    rows: Arc<dyn CredentialResolver>,
    rules: Arc<RuleSettings>,
}

impl CompareAuthenticator {
    /// Compares against what `rows` returns; `rules` judge the row of a right password.
    #[must_use]
    pub fn new(rows: Arc<dyn CredentialResolver>, rules: Arc<RuleSettings>) -> Self {
        Self { rows, rules }
    }
}

#[async_trait]
impl Authenticator for CompareAuthenticator {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let rows = self.rows.credentials(std::slice::from_ref(who), by).await?;
        let (who, offered, rules) = (who.clone(), offered.clone(), Arc::clone(&self.rules));
        let verdict = tokio::task::spawn_blocking(move || judge(&who, &rows, &offered, &rules)).await;
        verdict.unwrap_or_else(|_| Err(LookupError::new(ErrorKind::Overloaded, "password", "verification ended early")))
    }
}
