//! The auth socket: one netstring each way, fields inside. One question per connection.

use super::{Malformed, netstring};

/// A question. Passwords cross this socket and no other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// May this login in with this password?
    Login {
        /// As typed.
        login: &'a [u8],
        /// As typed.
        password: &'a [u8],
        /// What the user wants to use, for the log: `qmail-pop3d`.
        service: &'a [u8],
        /// The client's address, for the log and for delays; empty if it is not known.
        remote: &'a [u8],
    },
    /// Whose mailbox is this? It grants nothing.
    Userdb {
        /// As typed.
        login: &'a [u8],
    },
    /// Forget cached answers.
    Flush,
    /// Believe the store again (rule K4).
    Trust,
}

impl<'a> Question<'a> {
    /// Appends the frame. `out` is the only place that a password is copied to.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Login { login, password, service, remote } => {
                netstring::write_list(out, &[b"auth1", login, password, service, remote]);
            }
            Self::Userdb { login } => netstring::write_list(out, &[b"userdb", login]),
            Self::Flush => netstring::write_list(out, &[b"flush"]),
            Self::Trust => netstring::write_list(out, &[b"trust"]),
        }
    }

    /// Reads a frame's content.
    ///
    /// # Errors
    /// On any other word or number of fields.
    pub fn read(content: &'a [u8]) -> Result<Self, Malformed> {
        match netstring::fields(content)?[..] {
            [b"auth1", login, password, service, remote] => Ok(Self::Login { login, password, service, remote }),
            [b"userdb", login] => Ok(Self::Userdb { login }),
            [b"flush"] => Ok(Self::Flush),
            [b"trust"] => Ok(Self::Trust),
            _ => Err(Malformed("an unknown question")),
        }
    }
}

/// An answer. Only `Ok` lets anybody in, and only `No` says that the password was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This mailbox.
    Ok(Account),
    /// Not acceptable, or for `userdb`: no such mailbox.
    No,
    /// No such mailbox, and the stock checkpassword is to be asked (rule P6).
    Stock,
    /// Not known; why.
    Temporary(Vec<u8>),
    /// `flush` and `trust`: done; what was done, in words.
    Done(Vec<u8>),
}

/// Who was let in, or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Mailbox name.
    pub user: Vec<u8>,
    /// Never 0.
    pub uid: u32,
    /// Never 0.
    pub gid: u32,
    /// Absolute path.
    pub home: Vec<u8>,
}

impl Reply {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let fields = match self {
            Self::Ok(Account { user, uid, gid, home }) => {
                netstring::list(&[b"ok", user, uid.to_string().as_bytes(), gid.to_string().as_bytes(), home])
            }
            Self::No => netstring::list(&[b"no"]),
            Self::Stock => netstring::list(&[b"stock"]),
            Self::Temporary(why) => netstring::list(&[b"temporary", why]),
            Self::Done(what) => netstring::list(&[b"done", what]),
        };
        netstring::write(out, &fields);
    }

    /// Reads a frame's content.
    ///
    /// # Errors
    /// On anything else, and on an account that could be root's.
    pub fn read(content: &[u8]) -> Result<Self, Malformed> {
        match netstring::fields(content)?[..] {
            [b"ok", user, uid, gid, home] => {
                if user.is_empty() || user.contains(&0) || home.first() != Some(&b'/') || home.contains(&0) {
                    return Err(Malformed("an account without a name or home"));
                }
                let (uid, gid) = (super::id(uid)?, super::id(gid)?);
                Ok(Self::Ok(Account { user: user.to_vec(), uid, gid, home: home.to_vec() }))
            }
            [b"no"] => Ok(Self::No),
            [b"stock"] => Ok(Self::Stock),
            [b"temporary", why] => Ok(Self::Temporary(why.to_vec())),
            [b"done", what] => Ok(Self::Done(what.to_vec())),
            _ => Err(Malformed("an unknown answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(frame: &[u8]) -> &[u8] {
        let (content, used) = netstring::read(frame, 10_000).unwrap().unwrap();
        assert_eq!(used, frame.len());
        content
    }

    #[test]
    fn questions_and_answers_come_back() {
        let login = Question::Login { login: b"a", password: b"b\0,", service: b"pop3", remote: b"::1" };
        for question in [login, Question::Userdb { login: b"" }, Question::Flush, Question::Trust] {
            let mut frame = Vec::new();
            question.write(&mut frame);
            assert!(Question::read(content(&frame)) == Ok(question));
        }
        let account = Account { user: b"iain".to_vec(), uid: 800, gid: 100, home: b"/h".to_vec() };
        let why = b"down".to_vec();
        for reply in [Reply::Ok(account), Reply::No, Reply::Stock, Reply::Temporary(why.clone()), Reply::Done(why)] {
            let mut frame = Vec::new();
            reply.write(&mut frame);
            assert_eq!(Reply::read(content(&frame)), Ok(reply));
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for bad in [&[&b"auth1"[..], b"a", b"b"][..], &[b"auth2", b"a", b"b", b"c", b"d"], &[b"flush", b""], &[]] {
            assert!(Question::read(&netstring::list(bad)).is_err());
        }
        for bad in [
            &[&b"ok"[..]][..],
            &[b"ok", b"iain", b"0", b"100", b"/h"],
            &[b"ok", b"iain", b"800", b"0", b"/h"],
            &[b"ok", b"iain", b"4294967295", b"100", b"/h"],
            &[b"ok", b"iain", b"+800", b"100", b"/h"],
            &[b"ok", b"", b"800", b"100", b"/h"],
            &[b"ok", b"iain", b"800", b"100", b"h"],
            &[b"no", b""],
            &[b"OK"],
        ] {
            assert!(Reply::read(&netstring::list(bad)).is_err(), "{bad:?}");
        }
    }
}
