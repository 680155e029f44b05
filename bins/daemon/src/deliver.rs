//! `deliver`: how mail is delivered, told only to the user whose mail it is.
//!
//! Who is not root gets one and the same reply if he may not ask and if there is no answer, so that nothing about the
//! rows of others can be learnt.

use crate::answer::Said;
use crate::daemon::{Daemon, GENERIC};
use crate::peer::{Peer, may_deliver};
use crate::state::State;
use crate::system::SystemUser;
use qmail_lookup_core::rules::{Deliver, Delivered, OneMailbox};
use qmail_lookup_core::settings::AliasPaths;
use qmail_lookup_core::{Deadline, LookupError, Mailbox, wire};
use std::sync::Arc;

pub(crate) async fn answer(
    daemon: &Daemon,
    state: &State,
    peer: Peer,
    key: &[u8],
    content: &[u8],
    by: Deadline,
) -> Said {
    let asked = match wire::deliver::decode_question(key) {
        Ok(asked) => asked,
        Err(malformed) => return Said::Perm(malformed.0.into()),
    };
    let asking = Asking { daemon, state, user: &asked.user, by };
    let error = match asking.decide(&asked).await {
        Ok((delivered, system)) => {
            if !may_deliver(peer.uid, delivered.mailbox.as_ref(), asking.is_alias_user(), system.as_deref()) {
                return asking.refuse(peer);
            }
            daemon.overdue.answered(content);
            return Said::Ok(wire::deliver::encode(&delivered.delivery));
        }
        Err(error) => error,
    };
    // An error is logged and remembered only for those who may ask, as far as that can be found out.
    if peer.uid != 0 && matches!(asking.may(peer).await, Ok(false)) {
        return asking.refuse(peer);
    }
    daemon.trouble(state, content, &error);
    if peer.uid == 0 { Said::error(peer, &error) } else { Said::Temp(GENERIC.into()) }
}

struct Asking<'a> {
    daemon: &'a Daemon,
    state: &'a State,
    user: &'a [u8],
    by: Deadline,
}

type System = Option<Arc<SystemUser>>;

impl Asking<'_> {
    fn is_alias_user(&self) -> bool {
        self.user.eq_ignore_ascii_case(self.state.config.rules.alias_user.as_bytes())
    }

    fn refuse(&self, peer: Peer) -> Said {
        self.daemon.refuse(peer, "deliver");
        Said::Temp(GENERIC.into())
    }

    async fn system(&self) -> Result<System, LookupError> {
        self.daemon.system.user(self.user, self.by).await
    }

    /// The delivery, and the user's record in the system where it counts: a mailbox does not depend on what the system
    /// knows.
    async fn decide(&self, asked: &Deliver) -> Result<(Delivered, System), LookupError> {
        let lookup = &self.state.lookup;
        let with = |system: &System| {
            let system_home = system.as_ref().map(|user| user.home.clone());
            Deliver { system_home, ..asked.clone() }
        };
        if self.is_alias_user() {
            let system = self.system().await?;
            return Ok((lookup.decide(with(&system), self.by).await?, system));
        }
        if self.state.config.rules.alias_paths == AliasPaths::Home {
            // Paths of a system user are judged by its home, so whether there is a mailbox has to be known before.
            let mailbox = self.mailbox().await?;
            let system = if mailbox.is_none() { self.system().await? } else { None };
            return Ok((lookup.decide(with(&system), self.by).await?, system));
        }
        let delivered = lookup.decide(asked.clone(), self.by).await?;
        let system = if delivered.mailbox.is_none() { self.system().await? } else { None };
        Ok((delivered, system))
    }

    async fn mailbox(&self) -> Result<Option<Mailbox>, LookupError> {
        self.state.lookup.decide(OneMailbox { name: self.user.to_vec() }, self.by).await
    }

    async fn may(&self, peer: Peer) -> Result<bool, LookupError> {
        let mailbox = self.mailbox().await?;
        let system = if mailbox.is_none() || self.is_alias_user() { self.system().await? } else { None };
        Ok(may_deliver(peer.uid, mailbox.as_ref(), self.is_alias_user(), system.as_deref()))
    }
}
