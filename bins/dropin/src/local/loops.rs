//! Mail that comes back.

use super::message::{self, Message};
use super::report::{Ending, Outcome};
use std::io::{ErrorKind, Read, Result};

/// So many lines in a header that machines on the way have left are a loop. Source: qmail-smtpd's limit.
pub const HOPS_MAX: usize = 100;

/// How lines begin that machines on the way leave.
const HOPS: [&[u8]; 2] = [b"received:", b"delivered-to:"];

/// How much of a line is kept to see how it begins: the longest of [`HOPS`].
const BEGINNING: usize = 13;

/// Looks through the header for `delivered_to`, a whole line. Gives the number of lines that machines on the way have
/// left: Received and Delivered-To.
///
/// # Errors
/// A bounce if the line is there; a deferral if the message cannot be read.
pub fn check(message: &Message, delivered_to: &[u8]) -> Outcome<usize> {
    match look(&mut message.reader()?, delivered_to) {
        Ok(Header::New { hops }) => Ok(hops),
        Ok(Header::Known) => {
            Err(Ending::bounce(&[b"This message is looping: it already has my Delivered-To line. (#5.4.6)"]))
        }
        Err(error) => Err(message::unread(&error)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// The line is in it.
    Known,
    /// The line is not in it.
    New { hops: usize },
}

/// The line that is being read, as far as it matters.
#[derive(Default)]
struct Line {
    length: usize,
    beginning: Vec<u8>,
    differs: bool,
}

impl Line {
    fn add(&mut self, part: &[u8], delivered_to: &[u8]) {
        let end = self.length.saturating_add(part.len());
        self.differs |= delivered_to.get(self.length..end) != Some(part);
        self.beginning.extend(part.iter().take(BEGINNING.saturating_sub(self.beginning.len())));
        self.length = end;
    }

    fn is_hop(&self) -> bool {
        HOPS.iter().any(|hop| self.beginning.get(..hop.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(hop)))
    }
}

/// Reads up to the first empty line, and what comes with it. The last line counts as a hop, but not as `delivered_to`,
/// if it has no end.
fn look(stream: &mut impl Read, delivered_to: &[u8]) -> Result<Header> {
    let mut chunk = [0; 16 * 1024];
    let (mut line, mut hops) = (Line::default(), 0_usize);
    loop {
        let chunk = match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => chunk.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            line.add(part, delivered_to);
            if !part.ends_with(b"\n") {
                continue;
            }
            if line.length <= 1 {
                return Ok(Header::New { hops });
            }
            if line.length == delivered_to.len() && !line.differs {
                return Ok(Header::Known);
            }
            hops = hops.saturating_add(usize::from(line.is_hop()));
            line = Line::default();
        }
    }
    Ok(Header::New { hops: hops.saturating_add(usize::from(line.is_hop())) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    const MINE: &[u8] = b"Delivered-To: joe@host.test\n";
    const MESSAGE: &str = "From: a@b.example\nTo: joe@host.test\nSubject: golden\n\nline one\nline two\n";

    /// Gives a few bytes at a time, and an interruption before each.
    struct Slow<'a> {
        rest: &'a [u8],
        step: usize,
        interrupted: bool,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            let step = self.step.min(into.len());
            self.rest.by_ref().take(u64::try_from(step).unwrap()).read(into)
        }
    }

    /// The same whatever the pieces are that the message comes in.
    fn of(message: &str) -> Header {
        let found = look(&mut message.as_bytes(), MINE).unwrap();
        for step in 1..40 {
            let mut slow = Slow { rest: message.as_bytes(), step, interrupted: false };
            assert_eq!(look(&mut slow, MINE).unwrap(), found, "{message:?} in steps of {step}");
        }
        found
    }

    #[test]
    fn my_line_in_the_header_is_found() {
        for message in [
            format!("Delivered-To: joe@host.test\n{MESSAGE}"),
            "From: a@b.example\nSubject: golden\nDelivered-To: joe@host.test\n\nline one\n".to_owned(),
            "Delivered-To: joe@host.test\n".to_owned(),
            format!("{}Delivered-To: joe@host.test\n", "Received: x\n".repeat(HOPS_MAX + 1)),
        ] {
            assert_eq!(of(&message), Header::Known, "{message:?}");
        }
    }

    #[test]
    fn anything_else_is_not_my_line() {
        for (message, hops) in [
            (MESSAGE.to_owned(), 0),
            (String::new(), 0),
            ("\n".to_owned(), 0),
            (format!("{MESSAGE}Delivered-To: joe@host.test\n"), 0),
            ("\nDelivered-To: joe@host.test\n".to_owned(), 0),
            (format!("Delivered-To: joe@host.test \n{MESSAGE}"), 1),
            (format!("Delivered-To: joe@host.test\r\n{MESSAGE}"), 1),
            (format!(" Delivered-To: joe@host.test\n{MESSAGE}"), 0),
            (format!("Delivered-To: joe@host.testx\n{MESSAGE}"), 1),
            (format!("Delivered-To: joe@host.tes\n{MESSAGE}"), 1),
            (format!("Delivered-To: Joe@host.test\n{MESSAGE}"), 1),
            (format!("delivered-to: joe@host.test\n{MESSAGE}"), 1),
            (format!("Delivered-To: joe@host.test\0\n{MESSAGE}"), 1),
            // A line without an end is none.
            ("Delivered-To: joe@host.test".to_owned(), 1),
        ] {
            assert_eq!(of(&message), Header::New { hops }, "{message:?}");
        }
    }

    #[test]
    fn hops_are_counted_in_the_header_only() {
        let header = "Received: from a\n\tby b\nRECEIVED:\nreceived: c\nX-Received: no\nReceived : no\nReceive\n\
                      Delivered-To: other@host.test\nDELIVERED-TO:\n\rReceived: no\n Received: no\nFrom: x\n";
        assert_eq!(of(&format!("{header}\nReceived: body\n")), Header::New { hops: 5 });
        assert_eq!(of(&format!("{header}Received:")), Header::New { hops: 6 });
        assert_eq!(of(&"Received: x\n".repeat(250)), Header::New { hops: 250 });
    }

    #[test]
    fn of_a_line_without_end_only_the_beginning_is_kept() {
        let length = 50 * 1024 * 1024;
        let mut long =
            (&b"Received:"[..]).chain(std::io::repeat(b'x').take(length)).chain(&b"\nReceived: y\n"[..]).chain(MINE);
        assert_eq!(look(&mut long, MINE).unwrap(), Header::Known);
        let mut line = Line::default();
        for _ in 0..1000 {
            line.add(&[b'x'; 1000], MINE);
        }
        assert_eq!((line.length, line.beginning.capacity() < 100), (1_000_000, true));
        assert!(HOPS.iter().all(|hop| hop.len() <= BEGINNING));
    }

    #[test]
    fn a_message_that_cannot_be_read_is_not_new() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> Result<usize> {
                Err(Error::from_raw_os_error(libc::EIO))
            }
        }
        let error = look(&mut b"Subject: x\n".chain(Broken), MINE).unwrap_err();
        assert_eq!(message::unread(&error), Ending::defer(&[b"Unable to read message: input/output error. (#4.3.0)"]));
    }
}
