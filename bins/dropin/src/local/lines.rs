//! The lines that go before a message.

use super::clock;
use super::quote;
use super::recipient::Recipient;
use std::time::SystemTime;

/// Each with its newline, which is the only one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// `From SENDER Sun Nov 22 07:13:18 2026`, in UTC.
    pub from: Vec<u8>,
    /// `Return-Path: <SENDER>`.
    pub return_path: Vec<u8>,
    /// `Delivered-To: LOCAL@DOMAIN`.
    pub delivered_to: Vec<u8>,
}

impl Lines {
    /// The lines of a delivery at `now`.
    #[must_use]
    pub fn of(recipient: &Recipient, now: SystemTime) -> Self {
        let sender = &recipient.sender[..];
        let from = if sender.is_empty() { b"MAILER-DAEMON" } else { sender };
        let from = replaced(from.to_vec(), b" \t\n", b'-');
        let return_path = replaced(quote::address(sender), b"\n", b'_');
        let delivered_to = replaced(recipient.address(), b"\n", b'_');
        Self {
            from: [b"From ", &from[..], b" ", clock::date(now).as_bytes(), b"\n"].concat(),
            return_path: [b"Return-Path: <", &return_path[..], b">\n"].concat(),
            delivered_to: [b"Delivered-To: ", &delivered_to[..], b"\n"].concat(),
        }
    }
}

/// `text` with `by` in place of each byte that is one of `bytes`.
fn replaced(mut text: Vec<u8>, bytes: &[u8], by: u8) -> Vec<u8> {
    for byte in &mut text {
        if bytes.contains(byte) {
            *byte = by;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn of(sender: &str, local: &str, domain: &str) -> [String; 3] {
        let recipient = Recipient {
            user: b"joe".to_vec(),
            home: b"/home/joe".to_vec(),
            local: local.into(),
            dash: Vec::new(),
            ext: Vec::new(),
            domain: domain.into(),
            sender: sender.into(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_795_331_598);
        let Lines { from, return_path, delivered_to } = Lines::of(&recipient, now);
        [from, return_path, delivered_to].map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn lines_name_sender_date_and_recipient() {
        for (sender, from, return_path) in [
            ("send@er.test", "send@er.test", "send@er.test"),
            ("", "MAILER-DAEMON", ""),
            ("#@[]", "#@[]", "#@[]"),
            ("justlocal", "justlocal", "justlocal"),
            ("a b\tc@x.test", "a-b-c@x.test", "\"a b\tc\"@x.test"),
            ("a\nb@x\ny", "a-b@x-y", "\"a\\_b\"@x_y"),
        ] {
            assert_eq!(
                of(sender, "joe", "host.test"),
                [
                    format!("From {from} Sun Nov 22 07:13:18 2026\n"),
                    format!("Return-Path: <{return_path}>\n"),
                    "Delivered-To: joe@host.test\n".to_owned(),
                ]
            );
        }
    }

    #[test]
    fn the_recipient_is_not_quoted_but_stays_on_its_line() {
        let [_, _, delivered_to] = of("", "jo e\"", "Host.TEST");
        assert_eq!(delivered_to, "Delivered-To: jo e\"@Host.TEST\n");
        let [_, _, delivered_to] = of("", "a\nb\n", "x\ny");
        assert_eq!(delivered_to, "Delivered-To: a_b_@x_y\n");
    }
}
