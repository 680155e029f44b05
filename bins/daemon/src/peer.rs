//! Who is calling, and what they may ask: the whole policy.
//!
//! Nobody may ask anything, but for:
//!
//! | who | what |
//! |---|---|
//! | root | everything |
//! | qmailp | getpw, and to say that a mailbox was skipped |
//! | qmaild | rcpthosts, recipient |
//! | users of `[daemon.allow]` | what stands there |
//! | the user of a mailbox, of the alias user, or of the system | deliver, for that user |
//! | the group of `daemon.auth_group` | logins, at the sockets for logins |
//! | the daemon's own uid | flush and trust |
//!
//! Names are resolved when the daemon starts and after a HUP. A uid has the rights of all roles that it plays.

use crate::bounds::Class;
use crate::system::{SystemUser, own_uid};
use nix::unistd::{Group, User};
use qmail_lookup_config::{DaemonSettings, Right};
use qmail_lookup_core::Mailbox;
use std::collections::HashMap;
use std::fmt;
use std::os::fd::AsFd;
use tokio::net::UnixStream;

/// qmail's own users, and what they may ask.
const ROLES: [(&str, &[Right]); 2] = [("qmailp", &[Right::Getpw]), ("qmaild", &[Right::Rcpthosts, Right::Recipient])];

/// The process at the other end, as it was when it connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// 0 if it is in another pid namespace.
    pub(crate) pid: i32,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// If it does not say; then nobody is served.
    pub(crate) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let found = stream.peer_cred()?;
        Ok(Self { uid: found.uid(), gid: found.gid(), pid: found.pid().unwrap_or_default() })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} pid {}", self.uid, self.pid)
    }
}

/// The rights of one uid, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rights(u16);

impl Rights {
    fn bit(right: Right) -> u16 {
        1 << Right::ALL.iter().position(|&other| other == right).unwrap_or_default()
    }

    fn add(&mut self, right: Right) {
        self.0 |= Self::bit(right);
    }

    fn has(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    rights: HashMap<u32, Rights>,
    auth_gid: Option<u32>,
    own: u32,
    /// Names that are those of nobody here, in words.
    pub(crate) unresolved: Vec<String>,
}

impl Policy {
    /// Resolves the names. Asks the system, so not on the event loop.
    ///
    /// # Errors
    /// If the system does not say whose a name is, in words. That is not nobody: who is refused for it would be refused
    /// until the next HUP.
    pub(crate) fn of(daemon: &DaemonSettings) -> Result<Self, String> {
        let user = |name: &str| User::from_name(name).map(|found| found.map(|user| user.uid.as_raw()));
        let group = |name: &str| Group::from_name(name).map(|found| found.map(|group| group.gid.as_raw()));
        Self::with(daemon, own_uid(), user, group)
    }

    fn with<E: fmt::Display>(
        daemon: &DaemonSettings,
        own: u32,
        user: impl Fn(&str) -> Result<Option<u32>, E>,
        group: impl Fn(&str) -> Result<Option<u32>, E>,
    ) -> Result<Self, String> {
        let mut policy = Self { own, ..Self::default() };
        let mut resolve = |what: &str, found: Result<Option<u32>, E>| match found {
            Ok(Some(id)) => Ok(Some(id)),
            Ok(None) => {
                policy.unresolved.push(format!("there is no {what} here"));
                Ok(None)
            }
            Err(error) => Err(format!("{what} could not be looked up: {error}")),
        };
        let mut granted: Vec<(u32, Right)> = Vec::new();
        for (name, rights) in ROLES {
            if let Some(uid) = resolve(&format!("user {name}"), user(name))? {
                granted.extend(rights.iter().map(|&right| (uid, right)));
            }
        }
        for (name, rights) in &daemon.allow {
            if let Some(uid) = resolve(&format!("user {name} (daemon.allow)"), user(name))? {
                granted.extend(rights.iter().map(|&right| (uid, right)));
            }
        }
        if let Some(name) = &daemon.auth_group {
            policy.auth_gid = resolve(&format!("group {name} (daemon.auth_group)"), group(name))?;
        }
        for (uid, right) in granted {
            policy.rights.entry(uid).or_default().add(right);
        }
        Ok(policy)
    }

    /// True if `uid` has this right.
    pub(crate) fn may(&self, uid: u32, right: Right) -> bool {
        uid == 0 || self.rights.get(&uid).is_some_and(|rights| rights.has(right))
    }

    /// Whose share of the connections `uid` takes part in, logins apart.
    pub(crate) fn class(&self, uid: u32) -> Class {
        if uid != 0 && self.may(uid, Right::Getpw) {
            Class::Getpw
        } else if self.may_manage(uid) || self.may(uid, Right::Rcpthosts) {
            Class::Privileged
        } else {
            Class::Ordinary
        }
    }

    /// True for those who may empty caches, and say that a store is to be believed again.
    pub(crate) fn may_manage(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own
    }

    /// True if the process at the other end may log users in.
    pub(crate) fn may_login(&self, peer: Peer, stream: &UnixStream) -> bool {
        peer.uid == 0
            || self.auth_gid.is_some_and(|gid| {
                peer.gid == gid || crate::sys::peer_groups(stream.as_fd()).is_ok_and(|groups| groups.contains(&gid))
            })
    }

    /// The group that the sockets for logins belong to.
    pub(crate) fn auth_gid(&self) -> Option<u32> {
        self.auth_gid
    }
}

/// True if `uid` may ask how mail of a user is delivered. `mailbox` is the user's row; `system` its record in the
/// system, and counts only if there is no row, or if it is the alias user's.
pub(crate) fn may_deliver(
    uid: u32,
    mailbox: Option<&Mailbox>,
    is_alias_user: bool,
    system: Option<&SystemUser>,
) -> bool {
    let by_row = mailbox.is_some_and(|mailbox| mailbox.uid == uid);
    let by_system = (mailbox.is_none() || is_alias_user) && system.is_some_and(|user| user.uid == uid);
    uid == 0 || by_row || by_system
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::{Username, mailbox::Standing};

    fn settings() -> DaemonSettings {
        DaemonSettings {
            allow: [
                ("postfix".to_owned(), vec![Right::VirtualMailbox]),
                ("qmailp".to_owned(), vec![Right::Userdb]),
                ("both".to_owned(), vec![Right::Mailbox]),
                ("gone".to_owned(), vec![Right::Getpw]),
            ]
            .into(),
            auth_group: Some("logins".to_owned()),
            ..DaemonSettings::default()
        }
    }

    fn user(name: &str) -> Option<u32> {
        match name {
            "qmailp" => Some(71),
            "qmaild" | "both" => Some(72),
            "postfix" => Some(73),
            _ => None,
        }
    }

    fn policy(own: u32) -> Policy {
        Policy::with(&settings(), own, |name| Ok::<_, String>(user(name)), |_| Ok(None)).unwrap()
    }

    #[test]
    fn a_name_that_the_system_does_not_tell_about_is_not_nobodys() {
        for broken in ["user qmailp", "user qmaild", "user gone (daemon.allow)", "group logins (daemon.auth_group)"] {
            let answer = |kind: &str, name: &str, found| {
                if broken.starts_with(&format!("{kind} {name}")) { Err("no answer") } else { Ok(found) }
            };
            let told = Policy::with(
                &settings(),
                80,
                |name| answer("user", name, user(name)),
                |name| answer("group", name, Some(90)),
            );
            assert_eq!(told.map(|_| ()), Err(format!("{broken} could not be looked up: no answer")));
        }
    }

    #[test]
    fn nobody_may_ask_but_by_a_role_and_roles_add_up() {
        let policy = policy(80);
        let granted = [
            (71, vec![Right::Getpw, Right::Userdb]),
            (72, vec![Right::Rcpthosts, Right::Recipient, Right::Mailbox]),
            (73, vec![Right::VirtualMailbox]),
            (80, vec![]),
            (1000, vec![]),
            (0, Right::ALL.to_vec()),
        ];
        for (uid, rights) in granted {
            let has: Vec<_> = Right::ALL.into_iter().filter(|&right| policy.may(uid, right)).collect();
            assert_eq!(has, rights, "{uid}");
        }
        assert_eq!(
            policy.unresolved,
            ["there is no user gone (daemon.allow) here", "there is no group logins (daemon.auth_group) here"]
        );
    }

    #[test]
    fn shares_are_kept_for_qmail_and_only_the_owner_manages() {
        let policy = policy(80);
        for (uid, privileged, manages) in [(0, true, true), (80, true, true), (71, true, false), (73, false, false)] {
            let has_share = policy.class(uid) != Class::Ordinary;
            assert_eq!((has_share, policy.may_manage(uid)), (privileged, manages), "{uid}");
        }
    }

    #[test]
    fn delivery_is_told_to_the_user_it_is_about() {
        let mailbox = |uid| Mailbox {
            username: Username::new(b"bob").unwrap(),
            uid,
            gid: 100,
            home: b"/h".to_vec(),
            standing: Standing::Active,
        };
        let system = |uid| SystemUser { name: b"bob".to_vec(), uid, gid: 100, home: b"/h".to_vec() };
        let may = |row: Option<u32>, is_alias, uid: Option<u32>| {
            may_deliver(500, row.map(mailbox).as_ref(), is_alias, uid.map(system).as_ref())
        };
        assert!(may(Some(500), false, None));
        assert!(!may(Some(501), false, Some(500)), "a row hides the system user of that name");
        assert!(may(Some(501), true, Some(500)), "but not the alias user");
        assert!(may(None, false, Some(500)));
        assert!(!may(None, false, Some(501)));
        assert!(!may(None, false, None) && !may(None, true, None));
        assert!(may_deliver(0, None, false, None), "root");
    }
}
