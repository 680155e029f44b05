//! Accepted domains (rule R1).

use super::facts::Facts;
use super::{Question, Stop};
use crate::key::Host;
use crate::rcpthosts;

/// Whether mail is accepted for this host, and by which row; `None` leaves it to qmail's own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Host as typed.
    pub host: Vec<u8>,
}

impl Question for Accepted {
    type Answer = Option<Host>;

    fn decide(&self, facts: &Facts<'_>) -> Result<Option<Host>, Stop> {
        let keys = rcpthosts::candidates(&self.host);
        let rows = facts.rcpthosts("R1", keys.clone())?;
        let hit = keys.into_iter().find(|key| rows.iter().any(|row| key.matches(row.host.as_deref())));
        match &hit {
            Some(key) => facts.note("R1", || format!("row {key} of table rcpthosts")),
            None => facts.note("R1", || "no row of table rcpthosts"),
        }
        Ok(hit)
    }
}
