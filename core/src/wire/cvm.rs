//! CVM version 2, the credential validation of mailfront and its kin: one request, one response, no frame around
//! either. `02 L random (tag len data)* 00` is answered by `code L random (tag len data)* 00`.

use super::Malformed;

/// Longest request or response. Unit: bytes. Source: the protocol.
pub const MAX: usize = 512;

/// Accepted.
pub const OK: u8 = 0;
/// Refused, or no such account.
pub const NO: u8 = 100;
/// It is not known. Everything but the two others means this.
pub const TEMPORARY: u8 = 1;
/// The request makes no sense; temporary, too.
pub const BAD_REQUEST: u8 = 2;

/// What was sent with a request. A credential that was not sent is `None`, which is not the same as an empty one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// To be sent back.
    pub random: &'a [u8],
    /// As typed.
    pub account: &'a [u8],
    /// As typed; empty if it was not sent.
    pub domain: &'a [u8],
    /// As typed.
    pub password: Option<&'a [u8]>,
    /// True if a challenge or the response to one was sent: somebody wants to log in without a password.
    pub challenged: bool,
    /// True if a secret was sent, be it an empty one: that is how a lookup is told from a login without a password.
    pub secret: bool,
}

/// Reads a request; `None` if more bytes have to come first.
///
/// # Errors
/// On another version, a field twice, no account, bytes behind the end, or more than [`MAX`] bytes.
pub fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    if bytes.len() > MAX {
        return Err(Malformed("a request of more than 512 bytes"));
    }
    let Some((&version, rest)) = bytes.split_first() else { return Ok(None) };
    if version != 2 {
        return Err(Malformed("another version of the protocol"));
    }
    let Some((random, mut rest)) = counted(rest) else { return more(bytes) };
    let (mut account, mut domain, mut password) = (None, None, None);
    let (mut challenged, mut secret) = (false, false);
    loop {
        let Some((&tag, tail)) = rest.split_first() else { return more(bytes) };
        if tag == 0 {
            if !tail.is_empty() {
                return Err(Malformed("bytes behind the end of a request"));
            }
            break;
        }
        let Some((data, tail)) = counted(tail) else { return more(bytes) };
        let slot = match tag {
            1 => Some(&mut account),
            2 => Some(&mut domain),
            3 => Some(&mut password),
            4 => {
                secret = true;
                None
            }
            5..=7 => {
                challenged = true;
                None
            }
            _ => None,
        };
        if let Some(slot) = slot
            && slot.replace(data).is_some()
        {
            return Err(Malformed("a credential twice"));
        }
        rest = tail;
    }
    let account = account.ok_or(Malformed("a request without an account"))?;
    Ok(Some(Request { random, account, domain: domain.unwrap_or_default(), password, challenged, secret }))
}

/// A request may still grow, unless it has reached its greatest length.
fn more(bytes: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    if bytes.len() == MAX { Err(Malformed("a request without an end")) } else { Ok(None) }
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(length.into())
}

/// The facts about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Mailbox name.
    pub user: &'a [u8],
    /// Uid of the mailbox.
    pub uid: u32,
    /// Gid of the mailbox.
    pub gid: u32,
    /// Home directory.
    pub home: &'a [u8],
    /// The domain as asked.
    pub domain: &'a [u8],
}

/// An account was found, or let in.
///
/// # Errors
/// If it does not fit into a response.
pub fn ok(random: &[u8], facts: &Facts<'_>) -> Result<Vec<u8>, Malformed> {
    let (uid, gid) = (facts.uid.to_string(), facts.gid.to_string());
    let fields = [(1, facts.user), (2, uid.as_bytes()), (3, gid.as_bytes()), (5, facts.home), (14, facts.domain)];
    response(OK, random, &fields)
}

/// Refused, or not found. `out_of_scope`: it is not ours to say, so that the next one is asked.
///
/// # Errors
/// If `random` is too long.
pub fn no(random: &[u8], out_of_scope: bool) -> Result<Vec<u8>, Malformed> {
    response(NO, random, &[(16, if out_of_scope { b"1" } else { b"0" })])
}

/// It is not known.
#[must_use]
pub fn temporary(code: u8, random: &[u8]) -> Vec<u8> {
    let code = if matches!(code, OK | NO) { TEMPORARY } else { code };
    response(code, random, &[]).unwrap_or_else(|_| vec![code, 0, 0])
}

fn response(code: u8, random: &[u8], fields: &[(u8, &[u8])]) -> Result<Vec<u8>, Malformed> {
    let mut out = vec![code];
    let mut counted = |tag: Option<u8>, data: &[u8]| {
        out.extend(tag);
        out.push(u8::try_from(data.len()).map_err(|_| Malformed("a fact of more than 255 bytes"))?);
        out.extend_from_slice(data);
        Ok(())
    };
    counted(None, random)?;
    for &(tag, data) in fields {
        counted(Some(tag), data)?;
    }
    out.push(0);
    if out.len() > MAX { Err(Malformed("a response of more than 512 bytes")) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as mailfront's smtpfront-qmail sends them for a recipient, and for a login.
    const LOOKUP: &[u8] = b"\x02\x00\x01\x04iain\x02\x0bvirtual.com\x04\x00\x00";
    const LOGIN: &[u8] = b"\x02\x00\x01\x04iain\x02\x09mail.test\x03\x06secret\x04\x00\x00";

    #[test]
    fn requests_are_read_and_the_password_is_there_or_not() {
        let lookup = request(LOOKUP).unwrap().unwrap();
        assert!(lookup.account == b"iain" && lookup.domain == b"virtual.com" && lookup.password.is_none());
        let login = request(LOGIN).unwrap().unwrap();
        assert!(login.domain == b"mail.test" && login.password == Some(b"secret"));
        let empty = request(b"\x02\x02xy\x01\x01a\x03\x00\x00").unwrap().unwrap();
        assert!(empty.password == Some(b"") && empty.random == b"xy", "empty is not the same as not sent");
        assert!(!lookup.challenged && !login.challenged && lookup.secret && !empty.secret);
        let apop = request(b"\x02\x00\x01\x01a\x05\x01c\x06\x01r\x07\x04apop\x00").unwrap().unwrap();
        assert!(apop.challenged && apop.password.is_none());
        for cut in 0..LOGIN.len() {
            assert!(request(&LOGIN[..cut]) == Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn anything_else_is_no_request() {
        let long = [&b"\x02\x00\x01\xff"[..], &[b'a'; 255], b"\x02\xff", &[b'a'; 255], b"\x00"].concat();
        for bad in [
            &b"\x01\x00\x01\x01a\x00"[..],
            b"\x02\x00\x00",
            b"\x02\x00\x01\x01a\x00x",
            b"\x02\x00\x01\x01a\x01\x01b\x00",
            b"\x02\x00\x03\x01a\x03\x01b\x01\x01a\x00",
            &long,
        ] {
            assert!(request(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn responses_are_as_the_protocol_has_them() {
        assert_eq!(no(b"", false).unwrap(), [100, 0, 16, 1, b'0', 0]);
        assert_eq!(no(b"r", true).unwrap(), [100, 1, b'r', 16, 1, b'1', 0]);
        assert_eq!(temporary(OK, b"")[0], TEMPORARY, "never an answer by mistake");
        let facts = Facts { user: b"iain", uid: 20001, gid: 7, home: b"/h", domain: b"" };
        assert_eq!(ok(b"", &facts).unwrap(), b"\x00\x00\x01\x04iain\x02\x0520001\x03\x017\x05\x02/h\x0e\x00\x00");
        assert!(ok(b"", &Facts { home: &[b'/'; 256], ..facts }).is_err());
    }
}
