//! What goes over the daemon's sockets: bytes in, bytes out, no I/O.
//!
//! | file | what |
//! |---|---|
//! | [`netstring`] | `LENGTH:BYTES,`: the frame of everything but CVM, and the fields inside |
//! | [`socketmap`] | the lookup socket: `NAME KEY`, and `OK`, `NOTFOUND`, `TEMP`, `TIMEOUT`, `PERM` |
//! | [`getpw`] | data of `getpw` |
//! | [`deliver`] | key and data of `deliver` |
//! | [`auth`] | questions and answers of the auth socket |
//! | [`cvm`] | CVM version 2, for mailfront and its kin |
//! | `export` | not a socket, but a file: the rows of the four tables |
//!
//! Reading is strict: what is short, long, unknown or of another version is [`Malformed`], and so no answer.

pub mod auth;
pub mod cvm;
pub mod deliver;
#[cfg(feature = "resolver")]
pub mod export;
pub mod getpw;
pub mod netstring;
pub mod socketmap;

use std::fmt;

/// The version of the data of `getpw` and `deliver`. Another one is not an answer.
pub const VERSION: &[u8] = b"1";

/// Longest content of a frame that asks. Unit: bytes. Source: ours; qmail-queue takes addresses of 1002 bytes, and
/// `deliver` carries two of them.
pub const QUESTION_MAX: usize = 8192;

/// Longest content of a frame that answers. Unit: bytes. Source: Postfix takes no longer one.
pub const ANSWER_MAX: usize = 100_000;

/// Bytes that are not what they should be. The text is about the form, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads a uid or gid: decimal digits, never 0, never the one that means "no change" to the kernel.
fn id(digits: &[u8]) -> Result<u32, Malformed> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    let number = digits.iter().filter(|_| plain).fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match u32::try_from(number) {
        Ok(id) if id > 0 && u64::from(id) <= crate::limits::ID_MAX => Ok(id),
        _ => Err(Malformed("not a uid or gid that mail may have")),
    }
}
