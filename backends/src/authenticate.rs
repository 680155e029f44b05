//! Logins for stores that hand out hashes: fetch the row, then let core compare.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use qmail_lookup_core::credential::judge;
use qmail_lookup_core::password::verify;
use qmail_lookup_core::settings::RuleSettings;
use qmail_lookup_core::{
    AuthAnswer, Authenticator, Cell, CredentialResolver, CredentialRow, Deadline, ErrorKind, LookupError, Refusal,
    Secret, Username,
};
use std::sync::{Arc, Mutex, PoisonError};

/// An [`Authenticator`] over a store's credential rows. Hashing runs on a blocking thread, off the event loop.
///
/// Where there is nothing to compare with, the offered password is compared with the stored one of whoever was
/// compared last, and the outcome is thrown away: an unknown name takes as long as a known one (rule P4).
pub struct CompareAuthenticator {
    rows: Arc<dyn CredentialResolver>,
    rules: Arc<RuleSettings>,
    decoy: Arc<Decoy>,
}

/// A stored password and its type, for comparisons that decide nothing.
#[derive(Default)]
struct Decoy(Mutex<Option<(Secret, Cell)>>);

impl Decoy {
    /// Keeps what was just compared.
    fn keep(&self, row: &CredentialRow) {
        let Some(stored) = &row.password else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Most sites store one form only; a value that is there already need not be copied again.
        if kept.as_ref().is_none_or(|(secret, kind)| secret != stored || *kind != row.password_type) {
            *kept = Some((stored.clone(), row.password_type.clone()));
        }
    }

    /// Takes the time of a comparison. Nothing comes back.
    fn compare(&self, offered: &Secret) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((stored, kind)) = kept {
            let _ = verify(Some(&stored), kind.as_deref(), offered);
        }
    }
}

impl CompareAuthenticator {
    /// Compares against what `rows` returns; `rules` judge the row of a right password.
    #[must_use]
    pub fn new(rows: Arc<dyn CredentialResolver>, rules: Arc<RuleSettings>) -> Self {
        Self { rows, rules, decoy: Arc::default() }
    }
}

/// [`judge`], and a comparison for nothing where it had nothing to compare.
fn judge_in_equal_time(
    who: &Username,
    rows: &[CredentialRow],
    offered: &Secret,
    rules: &RuleSettings,
    decoy: &Decoy,
) -> Result<AuthAnswer, LookupError> {
    let answer = judge(who, rows, offered, rules);
    match &answer {
        Ok(AuthAnswer::Refused(Refusal::Unknown | Refusal::Unverifiable)) => decoy.compare(offered),
        Ok(AuthAnswer::Granted(_) | AuthAnswer::Refused(Refusal::WrongPassword | Refusal::Suspended)) => {
            rows.iter().filter(|row| who.matches(row.mailbox.username.as_deref())).for_each(|row| decoy.keep(row));
        }
        _ => {}
    }
    answer
}

#[async_trait]
impl Authenticator for CompareAuthenticator {
    async fn authenticate(&self, who: &Username, offered: &Secret, by: Deadline) -> Result<AuthAnswer, LookupError> {
        let rows = self.rows.credentials(std::slice::from_ref(who), by).await?;
        let (who, offered) = (who.clone(), offered.clone());
        let (rules, decoy) = (Arc::clone(&self.rules), Arc::clone(&self.decoy));
        let verdict =
            tokio::task::spawn_blocking(move || judge_in_equal_time(&who, &rows, &offered, &rules, &decoy)).await;
        verdict.unwrap_or_else(|_| Err(LookupError::new(ErrorKind::Overloaded, "password", "verification ended early")))
    }
}
