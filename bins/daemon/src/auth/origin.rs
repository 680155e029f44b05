//! Where an attempt comes from, for sharing places and slots, and for counting failures.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};

/// Longest service name that is told apart from others. Unit: bytes.
const SERVICE_MAX: usize = 32;

/// Who shares one line for places and slots and, if it is an address, one count of failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// One IPv6 /64, which is what a single customer is given.
    V6([u16; 4]),
    /// No usable address was told, as with CVM: one account of this service, as a keyed hash of what was typed.
    Account(Vec<u8>, u64),
}

/// Who shares one turn at the slots: an address, or all accounts of a service together. Otherwise who can leave out his
/// address would have as many turns as he can think of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// One address.
    Address(Origin),
    /// One service without addresses.
    Service(Vec<u8>),
}

impl Origin {
    /// Reads what the client told. A zone (`%eth0`) is no part of an address. People type passwords for logins, so
    /// those are kept under `key` only.
    pub(super) fn of(remote: &[u8], service: &[u8], login: &[u8], key: &RandomState) -> Self {
        let digits = remote.split(|&b| b == b'%').next().unwrap_or_default();
        match std::str::from_utf8(digits).ok().and_then(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
        {
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            None => {
                let service = service.iter().copied().take(SERVICE_MAX).collect();
                Self::Account(service, key.hash_one(login.to_ascii_lowercase()))
            }
        }
    }

    /// True if it is an address, and not whoever types this name.
    pub(super) fn is_address(&self) -> bool {
        !matches!(self, Self::Account(..))
    }

    /// See [`Group`].
    pub(super) fn group(&self) -> Group {
        match self {
            Self::Account(service, _) => Group::Service(service.clone()),
            address => Group::Address(address.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_v4_or_a_64_and_else_an_account_of_the_service_counts() {
        let key = RandomState::new();
        let of = |remote: &str, login: &str| Origin::of(remote.as_bytes(), b"pop3", login.as_bytes(), &key);
        assert_eq!(of("192.0.2.1", "iain"), of("::ffff:192.0.2.1", "bob"));
        assert_ne!(of("192.0.2.1", ""), of("192.0.2.2", ""));
        assert_eq!(of("2001:db8:1:2::1", ""), of("2001:db8:1:2:ffff:ffff:ffff:ffff", ""));
        assert_eq!(of("fe80::1%eth0", ""), of("fe80::2", ""));
        assert_ne!(of("2001:db8:1:2::1", ""), of("2001:db8:1:3::1", ""));
        assert_eq!(of("192.0.2.1", "").group(), Group::Address(of("192.0.2.1", "")));
        for none in ["", "unknown", "192.0.2", "192.0.2.1 ", "%eth0", "host.example"] {
            let origin = of(none, "iain");
            assert!(!origin.is_address(), "{none}");
            assert_eq!(origin, of("", "Iain"));
            assert_ne!(origin, of("", "bob"));
            assert_eq!(origin.group(), of("", "bob").group());
        }
        let other = Origin::of(b"\xff", &[b's'; 500], b"iain", &key);
        assert_eq!(other.group(), Group::Service(vec![b's'; SERVICE_MAX]));
    }
}
