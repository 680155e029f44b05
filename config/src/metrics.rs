//! `daemon.metrics`: where numbers about the daemon are told, never to the network.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A UNIX socket.
    Unix(PathBuf),
    /// A loopback address and port.
    Tcp(SocketAddr),
}

impl MetricsAddress {
    /// Reads `unix:/path`, or a loopback address with its port.
    ///
    /// # Errors
    /// On everything else, in words. Whether a socket can have that path is not judged here.
    fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected \"unix:/path\", \"127.0.0.1:PORT\" or \"[::1]:PORT\"";
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let Ok(address) = text.parse::<SocketAddr>() else { return Err(format!("`{text}` is no address; {EXPECTED}")) };
        if !address.ip().is_loopback() {
            return Err(format!("`{text}` would show the mail system's inner life to the network; {EXPECTED}"));
        }
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for MetricsAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = MetricsAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address in quotes, such as \"unix:/path\" or \"127.0.0.1:9199\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MetricsAddress, E> {
                MetricsAddress::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_this_machine_is_an_address() {
        for text in ["unix:/run/m.sock", "127.0.0.1:9199", "127.9.9.9:1", "[::1]:9199"] {
            assert_eq!(MetricsAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["0.0.0.0:9199", "[::]:9199", "192.0.2.1:9199", "[::ffff:192.0.2.1]:9199", "[fe80::1]:9199"] {
            let problem = MetricsAddress::parse(text).unwrap_err();
            assert!(problem.starts_with(&format!("`{text}` would show")), "{problem}");
        }
        for text in ["", "9199", "127.0.0.1", "localhost:9199", "::1:9199", "127.0.0.1:70000", "/run/m.sock", "off"] {
            let problem = MetricsAddress::parse(text).unwrap_err();
            assert!(problem.starts_with(&format!("`{text}` is no address; expected \"unix:/path\"")), "{problem}");
        }
    }
}
