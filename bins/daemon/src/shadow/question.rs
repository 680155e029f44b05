//! What is put to both stores: the question as it came, or for a login whose mailbox it means.

use super::Told;
use crate::answer::{self, Ground};
use crate::auth::mailbox_of;
use crate::daemon::shown;
use crate::deliver;
use crate::question::Name;
use qmail_lookup_core::wire::deliver::decode_question;
use qmail_lookup_core::{Deadline, LookupError};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Of the lookup socket.
    Lookup(Name),
    /// A login's mailbox.
    Userdb,
    /// A login that was let in, compared as the mailbox that it means; its password never comes here.
    Login,
}

impl Question {
    /// As in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lookup(name) => name.as_str(),
            Self::Userdb => "userdb",
            Self::Login => "auth1",
        }
    }

    /// True if the key is a name as somebody has typed it to log in.
    pub(super) fn is_typed(self) -> bool {
        matches!(self, Self::Userdb | Self::Login)
    }

    /// The key for the log.
    pub(super) fn shown(self, key: &[u8]) -> String {
        match (self, decode_question(key)) {
            (Self::Lookup(Name::Deliver), Ok(asked)) => shown(&[&asked.local[..], b"@", &asked.domain].concat()),
            _ => shown(key),
        }
    }

    /// What is told of it where `ground` is.
    pub(super) async fn ask(self, ground: &Ground<'_>, key: &[u8], by: Deadline) -> Result<Told, LookupError> {
        match self {
            Self::Lookup(Name::Deliver) => Ok(Told::said(Name::Deliver, &deliver::found(ground, key, by).await?)),
            Self::Lookup(name) => Ok(Told::said(name, &answer::found(ground, name, key, by).await?)),
            Self::Userdb | Self::Login => {
                let found = mailbox_of(ground.lookup, &ground.state.config.auth, key, by).await?;
                Ok(found.map_or_else(Told::nothing, |mailbox| Told::mailbox(self == Self::Login, &mailbox)))
            }
        }
    }
}
