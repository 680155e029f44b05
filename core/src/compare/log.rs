//! Recipients of a log of qmail-send.

use super::keys::Key;
use crate::virtuals::Queued;

/// The questions about the recipient of a line, none if it is not about the beginning of a delivery. Whatever stands in
/// front of the words is taken for a time stamp: tai64n, tai64nlocal, splogger's and syslog's, or none.
///
/// qmail-send writes `?` for bytes that are not printable; such a recipient is asked about as it is written.
#[must_use]
pub fn of_log_line(line: &[u8]) -> Vec<Key> {
    recipient(line).unwrap_or_default()
}

fn recipient(line: &[u8]) -> Option<Vec<Key>> {
    const BEGINS: &[u8] = b"starting delivery ";
    let line = line.trim_ascii_end();
    let starts = line.windows(BEGINS.len()).position(|part| part == BEGINS)?;
    let is_word = starts == 0 || line.get(starts - 1).is_some_and(u8::is_ascii_whitespace);
    let rest = line.get(starts + BEGINS.len()..).filter(|_| is_word)?;
    let rest = without_number(rest)?.strip_prefix(b": msg ")?;
    let rest = without_number(rest)?.strip_prefix(b" to ")?;
    let (is_local, recipient) = match (rest.strip_prefix(b"local "), rest.strip_prefix(b"remote ")) {
        (Some(local), _) => (true, local),
        (None, remote) => (false, remote?),
    };
    // No recipient in a log holds a blank.
    let is_recipient = !recipient.is_empty() && !recipient.iter().any(u8::is_ascii_whitespace);
    let at = recipient.iter().rposition(|&b| b == b'@').filter(|_| is_recipient)?;
    if !is_local {
        return Some(vec![Key::Address(recipient.to_vec())]);
    }
    let (local, host) = (recipient.get(..at)?, recipient.get(at + 1..)?);
    let mut keys = vec![Key::Local(local.to_vec())];
    match Queued::of(local, host) {
        Queued::Virtual(encoded) => keys.push(Key::Address([encoded.user, b"@", host].concat())),
        // The old patch's qmail-send does not encode the recipients of virtual hosts.
        Queued::Plain => keys.push(Key::Address(recipient.to_vec())),
        Queued::Forged => {}
    }
    Some(keys)
}

fn without_number(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.get(digits..).filter(|_| digits > 0)
}
