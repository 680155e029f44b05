//! Virtual hosts: rows, the encoding of their recipients, and the patterns of FUNKY QUERIES (rules V1, V2).
//! (`virtual` is a reserved word in Rust.)

use crate::key::Host;
use crate::mailbox::Cell;
#[cfg(feature = "resolver")]
use crate::{Deadline, LookupError, key::VirtualKey, rcpthosts::HostRow};

/// One row of table virtual, cells as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualRow {
    /// Owner: the mailbox that gets the mail.
    pub username: Cell,
    /// Extension under which the owner gets it; `@` stands for the user part as typed.
    pub ext: Cell,
    /// User part, or a pattern, or blank for the catch-all of plain mode.
    pub virtual_username: Cell,
    /// Host, or a suffix that begins with a dot.
    pub virtual_host: Cell,
}

/// True if `host` may stand in control/virtualdomains and in an encoded recipient (rule V1):
/// `\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*`.
#[must_use]
pub fn is_host_key(host: &[u8]) -> bool {
    let labels = host.strip_prefix(b".").unwrap_or(host);
    Host::new(host).is_some()
        && labels.split(|&b| b == b'.').all(|label| {
            !label.is_empty() && label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        })
}

/// A recipient of a virtual host as qmail-send writes it: `=HOST=-USER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// The key of control/virtualdomains that matched.
    pub host: Host,
    /// The user part as typed; may be empty and may hold any byte.
    pub user: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Reads `local`; `None` if it is not encoded. A host is only ever written in lower case, so another spelling
    /// was typed by somebody and is an ordinary local part.
    #[must_use]
    pub fn decode(local: &'a [u8]) -> Option<Self> {
        let rest = local.strip_prefix(b"=")?;
        let end = rest.iter().position(|&b| b == b'=')?;
        let (host, tail) = rest.split_at(end);
        let user = tail.strip_prefix(b"=-")?;
        is_host_key(host).then(|| Host::new(host)).flatten().map(|host| Self { host, user })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [b"=", self.host.as_bytes(), b"=-", self.user].concat()
    }

    /// True if mail for `domain` can have come by this key of control/virtualdomains.
    fn fits(&self, domain: &[u8]) -> bool {
        let (key, domain) = (self.host.as_bytes(), domain.to_ascii_lowercase());
        if key.starts_with(b".") { domain.ends_with(key) } else { domain == key }
    }
}

/// A recipient as qmail-local gets it: what its local part means beside its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued<'a> {
    /// An ordinary local part.
    Plain,
    /// A recipient of a virtual host.
    Virtual(Encoded<'a>),
    /// The encoding at a host that is not its own: somebody typed it. There is no such mailbox.
    Forged,
}

impl<'a> Queued<'a> {
    /// Reads `local`, in original case, and the domain that stands behind it in the queue.
    #[must_use]
    pub fn of(local: &'a [u8], domain: &[u8]) -> Self {
        match Encoded::decode(local) {
            None => Self::Plain,
            Some(encoded) if encoded.fits(domain) => Self::Virtual(encoded),
            Some(_) => Self::Forged,
        }
    }
}

/// True if `text` matches `pattern` as SQL's LIKE does with `\` as escape: `%` any bytes, `_` one byte, ASCII case
/// folded. A backslash at the very end stands for itself.
#[must_use]
pub fn like(pattern: &[u8], text: &[u8]) -> bool {
    // Greedy with one way back, to the latest %: linear in practice, never exponential.
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let (token, width) = token(pattern, p);
        let step = match (token, text.get(t)) {
            (Token::End, None) => return true,
            (Token::Any, _) => {
                back = Some((p + width, t));
                p += width;
                continue;
            }
            (Token::One, Some(_)) => true,
            (Token::Byte(want), Some(have)) => want.eq_ignore_ascii_case(have),
            (Token::End | Token::One | Token::Byte(_), _) => false,
        };
        if step {
            (p, t) = (p + width, t + 1);
            continue;
        }
        match back {
            Some((after, from)) if from < text.len() => {
                back = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Number of bytes in `pattern` that stand for themselves: the more, the more specific it is (rule V2).
#[must_use]
pub fn literal_bytes(pattern: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    loop {
        match token(pattern, at) {
            (Token::End, _) => return count,
            (Token::Byte(_), width) => (at, count) = (at + width, count + 1),
            (_, width) => at += width,
        }
    }
}

/// A pattern that matches the same as `pattern`: of two patterns that match the same texts, both have the same one, but
/// for what only a search through all texts could tell.
#[must_use]
pub fn normal_pattern(pattern: &[u8]) -> Vec<u8> {
    let (mut at, mut any, mut normal) = (0, false, Vec::with_capacity(pattern.len()));
    loop {
        let (token, width) = token(pattern, at);
        at += width;
        match token {
            Token::Any => any = true,
            // `%_` is `_%`.
            Token::One => normal.push(b'_'),
            Token::Byte(_) | Token::End => {
                normal.extend(std::mem::take(&mut any).then_some(b'%'));
                let Token::Byte(byte) = token else { return normal };
                normal.extend(matches!(byte, b'%' | b'_' | b'\\').then_some(b'\\'));
                normal.push(byte.to_ascii_lowercase());
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Token {
    Any,
    One,
    Byte(u8),
    End,
}

fn token(pattern: &[u8], at: usize) -> (Token, usize) {
    match (pattern.get(at), pattern.get(at + 1)) {
        (None, _) => (Token::End, 0),
        (Some(b'%'), _) => (Token::Any, 1),
        (Some(b'_'), _) => (Token::One, 1),
        (Some(b'\\'), Some(&escaped)) => (Token::Byte(escaped), 2),
        (Some(&byte), _) => (Token::Byte(byte), 1),
    }
}

/// Fetches rows of tables virtual and rcpthosts. It fetches only; the contract is that of
/// [`crate::MailboxResolver`], and further:
///
/// - A key with an empty user finds the rows whose virtual_username is blank and those where it is NULL.
/// - [`VirtualKey::Patterns`] finds every row of the host with `%` or `_` in virtual_username, blank or NULL, and no
///   matching is done here.
/// - [`VirtualKey::Any`] finds at least one row of the host if there is any.
#[cfg(feature = "resolver")]
#[async_trait::async_trait]
pub trait VirtualResolver: Send + Sync {
    /// Returns the rows of `keys`.
    ///
    /// # Errors
    /// Whenever it is not known which rows there are.
    async fn virtuals(&self, keys: &[VirtualKey], by: Deadline) -> Result<Vec<VirtualRow>, LookupError>;

    /// Returns the rows of `hosts` in table rcpthosts.
    ///
    /// # Errors
    /// Whenever it is not known which rows there are.
    async fn rcpthosts(&self, hosts: &[Host], by: Deadline) -> Result<Vec<HostRow>, LookupError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_only_what_sync_writes() {
        let decode = |s: &'static str| Encoded::decode(s.as_bytes()).map(|e| (e.host.to_string(), e.user.to_vec()));
        let some = |host: &str, user: &str| Some((host.to_owned(), user.as_bytes().to_vec()));
        assert_eq!(decode("=virtual.com=-Iain"), some("virtual.com", "Iain"));
        assert_eq!(decode("=.wild.test=-a=b-@c"), some(".wild.test", "a=b-@c"));
        assert_eq!(decode("=h=-"), some("h", ""));
        for plain in [
            "iain",
            "=",
            "==-x",
            "=h=x",
            "=h-x",
            "=Virtual.com=-x",
            "=a..b=-x",
            "=a.=-x",
            "=..a=-x",
            "=a b=-x",
            "=a/b=-x",
        ] {
            assert_eq!(decode(plain), None, "{plain}");
        }
    }

    #[test]
    fn an_encoded_recipient_belongs_to_its_own_host() {
        let of = |local: &str, domain: &str| match Queued::of(local.as_bytes(), domain.as_bytes()) {
            Queued::Plain => "plain".to_owned(),
            Queued::Virtual(Encoded { user, .. }) => String::from_utf8(user.to_vec()).unwrap(),
            Queued::Forged => "forged".to_owned(),
        };
        assert_eq!(of("Iain", "mail.test"), "plain");
        assert_eq!(of("=virtual.com=-Iain", "Virtual.COM"), "Iain");
        assert_eq!(of("=virtual.com=-Iain", "mail.test"), "forged");
        assert_eq!(of("=virtual.com=-Iain", ""), "forged");
        assert_eq!(of("=.wild.test=-Iain", "a.Wild.test"), "Iain");
        assert_eq!(of("=.wild.test=-Iain", "wild.test"), "forged");
        assert_eq!(of("=.wild.test=-Iain", "notwild.test"), "forged");
    }

    #[test]
    fn like_is_sqls() {
        let yes = [
            ("%", ""),
            ("%", "x"),
            ("a%", "Abc"),
            ("%c", "abc"),
            ("a_c", "aXc"),
            ("a\\_c", "a_c"),
            ("%a%b%", "xxaybz"),
            ("a\\", "a\\"),
            ("", ""),
            ("\\%", "%"),
            ("%%_", "x"),
        ];
        let no = [("_", ""), ("a%", "ba"), ("a\\_c", "abc"), ("%ab", "aba"), ("", "x"), ("\\%", "x"), ("a_", "a")];
        for (pattern, text) in yes {
            assert!(like(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in no {
            assert!(!like(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert_eq!([literal_bytes(b"a\\_%_c"), literal_bytes(b"%"), literal_bytes(b"a\\")], [3, 0, 2]);
    }

    /// The definition, word by word: exponential, and plainly right.
    fn naive_like(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'%', rest @ ..] => (0..=text.len()).any(|skip| naive_like(rest, &text[skip..])),
            [b'_', rest @ ..] => !text.is_empty() && naive_like(rest, &text[1..]),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                text.first().is_some_and(|have| have.eq_ignore_ascii_case(byte)) && naive_like(rest, &text[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn like_agrees_with_its_definition(pattern in "[ab%_\\\\]{0,8}", text in "[abAB_]{0,8}") {
            prop_assert_eq!(like(pattern.as_bytes(), text.as_bytes()), naive_like(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn the_normal_form_matches_the_same(pattern in "[ab%_\\\\]{0,8}", text in "[abAB_%]{0,6}") {
            let normal = normal_pattern(pattern.as_bytes());
            prop_assert_eq!(like(pattern.as_bytes(), text.as_bytes()), like(&normal, text.as_bytes()));
            prop_assert_eq!(normal_pattern(&normal), normal);
        }

        #[test]
        fn what_is_encoded_is_decoded(host in "\\.?[a-z0-9_-]{1,5}(\\.[a-z]{1,3}){0,2}", user in proptest::collection::vec(any::<u8>(), 0..9)) {
            let encoded = Encoded { host: Host::new(host.as_bytes()).unwrap(), user: &user };
            let written = encoded.encode();
            prop_assert_eq!(Encoded::decode(&written), Some(encoded));
        }
    }
}
