//! Whom the mail is for, once the encoding of virtual recipients is gone (rules V1, V5).

use super::arguments::Arguments;
use super::report::{Ending, Outcome};
use qmail_lookup_core::rules::NO_MAILBOX;
use qmail_lookup_core::virtuals::Queued;

/// The names under which a message is delivered. Nobody outside ever sees an encoded local part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Whom mail is delivered as.
    pub user: Vec<u8>,
    /// Home directory.
    pub home: Vec<u8>,
    /// Local part as the sender wrote it.
    pub local: Vec<u8>,
    /// `-` or empty.
    pub dash: Vec<u8>,
    /// Extension, in original case.
    pub ext: Vec<u8>,
    /// Domain, as typed.
    pub domain: Vec<u8>,
    /// Envelope sender.
    pub sender: Vec<u8>,
}

impl Recipient {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A bounce if somebody typed the encoding at a host that is not its own.
    pub fn of(arguments: &Arguments) -> Outcome<Self> {
        let Arguments { user, home, local, dash, ext, domain, sender, .. } = arguments.clone();
        let (local, sender) = match Queued::of(&arguments.local, &domain) {
            Queued::Plain => (local, sender),
            Queued::Virtual(encoded) => {
                (encoded.user.to_vec(), without_encoding(sender, &local, encoded.user, &domain))
            }
            Queued::Forged => return Err(Ending::bounce(&[NO_MAILBOX.as_bytes()])),
        };
        Ok(Self { user, home, local, dash, ext, domain, sender })
    }

    /// `LOCAL@DOMAIN`.
    #[must_use]
    pub fn address(&self) -> Vec<u8> {
        [&self.local[..], b"@", &self.domain].concat()
    }
}

/// qmail-send writes the recipient as it stands in the queue into the sender of a list (VERP):
/// `list-LOCAL=DOMAIN@lists.test`.
fn without_encoding(sender: Vec<u8>, encoded: &[u8], user: &[u8], domain: &[u8]) -> Vec<u8> {
    let Some(at) = sender.iter().rposition(|&b| b == b'@') else { return sender };
    let (head, host) = sender.split_at(at);
    match head.strip_suffix(&[encoded, b"=", domain].concat()[..]) {
        Some(list) => [list, user, b"=", domain, host].concat(),
        None => sender,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(local: &str, domain: &str, sender: &str) -> Outcome<(String, String)> {
        let arguments = Arguments {
            print: false,
            user: b"iain".to_vec(),
            home: b"/home/iain".to_vec(),
            local: local.into(),
            dash: b"-".to_vec(),
            ext: b"work".to_vec(),
            domain: domain.into(),
            sender: sender.into(),
            alias_empty: b"./Mailbox".to_vec(),
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Recipient::of(&arguments).map(|who| (text(who.address()), text(who.sender)))
    }

    #[test]
    fn the_encoding_is_gone_from_recipient_and_sender() {
        let same = |local: &str, domain: &str, sender: &str| {
            assert_eq!(of(local, domain, sender), Ok((format!("{local}@{domain}"), sender.to_owned())));
        };
        same("iain-Work", "mail.test", "a@b.test");
        same("iain", "mail.test", "list-iain=mail.test@lists.test");
        let verp = "list-=v.com=-Who=V.com@lists.test";
        let plain = "list-Who=V.com@lists.test";
        assert_eq!(of("=v.com=-Who", "V.com", verp), Ok(("Who@V.com".into(), plain.into())));
        for sender in ["", "#@[]", "nohost", "x=v.com=-Other=V.com@lists.test", "=v.com=-Who@V.com"] {
            assert_eq!(of("=v.com=-Who", "V.com", sender), Ok(("Who@V.com".into(), sender.into())));
        }
        assert_eq!(of("=v.com=-", "v.com", ""), Ok(("@v.com".into(), String::new())));
        assert_eq!(of("=v.com=-Who", "mail.test", ""), Err(Ending::bounce(&[NO_MAILBOX.as_bytes()])));
    }
}
