//! Sockets that the service manager made and passed on (sd_listen_fds(3)), by name: `lookup`, `auth`, `cvm-lookup`,
//! `cvm-auth`, `metrics`. Their files are its own: they are never changed nor removed here.

use crate::accept::Kind;
use crate::exit::Failure;
use nix::sys::socket::{AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt};
use qmail_lookup_core::error::printable;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// Those that are for clients.
const KINDS: [Kind; 4] = [Kind::Lookup, Kind::Auth, Kind::CvmLookup, Kind::CvmAuth];

/// The name of the socket for metrics.
const METRICS: &str = "metrics";

/// What was passed and not taken yet.
pub(crate) struct Inherited(Vec<(String, OwnedFd)>);

impl Inherited {
    /// Takes over what was passed to this process. To be called once.
    ///
    /// # Errors
    /// If the variables that tell of it make no sense, or a name means nothing here or stands there twice: whoever
    /// passed that socket waits for what comes to it, and another one in its place would be unknown to him.
    pub(crate) fn take_all() -> Result<Self, Failure> {
        let passed = sd_notify::listen_fds_with_names()
            .map_err(|error| Failure::usage(format!("the sockets of the service manager: {error}")))?;
        Self::of(passed.map(|(descriptor, name)| (name, crate::sys::adopt(descriptor))).collect())
    }

    fn of(passed: Vec<(String, OwnedFd)>) -> Result<Self, Failure> {
        let known = || KINDS.map(Kind::as_str).into_iter().chain([METRICS]);
        for (at, (name, _)) in passed.iter().enumerate() {
            if !known().any(|other| other == name) {
                let known: Vec<_> = known().collect();
                return Err(Failure::usage(format!(
                    "the service manager passed a socket of the name {}, which means nothing here; \
                     known are {} (FileDescriptorName= of the socket's unit)",
                    printable(name.as_bytes()),
                    known.join(", ")
                )));
            }
            if passed.iter().take(at).any(|(other, _)| other == name) {
                return Err(Failure::usage(format!("the service manager passed two sockets of the name {name}")));
            }
        }
        Ok(Self(passed))
    }

    /// The UNIX socket of that name, if one was passed.
    ///
    /// # Errors
    /// If what was passed is no listening UNIX stream socket.
    pub(crate) fn unix(&mut self, name: &str) -> Result<Option<UnixListener>, Failure> {
        match self.take(name)? {
            None => Ok(None),
            Some((socket, AddressFamily::Unix)) => Ok(Some(UnixListener::from(socket))),
            Some(_) => Err(Failure::usage(format!("the service manager's socket {name} is no UNIX socket"))),
        }
    }

    /// The socket for metrics, if one was passed.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn metrics(&mut self) -> Result<Option<Served>, Failure> {
        match self.take(METRICS)? {
            None => Ok(None),
            Some((socket, AddressFamily::Unix)) => Ok(Some(Served::Unix(UnixListener::from(socket)))),
            Some((socket, AddressFamily::Inet | AddressFamily::Inet6)) => {
                let listener = TcpListener::from(socket);
                let local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
                if local {
                    return Ok(Some(Served::Tcp(listener)));
                }
                Err(Failure::usage("the service manager's socket metrics can be reached from other machines"))
            }
            Some(_) => Err(Failure::usage("the service manager's socket metrics is of no known kind")),
        }
    }

    fn take(&mut self, name: &str) -> Result<Option<(OwnedFd, AddressFamily)>, Failure> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, socket) = self.0.swap_remove(at);
        let wrong = |what: &str| Failure::usage(format!("the service manager's socket {name} {what}"));
        let listens = getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false);
        let stream = getsockopt(&socket, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
        if !listens || !stream {
            return Err(wrong("is no listening stream socket"));
        }
        let address = getsockname::<SockaddrStorage>(socket.as_raw_fd()).map_err(|error| wrong(error.desc()))?;
        let family = address.family().ok_or_else(|| wrong("has no address family"))?;
        Ok(Some((socket, family)))
    }
}

/// Where metrics are served.
pub(crate) enum Served {
    Unix(UnixListener),
    Tcp(TcpListener),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use std::os::unix::net::UnixStream;

    fn passed(name: &str, socket: impl Into<OwnedFd>) -> Inherited {
        Inherited::of(vec![(name.to_owned(), socket.into())]).unwrap()
    }

    #[test]
    fn a_socket_is_taken_by_its_name_and_only_if_it_listens() {
        let folder = tempfile::tempdir().unwrap();
        let listener = || UnixListener::bind(tempfile::tempdir_in(folder.path()).unwrap().keep().join("s")).unwrap();
        let mut inherited = passed("lookup", listener());
        assert!(inherited.unix("auth").unwrap().is_none());
        assert!(inherited.unix("lookup").unwrap().is_some());
        assert!(inherited.unix("lookup").unwrap().is_none());
        let (one, _two) = UnixStream::pair().unwrap();
        assert!(passed("lookup", one).unix("lookup").is_err());
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(passed("lookup", tcp()).unix("lookup").is_err());
        assert!(matches!(passed("metrics", tcp()).metrics(), Ok(Some(Served::Tcp(_)))));
        assert!(matches!(passed("metrics", listener()).metrics(), Ok(Some(Served::Unix(_)))));
        assert!(passed("metrics", TcpListener::bind("0.0.0.0:0").unwrap()).metrics().is_err());
    }

    #[test]
    fn a_name_that_means_nothing_or_stands_twice_is_refused() {
        let refused = |names: &[&str]| {
            let socket = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
            let passed = names.iter().map(|name| ((*name).to_owned(), socket())).collect();
            Inherited::of(passed).err().map(|failure| (failure.exit, failure.text))
        };
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&["lookup", "auth", "cvm-lookup", "cvm-auth", "metrics"]), None);
        for names in [&["qmail-lookupd.socket"][..], &["lookup", "unknown"], &["lookup", "auth", "lookup"]] {
            let (exit, text) = refused(names).unwrap();
            assert_eq!(exit, Exit::Usage);
            assert!(text.contains(names[names.len() - 1]), "{text}");
        }
        let (_, text) = refused(&["x\ny"]).unwrap();
        assert!(text.contains("x\\x0ay") && text.contains("lookup, auth, cvm-lookup, cvm-auth, metrics"), "{text}");
    }
}
