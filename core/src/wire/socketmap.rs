//! The lookup socket's frames: Postfix's socketmap protocol (socketmap_table(5)), each content in one netstring.

use super::{Malformed, netstring};

/// Appends the frame that asks `key` of the map `name`.
pub fn write_question(out: &mut Vec<u8>, name: &str, key: &[u8]) {
    netstring::write_parts(out, &[name.as_bytes(), b" ", key]);
}

/// Splits a question's content into name and key.
///
/// # Errors
/// If there is no name, or no space after it.
pub fn question(content: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let end = content.iter().position(|&b| b == b' ').ok_or(Malformed("a question without a key"))?;
    match content.split_at(end) {
        ([], _) => Err(Malformed("a question without a name")),
        (name, key) => Ok((name, key.get(1..).unwrap_or_default())),
    }
}

/// An answer. Everything but `Ok` and `NotFound` means "don't know".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Found.
    Ok(&'a [u8]),
    /// Absent.
    NotFound,
    /// Not known; why.
    Temp(&'a [u8]),
    /// Not known in time; why.
    Timeout(&'a [u8]),
    /// The question makes no sense; why.
    Perm(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// Appends the frame.
    pub fn write(self, out: &mut Vec<u8>) {
        let (word, rest): (&[u8], &[u8]) = match self {
            Self::Ok(data) => (b"OK ", data),
            Self::NotFound => (b"NOTFOUND ", b""),
            Self::Temp(why) => (b"TEMP ", why),
            Self::Timeout(why) => (b"TIMEOUT ", why),
            Self::Perm(why) => (b"PERM ", why),
        };
        netstring::write_parts(out, &[word, rest]);
    }

    /// Reads an answer's content.
    ///
    /// # Errors
    /// On any other word, and on `NOTFOUND` with something behind it.
    pub fn read(content: &'a [u8]) -> Result<Self, Malformed> {
        let end = content.iter().position(|&b| b == b' ').ok_or(Malformed("an answer without a space"))?;
        let (word, rest) = content.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        match word {
            b"OK" => Ok(Self::Ok(rest)),
            b"NOTFOUND" if rest.is_empty() => Ok(Self::NotFound),
            b"TEMP" => Ok(Self::Temp(rest)),
            b"TIMEOUT" => Ok(Self::Timeout(rest)),
            b"PERM" => Ok(Self::Perm(rest)),
            _ => Err(Malformed("an answer with an unknown word")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_socketmaps() {
        let mut out = Vec::new();
        write_question(&mut out, "getpw", b"iain work");
        Reply::Ok(b"data").write(&mut out);
        Reply::NotFound.write(&mut out);
        assert_eq!(out, b"15:getpw iain work,7:OK data,9:NOTFOUND ,");
        assert_eq!(question(b"getpw iain work"), Ok((&b"getpw"[..], &b"iain work"[..])));
        assert_eq!(question(b"getpw "), Ok((&b"getpw"[..], &b""[..])));
        assert!(question(b"getpw").is_err() && question(b" x").is_err() && question(b"").is_err());
    }

    #[test]
    fn only_ok_and_notfound_are_answers() {
        assert_eq!(Reply::read(b"OK "), Ok(Reply::Ok(b"")));
        assert_eq!(Reply::read(b"NOTFOUND "), Ok(Reply::NotFound));
        assert_eq!(Reply::read(b"TEMP down"), Ok(Reply::Temp(b"down")));
        assert_eq!(Reply::read(b"TIMEOUT x"), Ok(Reply::Timeout(b"x")));
        assert_eq!(Reply::read(b"PERM x"), Ok(Reply::Perm(b"x")));
        for bad in ["", "OK", "NOTFOUND", "NOTFOUND x", "ok x", "OKAY x", " OK x", "NOTFOUND  "] {
            assert!(Reply::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
