//! `[daemon.allow]`: what users of this machine may ask, besides what they may ask anyway.
//!
//! Names of users are resolved when the daemon starts. Whether a process may ask for the delivery instructions of a
//! mailbox is not among the rights: it depends on the mailbox. Only for users who are nobody's it can be given.

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A kind of question that a user may be allowed to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// The mailbox of a local part, as qmail-getpw asks.
    Getpw,
    /// Is mail for this host accepted?
    Rcpthosts,
    /// Is mail for this address accepted?
    Recipient,
    /// Owner and extension of an address of a virtual host.
    Virtual,
    /// Uid, gid and home of a mailbox, as text.
    Mailbox,
    /// Postfix's `virtual_mailbox_maps`.
    VirtualMailbox,
    /// Postfix's `virtual_alias_maps`.
    VirtualAlias,
    /// Postfix's `virtual_uid_maps`.
    VirtualUid,
    /// Postfix's `virtual_gid_maps`.
    VirtualGid,
    /// Uid, gid and home of a login, without its password; asked at the auth socket.
    Userdb,
    /// How mail is delivered for users of users/assign who are neither mailbox nor system user and have no rows: by their
    /// files. Without it such mail waits.
    DeliverFiles,
}

/// As [`Right::as_str`], in the order of [`Right::ALL`].
const NAMES: &[&str] = &[
    "getpw",
    "rcpthosts",
    "recipient",
    "virtual",
    "mailbox",
    "virtual_mailbox",
    "virtual_alias",
    "virtual_uid",
    "virtual_gid",
    "userdb",
    "deliver_files",
];

impl Right {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Getpw,
        Self::Rcpthosts,
        Self::Recipient,
        Self::Virtual,
        Self::Mailbox,
        Self::VirtualMailbox,
        Self::VirtualAlias,
        Self::VirtualUid,
        Self::VirtualGid,
        Self::Userdb,
        Self::DeliverFiles,
    ];

    /// Its name in the configuration: that of the question on the socket, as far as it is the right to ask one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Getpw => "getpw",
            Self::Rcpthosts => "rcpthosts",
            Self::Recipient => "recipient",
            Self::Virtual => "virtual",
            Self::Mailbox => "mailbox",
            Self::VirtualMailbox => "virtual_mailbox",
            Self::VirtualAlias => "virtual_alias",
            Self::VirtualUid => "virtual_uid",
            Self::VirtualGid => "virtual_gid",
            Self::Userdb => "userdb",
            Self::DeliverFiles => "deliver_files",
        }
    }

    /// The right of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Right {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Right;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a question in quotes, such as \"recipient\"")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Right, E> {
                if name == "deliver" {
                    return Err(E::custom(
                        "only the user of a mailbox may ask deliver; for users of users/assign who are none there is deliver_files",
                    ));
                }
                Right::named(name).ok_or_else(|| E::unknown_variant(name, NAMES))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Reads the table. A list that is none is refused in words, not in those of the reader.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<Right>>, D::Error> {
    let table = BTreeMap::<String, Rights>::deserialize(deserializer)?;
    Ok(table.into_iter().map(|(user, Rights(rights))| (user, rights)).collect())
}

struct Rights(Vec<Right>);

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Rights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of questions, such as [\"virtual_mailbox\", \"recipient\"]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rights, A::Error> {
                let mut rights = Vec::new();
                while let Some(right) = list.next_element()? {
                    if !rights.contains(&right) {
                        rights.push(right);
                    }
                }
                Ok(Rights(rights))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_has_one_name_and_is_found_by_it() {
        assert_eq!(NAMES, Right::ALL.map(Right::as_str));
        for right in Right::ALL {
            assert_eq!(Right::named(right.as_str()), Some(right));
        }
        for name in ["deliver", "auth1", "flush", "Getpw", ""] {
            assert_eq!(Right::named(name), None, "{name}");
        }
    }
}
