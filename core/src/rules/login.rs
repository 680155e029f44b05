//! What was typed at a login prompt, as a mailbox name (rule P7). Exact names only: no prefixes, no catch-alls.

use super::facts::Facts;
use super::virtual_host::{self, Picked};
use super::{Question, Stop};
use crate::key::{Host, Username};
use crate::settings::LoginBy;

/// Which mailbox a login means; `None` if it can mean none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// As typed.
    pub typed: Vec<u8>,
    /// What may be typed.
    pub by: LoginBy,
}

impl Question for Login {
    type Answer = Option<Username>;

    fn decide(&self, facts: &Facts<'_>) -> Result<Option<Username>, Stop> {
        match self.by {
            LoginBy::Username => Ok(Username::new(&self.typed)),
            LoginBy::Address => self.by_address(facts),
            LoginBy::Both => match Username::new(&self.typed) {
                Some(name) if facts.mailboxes("P7", vec![name.clone()])?.has(&name) => Ok(Some(name)),
                _ => self.by_address(facts),
            },
        }
    }
}

impl Login {
    fn by_address(&self, facts: &Facts<'_>) -> Result<Option<Username>, Stop> {
        let Some(at) = self.typed.iter().rposition(|&b| b == b'@') else { return Ok(None) };
        let (user, host) = (self.typed.get(..at).unwrap_or_default(), self.typed.get(at + 1..).unwrap_or_default());
        let Some(host) = Host::new(host) else { return Ok(None) };
        Ok(match virtual_host::pick(facts, &[host], user)? {
            Picked::Row { username, ext, exact: true, .. } if ext.is_empty() => {
                facts.mailboxes("P7", vec![username.clone()])?.has(&username).then_some(username)
            }
            _ => None,
        })
    }
}
