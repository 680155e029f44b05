//! Where an attempt comes from, for sharing slots and counting failures.

use std::net::{IpAddr, Ipv4Addr};

/// Longest service name that is told apart from others. Unit: bytes.
const SERVICE_MAX: usize = 32;

/// Who shares one line for slots and, if it is an address, one count of failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// One IPv6 /64, which is what a single customer is given.
    V6([u16; 4]),
    /// No usable address was told: everybody who uses this service.
    Service(Vec<u8>),
}

impl Origin {
    /// Reads what the client told. A zone (`%eth0`) is no part of an address.
    pub(super) fn of(remote: &[u8], service: &[u8]) -> Self {
        let digits = remote.split(|&b| b == b'%').next().unwrap_or_default();
        match std::str::from_utf8(digits).ok().and_then(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
        {
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Service(service.iter().copied().take(SERVICE_MAX).collect()),
        }
    }

    /// True if it is an address, and not everybody.
    pub(super) fn is_address(&self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_v4_or_a_64_and_everything_else_is_the_service() {
        let of = |remote: &str| Origin::of(remote.as_bytes(), b"pop3");
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_eq!(of("fe80::1%eth0"), of("fe80::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        for none in ["", "unknown", "192.0.2", "192.0.2.1 ", "%eth0", "host.example"] {
            assert_eq!(of(none), Origin::Service(b"pop3".to_vec()), "{none}");
        }
        assert_eq!(Origin::of(b"\xff", &[b's'; 500]), Origin::Service(vec![b's'; SERVICE_MAX]));
    }
}
