//! Whether a recipient exists, for whoever speaks SMTP.

use super::address::Explain;
use super::facts::Facts;
use super::local::Route;
use super::{Question, Stop};
use crate::control::Control;
use std::sync::Arc;

/// Whether mail for an address would be accepted by the delivery side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Address as typed.
    pub address: Vec<u8>,
    /// What qmail-send reads.
    pub control: Arc<Control>,
}

/// What is known of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A mailbox, files, the stock program or the alias user could accept it.
    Possible,
    /// It would bounce (rule V5).
    Unknown,
    /// Neither local nor virtual here.
    NotOurs,
}

impl Question for Recipient {
    type Answer = Standing;

    fn decide(&self, facts: &Facts<'_>) -> Result<Standing, Stop> {
        let explain =
            Explain { address: self.address.clone(), control: Arc::clone(&self.control), alias_home: Vec::new() };
        Ok(match explain.route(facts)? {
            None => Standing::NotOurs,
            Some(Route::Unknown) => Standing::Unknown,
            Some(Route::Mailbox { .. } | Route::AliasUser { .. } | Route::Stock { .. } | Route::Forward(_)) => {
                Standing::Possible
            }
        })
    }
}
