//! What qmail-local is asked: the delivery of a recipient as it stands in the queue (rules V1 to V6, A1 to A5, P3).

use super::deliver::{Delivery, Exts, NO_MAILBOX, Own, delivery, of_mailbox, rows};
use super::facts::Facts;
use super::local::{Route, forged, route_of_queued};
use super::{Question, Stop};
use crate::error::Misconfiguration;
use crate::getpw::alias_ext;
use crate::key::Username;
use crate::mailbox::Mailbox;
use crate::settings::HomeTrouble;
use crate::virtuals::{Encoded, Queued};

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
    /// True if the domain stands in control/locals: then no line of control/virtualdomains counts for it.
    pub is_local: bool,
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
        let queued = match Queued::of(&self.local, &self.domain) {
            Queued::Virtual(_) if self.is_local => Queued::Forged,
            queued => queued,
        };
        let user = Username::new(&self.user);
        let is_alias = user.as_ref().is_some_and(|user| is_alias_user(facts, user));
        let delivery = match (&user, &queued) {
            (_, Queued::Forged) => delivery(facts, &forged(facts), b"")?,
            // No row can have such a name.
            (None, _) => Delivery::Files { owner: super::OwnerFlags::default() },
            (Some(user), Queued::Plain) if !is_alias && !self.is_cut(&self.local, facts) => {
                // No qmail-getpw, ours or the stock one, makes this of the local part: users/cdb does.
                self.as_given(facts, user, Own::NamesAndAddresses)?
            }
            (Some(user), Queued::Plain | Queued::Virtual(_)) => self.by_route(facts, user, is_alias, &queued)?,
        };
        let mailbox = match &user {
            Some(user) => self.mailbox(facts, user)?,
            None => None,
        };
        if is_alias && matches!(delivery, Delivery::Files { .. }) && is_safety_net(&self.ext) {
            facts.note(
                "V5",
                || "the encoding as an extension of the alias user: his files of that name are not for mail",
            );
            return Ok(Delivered { mailbox, delivery: Delivery::Bounce(NO_MAILBOX.into()) });
        }
        Ok(Delivered { mailbox, delivery })
    }
}

fn is_alias_user(facts: &Facts<'_>, user: &Username) -> bool {
    user.as_bytes().eq_ignore_ascii_case(facts.settings.alias_user.as_bytes())
}

/// True if `.qmail-EXT` of the alias user could be found in the files that sync keeps for the day that the stock programs
/// come back (`.qmail-=HOST=-default`): file names are in small letters, with colons for dots.
fn is_safety_net(ext: &[u8]) -> bool {
    let written: Vec<u8> = ext.iter().map(|&b| if b == b':' { b'.' } else { b.to_ascii_lowercase() }).collect();
    Encoded::decode(&written).is_some()
}

impl Deliver {
    fn mailbox(&self, facts: &Facts<'_>, user: &Username) -> Result<Option<Mailbox>, Stop> {
        facts.mailboxes("K2", vec![user.clone()])?.one(user, facts.settings)
    }

    /// By the rows, if they lead to whom qmail-lspawn delivers as. If they lead elsewhere it is not known whose mail this
    /// is: rows have changed since qmail-getpw answered, another program stands in its place, or users/cdb contradicts.
    /// The next attempt is routed anew.
    fn by_route(
        &self,
        facts: &Facts<'_>,
        user: &Username,
        is_alias: bool,
        queued: &Queued<'_>,
    ) -> Result<Delivery, Stop> {
        let route = route_of_queued(facts, &self.local)?;
        if self.agrees(&route, user, is_alias) {
            return delivery(facts, &route, self.system_home.as_deref().unwrap_or_default());
        }
        let settings = facts.settings;
        let home_trouble = [settings.home_missing, settings.home_mismatch].contains(&HomeTrouble::Alias);
        match &route {
            // The row is gone, as far as there was one.
            Route::Unknown => self.as_given(facts, user, Own::Names),
            // A system user, by the stock program.
            Route::Stock { .. } if *queued == Queued::Plain => self.as_given(facts, user, Own::Names),
            Route::Stock { local } if self.is_cut(local, facts) => self.as_given(facts, user, Own::Names),
            // Himself, with another extension: by users/cdb.
            Route::Mailbox { mailbox, .. } if *queued == Queued::Plain && mailbox.username == *user => {
                self.as_given(facts, user, Own::NamesAndAddresses)
            }
            // In the place of a mailbox whose home is in trouble.
            Route::Mailbox { .. } if home_trouble && is_alias && self.ext == alias_ext(&self.local) => {
                self.as_given(facts, user, Own::NamesAndAddresses)
            }
            Route::Mailbox { .. } | Route::AliasUser { .. } | Route::Stock { .. } | Route::Forward(_) => {
                let (rule, table) = if *queued == Queued::Plain { ("G2", "mailbox") } else { ("V4", "virtual") };
                Err(Stop::Bad(Misconfiguration {
                    rule,
                    table,
                    key: user.to_string(),
                    column: "",
                    problem: "mail of others is delivered as this user: is bin/qmail-getpw ours, and has users/cdb no \
                              line for it?"
                        .to_owned(),
                }))
            }
        }
    }

    /// True if `local` is cut into this user and this extension, or is this user.
    fn is_cut(&self, local: &[u8], facts: &Facts<'_>) -> bool {
        let Some((name, rest)) = local.split_at_checked(self.user.len()) else { return false };
        let cut = match rest {
            [] => self.ext.is_empty(),
            [at, ext @ ..] => facts.settings.break_chars.as_bytes().contains(at) && self.ext == ext,
        };
        cut && name.eq_ignore_ascii_case(&self.user)
    }

    /// By the user and the extension that qmail-lspawn was given.
    fn as_given(&self, facts: &Facts<'_>, user: &Username, own: Own) -> Result<Delivery, Stop> {
        facts.note("A1", || format!("delivered as {user}, with the extension that qmail-lspawn was given"));
        match self.mailbox(facts, user)? {
            Some(mailbox) => of_mailbox(facts, &mailbox, &self.ext),
            None => {
                let home = self.system_home.as_deref().unwrap_or_default();
                rows(facts, user, Exts { ext: &self.ext, own, address: None }, home)
            }
        }
    }

    /// True if qmail-lspawn was given what getpw makes of `route`.
    fn agrees(&self, route: &Route, user: &Username, is_alias: bool) -> bool {
        match route {
            Route::Mailbox { mailbox, dash, ext } => {
                mailbox.username == *user && self.dash == *dash && self.ext == *ext
            }
            Route::AliasUser { ext, .. } | Route::Stock { local: ext } => is_alias && self.ext == *ext,
            Route::Unknown => is_alias && self.ext == self.local,
            Route::Forward(_) => is_alias && self.ext == b"forward",
        }
    }
}
