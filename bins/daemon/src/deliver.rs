//! `deliver`: how mail is delivered, told only to the user whose mail it is.
//!
//! Who is not root gets one and the same reply if he may not ask and if there is no answer, so that no instructions of
//! others can be learnt. Whether an address exists can be: that is no secret to whoever can send mail.

use crate::answer::{Found, Ground, Said};
use crate::daemon::{Daemon, GENERIC, shown};
use crate::peer::{Peer, may_deliver};
use crate::system::SystemUser;
use qmail_lookup_config::Right;
use qmail_lookup_core::rules::{Deliver, Delivered, Delivery, OneMailbox, OwnerFlags};
use qmail_lookup_core::settings::AliasPaths;
use qmail_lookup_core::virtuals::Encoded;
use qmail_lookup_core::{Deadline, ErrorKind, LookupError, Mailbox, Username, wire};
use std::sync::Arc;

pub(crate) async fn answer(
    daemon: &Daemon,
    ground: &Ground<'_>,
    peer: Peer,
    key: &[u8],
    content: &[u8],
    by: Deadline,
) -> Said {
    let asked = match wire::deliver::decode_question(key) {
        Ok(asked) => asked,
        Err(malformed) => return Said::Perm(malformed.0.into()),
    };
    let state = ground.state;
    let asking = Asking { ground, user: &asked.user, by };
    let error = match asking.decide(asked.clone()).await {
        Ok((delivered, system)) => {
            let is_his = may_deliver(peer.uid, delivered.mailbox.as_ref(), asking.is_alias_user(), system.as_deref());
            let may_hear = || asking.is_nobodys(&delivered, &system) && state.policy.may(peer.uid, Right::DeliverFiles);
            if !is_his && !may_hear() {
                return refuse(daemon, peer);
            }
            let data = wire::deliver::encode(&delivered.delivery);
            if data.len() + 3 <= wire::deliver::ANSWER_MAX {
                daemon.overdue.answered(content);
                return Said::Delivery(data);
            }
            let what = format!("alias rows of {}: too many for one delivery", shown(&asked.user));
            LookupError::new(ErrorKind::Misconfigured, "qmail-lookupd", what)
        }
        Err(error) => error,
    };
    if peer.uid == 0 {
        daemon.trouble(state, content, &error);
        return Said::error(peer, &error);
    }
    // What is wrong with rows is logged and remembered only for those whose rows they are. Each rule once a second:
    // whoever may ask can ask with any local part, and run into what is wrong with the rows of others.
    let text = error.to_string();
    let sort = text.split_once(", row ").map_or(&*text, |(sort, _)| sort);
    match asking.may_hear(peer).await {
        Ok(true) if daemon.quiet.may_say(&format!("uid {} runs into {sort}", peer.uid)).is_none() => {}
        Ok(true) => daemon.trouble(state, content, &error),
        Ok(false) => return refuse(daemon, peer),
        Err(unreachable) => daemon.trouble(state, content, &unreachable),
    }
    Said::Temp(GENERIC.into())
}

/// The answer for whoever may hear it: for root, or for nobody.
pub(crate) async fn found(ground: &Ground<'_>, key: &[u8], by: Deadline) -> Found {
    let Ok(asked) = wire::deliver::decode_question(key) else { return Ok(Said::Perm("not a question".into())) };
    let (delivered, _) = Asking { ground, user: &asked.user, by }.decide(asked.clone()).await?;
    Ok(Said::Delivery(wire::deliver::encode(&delivered.delivery)))
}

fn refuse(daemon: &Daemon, peer: Peer) -> Said {
    daemon.refuse(peer, "deliver");
    Said::Temp(GENERIC.into())
}

struct Asking<'a> {
    ground: &'a Ground<'a>,
    user: &'a [u8],
    by: Deadline,
}

type System = Option<Arc<SystemUser>>;

impl Asking<'_> {
    fn is_alias_user(&self) -> bool {
        self.user.eq_ignore_ascii_case(self.ground.state.config.rules.alias_user.as_bytes())
    }

    /// True if the user is one of users/assign only, whose mail has nothing to do with any row.
    fn is_nobodys(&self, delivered: &Delivered, system: &System) -> bool {
        let by_files = delivered.delivery == Delivery::Files { owner: OwnerFlags::default() };
        !self.is_alias_user() && delivered.mailbox.is_none() && system.is_none() && by_files
    }

    async fn system(&self) -> Result<System, LookupError> {
        self.ground.system.user(self.user, self.by).await
    }

    /// The delivery, and the user's record in the system where it counts: a mailbox does not depend on what the system
    /// knows.
    async fn decide(&self, mut asked: Deliver) -> Result<(Delivered, System), LookupError> {
        let lookup = self.ground.lookup;
        if Encoded::decode(&asked.local).is_some() {
            asked.is_local = self.ground.state.control.read(self.by).await?.is_local(&asked.domain);
        }
        let home = |system: &System| system.as_ref().map(|user| user.home.clone());
        if self.is_alias_user() {
            let system = self.system().await?;
            asked.system_home = home(&system);
            return Ok((lookup.decide(asked, self.by).await?, system));
        }
        if self.ground.state.config.rules.alias_paths == AliasPaths::Home {
            // Paths of a system user are judged by its home, so whether there is a mailbox has to be known before.
            let mailbox = self.mailbox().await?;
            let system = if mailbox.is_none() { self.system().await? } else { None };
            asked.system_home = home(&system);
            return Ok((lookup.decide(asked, self.by).await?, system));
        }
        let delivered = lookup.decide(asked, self.by).await?;
        let system = if delivered.mailbox.is_none() { self.system().await? } else { None };
        Ok((delivered, system))
    }

    async fn mailbox(&self) -> Result<Option<Mailbox>, LookupError> {
        self.ground.lookup.decide(OneMailbox { name: self.user.to_vec() }, self.by).await
    }

    /// As [`may_deliver`], by the uids as they are stored, whatever else is wrong with the rows. An error is about the
    /// store or the system as a whole, and not about these rows.
    async fn may_hear(&self, peer: Peer) -> Result<bool, LookupError> {
        let mut rows = Vec::new();
        if let Some(name) = Username::new(self.user) {
            rows = self.ground.lookup.mailbox.mailboxes(std::slice::from_ref(&name), self.by).await?;
            rows.retain(|row| row.username.as_deref().and_then(Username::new).is_some_and(|found| found == name));
        }
        let uid = peer.uid.to_string();
        if rows.iter().any(|row| row.uid.as_deref() == Some(uid.as_bytes())) {
            return Ok(true);
        }
        if !rows.is_empty() && !self.is_alias_user() {
            return Ok(false);
        }
        Ok(self.system().await?.is_some_and(|user| user.uid == peer.uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testing;
    use crate::daemon::tests::{daemon, run};
    use crate::state::State;
    use arc_swap::ArcSwap;
    use qmail_lookup_backends::registry::Registry;
    use qmail_lookup_config::Sources;
    use qmail_lookup_core::Lookup;
    use std::time::Duration;

    async fn ask(daemon: &Daemon, uid: u32, user: &str, ext: &str) -> Said {
        let state = daemon.state.load_full();
        let key = wire::deliver::encode_question(&Deliver {
            user: user.into(),
            local: format!("{user}-{ext}").into(),
            dash: b"-".to_vec(),
            ext: ext.into(),
            domain: b"mail.test".to_vec(),
            system_home: None,
            is_local: false,
        });
        let content = [b"deliver ", &key[..]].concat();
        let by = Deadline::after(Duration::from_secs(20));
        answer(daemon, &Ground::of(daemon, &state), Peer { uid, gid: uid, pid: 1 }, &key, &content, by).await
    }

    fn over(lookup: Lookup) -> Daemon {
        let sources = Sources { store_url: Some("memory:".to_owned()), ..Sources::default() };
        let state = State::load(&sources, &Registry::builtin(), None).unwrap();
        Daemon { state: ArcSwap::from_pointee(State { lookup, ..state }), ..daemon() }
    }

    /// Row `twice` is there twice, with uid 800; row `root` has uid 0. Rule K3 refuses both.
    #[test]
    fn bad_rows_are_remembered_for_those_whose_rows_they_are_and_not_for_strangers() {
        let daemon = over(testing::lookup());
        run(async {
            let told = Said::Temp(GENERIC.into());
            for n in 0..200 {
                assert_eq!(ask(&daemon, 801, "twice", &n.to_string()).await, told);
                assert_eq!(ask(&daemon, 800, "root", &n.to_string()).await, told);
                assert_eq!(ask(&daemon, 800, &format!("nobody-{n}"), "x").await, told);
            }
            assert_eq!(daemon.overdue.counts(), (0, 0));
            assert_eq!(ask(&daemon, 800, "twice", "x").await, told);
            assert_eq!(daemon.overdue.counts(), (1, 0));
            assert_eq!(ask(&daemon, 800, "twice", "y").await, told);
            assert!(matches!(ask(&daemon, 0, "twice", "z").await, Said::Temp(why) if why.contains("twice")));
            assert_eq!(daemon.overdue.counts(), (1, 0), "one row");
            assert!(matches!(ask(&daemon, 800, "iain", "x").await, Said::Delivery(_)));
        });
    }

    #[test]
    fn a_store_that_is_down_is_told_whoever_asks() {
        let daemon = over(testing::odd(testing::Behaviour::AllDown));
        run(async {
            assert_eq!(ask(&daemon, 801, "iain", "x").await, Said::Temp(GENERIC.into()));
            assert_eq!((daemon.metrics.refused.get(), daemon.overdue.counts()), (0, (0, 0)));
        });
    }
}
