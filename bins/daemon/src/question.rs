//! The questions of the lookup socket by name.

use qmail_lookup_config::Right;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Getpw,
    /// Not a question: qmail-getpw says that it passed a mailbox over.
    Skipped,
    Deliver,
    Rcpthosts,
    Recipient,
    Virtual,
    Mailbox,
    VirtualMailbox,
    VirtualAlias,
    VirtualUid,
    VirtualGid,
}

impl Name {
    pub(crate) const ALL: [Self; 11] = [
        Self::Getpw,
        Self::Skipped,
        Self::Deliver,
        Self::Rcpthosts,
        Self::Recipient,
        Self::Virtual,
        Self::Mailbox,
        Self::VirtualMailbox,
        Self::VirtualAlias,
        Self::VirtualUid,
        Self::VirtualGid,
    ];

    /// As it stands in a frame.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Getpw => "getpw",
            Self::Skipped => "skipped",
            Self::Deliver => "deliver",
            Self::Rcpthosts => "rcpthosts",
            Self::Recipient => "recipient",
            Self::Virtual => "virtual",
            Self::Mailbox => "mailbox",
            Self::VirtualMailbox => "virtual_mailbox",
            Self::VirtualAlias => "virtual_alias",
            Self::VirtualUid => "virtual_uid",
            Self::VirtualGid => "virtual_gid",
        }
    }

    pub(crate) fn read(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().as_bytes() == name)
    }

    /// The right that it takes; `None` for `deliver`, where it depends on the mailbox.
    pub(crate) fn right(self) -> Option<Right> {
        Some(match self {
            Self::Getpw | Self::Skipped => Right::Getpw,
            Self::Deliver => return None,
            Self::Rcpthosts => Right::Rcpthosts,
            Self::Recipient => Right::Recipient,
            Self::Virtual => Right::Virtual,
            Self::Mailbox => Right::Mailbox,
            Self::VirtualMailbox => Right::VirtualMailbox,
            Self::VirtualAlias => Right::VirtualAlias,
            Self::VirtualUid => Right::VirtualUid,
            Self::VirtualGid => Right::VirtualGid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_rights() {
        for name in Name::ALL {
            assert_eq!(Name::read(name.as_str().as_bytes()), Some(name));
            match (name, name.right()) {
                (Name::Deliver, None) | (Name::Skipped, Some(Right::Getpw)) => {}
                (_, right) => assert_eq!(right.map(Right::as_str), Some(name.as_str())),
            }
        }
        for right in Right::ALL.into_iter().filter(|&right| !matches!(right, Right::Userdb | Right::DeliverFiles)) {
            assert!(Name::ALL.iter().any(|name| name.right() == Some(right)), "{right}");
        }
        assert_eq!(Name::read(b"userdb"), None, "asked at the auth socket only");
        assert_eq!(Name::read(b"GETPW"), None);
    }
}
