//! What qmail-local is asked: the delivery of a recipient as it stands in the queue (rules V1 to V6, A1 to A5, P3).

use super::deliver::{Delivery, Exts, NO_MAILBOX, Own, delivery, of_mailbox, rows};
use super::facts::Facts;
use super::local::{Route, route_of_recipient};
use super::{Question, Stop};
use crate::getpw::alias_ext;
use crate::key::Username;
use crate::mailbox::Mailbox;
use crate::virtuals::{Encoded, Queued};

/// The deferral of a virtual recipient that was not routed by its rows.
const ROUTED_OTHERWISE: &str = "Recipient was not routed by its rows; is qmail-getpw in place? (#4.3.0)";

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
        let queued = Queued::of(&self.local, &self.domain);
        let route = route_of_recipient(facts, &self.local, &self.domain)?;
        let Some(user) = Username::new(&self.user) else {
            // No row can have such a name.
            let files = Delivery::Files { owner: super::OwnerFlags::default() };
            let delivery = if queued == Queued::Forged { Delivery::Bounce(NO_MAILBOX.into()) } else { files };
            return Ok(Delivered { mailbox: None, delivery });
        };
        let mailbox = facts.mailboxes("K2", vec![user.clone()])?.one(&user, facts.settings)?;
        let delivery = if queued == Queued::Forged || self.agrees(facts, &user, &route) {
            delivery(facts, &route, self.system_home.as_deref().unwrap_or_default())?
        } else if matches!(queued, Queued::Virtual(_)) && route != Route::Unknown && !self.is_stocks(&user, &route) {
            self.known(facts, &user, mailbox.as_ref(), &route)?
        } else if queued == Queued::Plain && is_alias_user(facts, &user) && Encoded::decode(&self.ext).is_some() {
            // Somebody typed the alias user's name before the encoding. What is there is not for mail (sync's safety net).
            facts.note("V5", || "an encoded recipient behind the alias user's name");
            Delivery::Bounce(NO_MAILBOX.into())
        } else {
            self.as_given(facts, &user, mailbox.as_ref(), &queued)?
        };
        Ok(Delivered { mailbox, delivery })
    }
}

fn is_alias_user(facts: &Facts<'_>, user: &Username) -> bool {
    user.as_bytes().eq_ignore_ascii_case(facts.settings.alias_user.as_bytes())
}

impl Deliver {
    /// True if `user` is the system user whom the stock program makes of `route`.
    fn is_stocks(&self, user: &Username, route: &Route) -> bool {
        let Route::Stock { local } = route else { return false };
        let Some((name, rest)) = local.split_at_checked(user.as_bytes().len()) else { return false };
        name.eq_ignore_ascii_case(user.as_bytes())
            && rest.split_first().map_or(self.ext.is_empty(), |(_, ext)| ext == self.ext)
    }

    /// A virtual recipient that exists, but was routed otherwise: its rows have changed since, its owner's home is in
    /// trouble, users/cdb has a line for it, or a qmail-getpw that knows no rows is in the place of ours. It never
    /// bounces, and never falls to files that are not meant for it.
    fn known(
        &self,
        facts: &Facts<'_>,
        user: &Username,
        mailbox: Option<&Mailbox>,
        route: &Route,
    ) -> Result<Delivery, Stop> {
        let home_trouble = matches!(route, Route::Mailbox { .. }) && self.ext == alias_ext(&self.local);
        let given = if is_alias_user(facts, user) && !home_trouble {
            None
        } else {
            let queued = Queued::of(&self.local, &self.domain);
            let given = self.as_given(facts, user, mailbox, &queued)?;
            let may_bounce = matches!(given, Delivery::Files { .. }) && !self.ext.is_empty() && !home_trouble;
            Some(given).filter(|_| !may_bounce)
        };
        Ok(given.unwrap_or_else(|| {
            facts.note("V5", || "known, but not under the user and extension that qmail-lspawn was given");
            Delivery::Defer(ROUTED_OTHERWISE.into())
        }))
    }

    /// users/cdb, the stock qmail-getpw or the state of a home chose this user, or a row has changed since.
    fn as_given(
        &self,
        facts: &Facts<'_>,
        user: &Username,
        mailbox: Option<&Mailbox>,
        queued: &Queued<'_>,
    ) -> Result<Delivery, Stop> {
        facts.note("A1", || format!("delivered as {user}, with the extension that qmail-lspawn was given"));
        match mailbox {
            Some(mailbox) => of_mailbox(facts, mailbox, &self.dash, &self.ext),
            None => {
                let home = self.system_home.as_deref().unwrap_or_default();
                let own = if *queued == Queued::Plain { Own::Names } else { Own::NamesAndAddresses };
                rows(facts, user, &self.dash, Exts { ext: &self.ext, own, address: None }, home)
            }
        }
    }

    /// True if qmail-lspawn was given what getpw makes of `route`.
    fn agrees(&self, facts: &Facts<'_>, user: &Username, route: &Route) -> bool {
        let alias_user = || is_alias_user(facts, user);
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
