//! Every number of this crate, with its unit and where it comes from.

/// Longest mailbox name, virtual user part or alias owner. Unit: bytes. Source: rule K1.
pub const USERNAME_MAX: usize = 128;

/// Longest extension, alias or host. Unit: bytes. Source: rule K1.
pub const EXT_MAX: usize = 255;

/// Break characters after which a shorter prefix is still tried, counted from the left. Source: rule G1.
pub const BREAKS_MAX: usize = 16;

/// Largest uid or gid a row may name; 2^32-1 means "no change" to the kernel. Source: rule K3.
pub const ID_MAX: u64 = 0xFFFF_FFFE;

/// Longest answer of qmail-getpw, NULs included. Unit: bytes.
/// Each field becomes an argument of qmail-local; Linux refuses one above 128 KiB and qmail then bounces.
pub const SIX_FIELDS_MAX: usize = 100_000;

/// Most keys in one statement. Source: the layers' contract (a coalesced statement holds at most this many).
pub const KEYS_PER_STATEMENT: usize = 64;
