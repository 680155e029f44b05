//! placeholder
use crate::error::Misconfiguration;
use crate::key::Username;
/// Two rows.
#[must_use]
pub fn twice(who: &Username) -> Misconfiguration {
    Misconfiguration { rule: "K3", table: "mailbox", key: who.to_string(), column: "username", problem: "two rows for one name".to_owned() }
}
