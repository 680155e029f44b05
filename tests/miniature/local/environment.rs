//! What programs are told, and the lines that are put before a message.

use super::{Delivery, Found, safe};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// `Delivered-To: RECIPIENT` with its newline.
pub(super) fn dt_line(delivery: &Delivery<'_>) -> Vec<u8> {
    let line = [b"Delivered-To: ", delivery.local, b"@", delivery.domain].concat();
    line.into_iter().map(|byte| if byte == b'\n' { b'_' } else { byte }).chain(*b"\n").collect()
}

/// `Return-Path: <SENDER>` with its newline. Senders of the tests need no quotes.
pub(super) fn rp_line(delivery: &Delivery<'_>) -> Vec<u8> {
    [b"Return-Path: <", delivery.sender, b">\n"].concat()
}

/// The line before a message in an mbox.
pub(super) fn uf_line(delivery: &Delivery<'_>) -> Vec<u8> {
    let sender = if delivery.sender.is_empty() { b"MAILER-DAEMON" } else { delivery.sender };
    let sender: Vec<u8> = sender.iter().map(|byte| if b" \t\n".contains(byte) { b'-' } else { *byte }).collect();
    // Nobody looks at the time.
    [b"From ", &sender[..], b" Thu Jan 01 00:00:00 1970\n"].concat()
}

/// The sender of what is forwarded.
pub(super) fn new_sender(delivery: &Delivery<'_>) -> Vec<u8> {
    let Delivery { local, dash, ext, domain, sender, .. } = *delivery;
    let is_there = |end: &[u8]| {
        let name = [b".qmail", dash, &safe(ext), end].concat();
        std::fs::symlink_metadata(OsString::from_vec(name)).is_ok()
    };
    match (sender, is_there(b"-owner"), is_there(b"-owner-default")) {
        (b"" | b"#@[]", ..) | (_, false, _) => sender.to_vec(),
        (_, true, false) => [local, b"-owner@", domain].concat(),
        (_, true, true) => [local, b"-owner-@", domain, b"-@[]"].concat(),
    }
}

/// The variables.
pub(super) fn variables(delivery: &Delivery<'_>, found: &Found) -> BTreeMap<&'static str, OsString> {
    let Delivery { user, home, local, ext, domain, sender, .. } = *delivery;
    let after = |n: usize| ext.splitn(n, |byte| *byte == b'-').nth(n - 1).unwrap_or_default().to_vec();
    let before = |n: usize| {
        let mut host = domain;
        for _ in 0..n {
            host = host.iter().rposition(|byte| *byte == b'.').and_then(|dot| host.get(..dot)).unwrap_or(host);
        }
        host.to_vec()
    };
    let mut all = BTreeMap::from([
        ("HOST", domain.to_vec()),
        ("HOME", home.to_vec()),
        ("USER", user.to_vec()),
        ("LOCAL", local.to_vec()),
        ("RECIPIENT", [local, b"@", domain].concat()),
        ("DTLINE", dt_line(delivery)),
        ("SENDER", sender.to_vec()),
        ("NEWSENDER", new_sender(delivery)),
        ("RPLINE", rp_line(delivery)),
        ("UFLINE", uf_line(delivery)),
        ("EXT", ext.to_vec()),
        ("EXT2", after(2)),
        ("EXT3", after(3)),
        ("EXT4", after(4)),
        ("HOST2", before(1)),
        ("HOST3", before(2)),
        ("HOST4", before(3)),
    ]);
    all.extend(found.default.clone().map(|default| ("DEFAULT", default)));
    all.into_iter().map(|(name, value)| (name, OsString::from_vec(value))).collect()
}
