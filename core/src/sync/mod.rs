//! Which lines qmail's control files should have, by the rows of the tables: rules V1, V7 and R1, and how hosts come and
//! go. Without any I/O.
//!
//! | what | room |
//! |---|---|
//! | a control file: the administrator's own lines, and one marked block | [`block`] |
//! | what the control files say today | [`around`] |
//! | which hosts of the tables are wanted, and why others are not | [`hosts`] |
//! | how a host goes: in two looks, rcpthosts first | [`gone`] |
//! | how much may come or go at once | [`limits`] |
//! | all of it together: which hosts stand in which block, and when | [`plan`] |
//! | when qmail-send is told to try everything again | [`outage`] |

pub mod around;
pub mod block;
pub mod gone;
pub mod hosts;
pub mod limits;
pub mod outage;
pub mod plan;

use crate::key::Host;
use crate::settings::RcpthostsOnly;
use std::fmt;
use std::time::Duration;

/// Longest host that can have its file in the safety net. Unit: bytes. Source: `.qmail-=HOST=-default` must be a file
/// name, 255 bytes at most.
pub const HOST_MAX: usize = 238;

/// What the administrator has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The only hosts of this machine; empty is all. `.suffix` is everything below it.
    pub only: Vec<Host>,
    /// Hosts of other machines.
    pub except: Vec<Host>,
    /// Hosts that are never written.
    pub deny: Vec<Host>,
    /// Whether rows of `.suffix` count.
    pub wildcards: bool,
    /// See [`RcpthostsOnly`].
    pub rcpthosts_only: RcpthostsOnly,
    /// Largest share of the hosts that may go at once. Unit: percent.
    pub shrink: u8,
    /// Most hosts that may come at once.
    pub grow: u32,
    /// How long a line of virtualdomains is kept for the queue's sake.
    pub removed_grace: Duration,
}

/// One of the two lists that are kept in step with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// control/virtualdomains: where qmail-send routes mail.
    Virtualdomains,
    /// control/rcpthosts and control/morercpthosts: what qmail-smtpd accepts mail for.
    Rcpthosts,
}

impl List {
    /// Name of its control file; for the second one that of the first of its two.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtualdomains => "virtualdomains",
            Self::Rcpthosts => "rcpthosts",
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// True if `host` is one of `these`, or below one that begins with a dot.
fn is_among(host: &Host, these: &[Host]) -> bool {
    let host = host.as_bytes();
    these.iter().map(Host::as_bytes).any(|one| host == one || (one.starts_with(b".") && host.ends_with(one)))
}
