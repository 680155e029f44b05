//! What every layer passes on.

use qmail_lookup_core::{Authenticator, Backend, ErrorKind, LookupError};

/// Who decides the logins of the store that a layer wraps.
///
/// # Errors
/// If it knows none.
pub(crate) fn logins(inner: &dyn Backend) -> Result<&dyn Authenticator, LookupError> {
    let none = || LookupError::new(ErrorKind::Misconfigured, inner.place(), "this store knows no logins");
    inner.authenticator().ok_or_else(none)
}

/// Writes `impl Backend` for a layer around its field `inner`. What the store is and can do is passed on; the braces
/// hold `ping`, `any_mailbox`, `facts` and `authenticator` as the layer has them. Without braces these are passed on too.
macro_rules! layer {
    ($layer:ident) => {
        $crate::layer::layer! { $layer {
            async fn ping(&self, by: qmail_lookup_core::Deadline) -> Result<(), qmail_lookup_core::LookupError> {
                self.inner.ping(by).await
            }

            async fn any_mailbox(
                &self,
                by: qmail_lookup_core::Deadline,
            ) -> Result<bool, qmail_lookup_core::LookupError> {
                self.inner.any_mailbox(by).await
            }

            async fn facts(
                &self,
                by: qmail_lookup_core::Deadline,
            ) -> Result<qmail_lookup_core::StoreFacts, qmail_lookup_core::LookupError> {
                self.inner.facts(by).await
            }

            fn authenticator(&self) -> Option<&dyn qmail_lookup_core::Authenticator> {
                self.inner.authenticator()
            }
        } }
    };
    ($layer:ident { $($own:tt)* }) => {
        #[async_trait::async_trait]
        impl qmail_lookup_core::Backend for $layer {
            fn kind(&self) -> &'static str {
                self.inner.kind()
            }

            fn place(&self) -> String {
                self.inner.place()
            }

            fn query_text(&self, ask: &qmail_lookup_core::rules::Ask) -> String {
                self.inner.query_text(ask)
            }

            fn change_text(&self, change: &qmail_lookup_core::Change) -> Option<String> {
                self.inner.change_text(change)
            }

            fn catalog(&self) -> Option<&dyn qmail_lookup_core::Catalog> {
                self.inner.catalog()
            }

            // No layer touches an edit: only the store knows how much of it was done.
            fn editor(&self) -> Option<&dyn qmail_lookup_core::Editor> {
                self.inner.editor()
            }

            fn credentials(&self) -> Option<&dyn qmail_lookup_core::CredentialResolver> {
                self.inner.credentials()
            }

            $($own)*
        }
    };
}

pub(crate) use layer;
