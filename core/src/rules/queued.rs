//! What qmail-local is asked: the delivery of a recipient as it stands in the queue (rules V1 to V6, A1 to A5, P3).

use super::deliver::{Delivery, delivery, of_mailbox, rows};
use super::facts::Facts;
use super::local::{Route, route_of_local, route_of_queued};
use super::{Question, Stop};
use crate::key::{Host, Username};
use crate::mailbox::Mailbox;
use crate::virtuals::Encoded;

/// qmail-local's arguments, and the user's home as the system knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// Whom qmail-lspawn delivers as.
    pub user: Vec<u8>,
    /// Local part as it stands in the queue.
    pub local: Vec<u8>,
    /// `-` or empty.
    pub dash: Vec<u8>,
    /// Extension.
    pub ext: Vec<u8>,
    /// Domain, as typed.
    pub domain: Vec<u8>,
    /// Home of `user` if it is a system user.
    pub system_home: Option<Vec<u8>>,
}

/// What [`Deliver`] finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The user's own mailbox row; decides who may ask.
    pub mailbox: Option<Mailbox>,
    /// What happens to the mail.
    pub delivery: Delivery,
}

impl Question for Deliver {
    type Answer = Delivered;

    fn decide(&self, facts: &Facts<'_>) -> Result<Delivered, Stop> {
        let route = self.route(facts)?;
        let Some(user) = Username::new(&self.user) else {
            // No row can have such a name.
            let delivery = Delivery::Files { owner: super::OwnerFlags::default() };
            return Ok(Delivered { mailbox: None, delivery });
        };
        let mailbox = facts.mailboxes("K2", vec![user.clone()])?.one(&user, facts.settings)?;
        let delivery = if self.agrees(facts, &user, &route) {
            delivery(facts, &route, self.system_home.as_deref().unwrap_or_default())?
        } else {
            // users/cdb, the stock qmail-getpw or the state of a home chose this user, or a row has changed since.
            facts.note("A1", || format!("delivered as {user}, with the extension that qmail-lspawn was given"));
            match &mailbox {
                Some(mailbox) => of_mailbox(facts, mailbox, &self.dash, &self.ext)?,
                None => {
                    let home = self.system_home.as_deref().unwrap_or_default();
                    rows(facts, &user, &self.dash, &self.ext, None, home)?
                }
            }
        };
        Ok(Delivered { mailbox, delivery })
    }
}

impl Deliver {
    /// The route by local part and domain; the extension, which senders can type, decides nothing here.
    fn route(&self, facts: &Facts<'_>) -> Result<Route, Stop> {
        match Encoded::decode(&self.local) {
            Some(encoded) if fits(&encoded.host, &self.domain) => route_of_queued(facts, &self.local),
            // Somebody typed the encoding at another host (rule V5).
            Some(_) => {
                facts.note("V5", || "an encoded recipient at a host that is not its own");
                Ok(Route::Unknown)
            }
            None => route_of_local(facts, &self.local),
        }
    }

    /// True if qmail-lspawn was given what getpw makes of `route`.
    fn agrees(&self, facts: &Facts<'_>, user: &Username, route: &Route) -> bool {
        let alias_user = || user.as_bytes().eq_ignore_ascii_case(facts.settings.alias_user.as_bytes());
        match route {
            Route::Mailbox { mailbox, dash, ext } => {
                mailbox.username == *user && self.dash == *dash && self.ext == *ext
            }
            Route::AliasUser { ext, .. } | Route::Stock { local: ext } => self.ext == *ext && alias_user(),
            Route::Unknown => self.ext == self.local && alias_user(),
            Route::Forward(_) => self.ext == b"forward" && alias_user(),
        }
    }
}

/// True if mail for `domain` can have come by this key of control/virtualdomains.
fn fits(key: &Host, domain: &[u8]) -> bool {
    let domain = domain.to_ascii_lowercase();
    if key.as_bytes().starts_with(b".") { domain.ends_with(key.as_bytes()) } else { domain == key.as_bytes() }
}
