//! A second model of the rules, written naively from their text: it looks at whole tables, asks nobody, and shares
//! no code with the first but the row types and `validate`. Where the two differ, one of them misreads the rules.

use super::tables::Tables;
use crate::error::Misconfiguration;
use crate::getpw::Owner;
use crate::mailbox::Mailbox;
use crate::rcpthosts::HostRow;
use crate::settings::{RcpthostsOnly, RemovedHost, RuleSettings, UnknownVirtual, VirtualPatterns};
use crate::virtuals::{VirtualRow, like, literal_bytes};

type Answer = Result<Owner, ()>;

fn low(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(u8::to_ascii_lowercase).collect()
}

fn get(cell: &Option<Vec<u8>>) -> Vec<u8> {
    cell.clone().unwrap_or_default()
}

fn usable(key: &[u8]) -> bool {
    !key.is_empty() && key.len() <= 128 && key.iter().all(|b| *b > 0x20 && *b < 0x7F)
}

fn mailbox(tables: &Tables, name: &[u8], settings: &RuleSettings) -> Result<Option<Mailbox>, ()> {
    if !usable(name) {
        return Ok(None);
    }
    let rows: Vec<_> = tables.mailbox.iter().filter(|row| low(&get(&row.username)) == low(name)).collect();
    match rows[..] {
        [] => Ok(None),
        [row] => row.validate(settings).map(Some).map_err(|_: Misconfiguration| ()),
        _ => Err(()),
    }
}

fn plain(tables: &Tables, local: &[u8], settings: &RuleSettings) -> Answer {
    if let Some(mailbox) = mailbox(tables, local, settings)? {
        return Ok(Owner::Mailbox { mailbox, dash: b"", ext: vec![] });
    }
    let breaks: Vec<_> =
        (0..local.len()).filter(|&i| settings.break_chars.as_bytes().contains(&local[i])).take(16).collect();
    for &at in breaks.iter().rev() {
        if let Some(mailbox) = mailbox(tables, &local[..at], settings)? {
            return Ok(Owner::Mailbox { mailbox, dash: b"-", ext: local[at + 1..].to_vec() });
        }
    }
    Ok(Owner::Stock { local: local.to_vec() })
}

fn alias_rows(tables: &Tables, ext: &[u8], settings: &RuleSettings) -> bool {
    tables
        .alias
        .iter()
        .any(|row| low(&get(&row.username)) == settings.alias_user.as_bytes() && low(&get(&row.alias)) == low(ext))
}

/// The rows that win at a host, `None` if none fits.
fn winners<'a>(rows: &[&'a VirtualRow], user: &[u8], settings: &RuleSettings) -> Option<Vec<&'a VirtualRow>> {
    let exact: Vec<_> =
        rows.iter().copied().filter(|r| usable(user) && low(&get(&r.virtual_username)) == low(user)).collect();
    if !exact.is_empty() {
        return Some(exact);
    }
    if settings.virtual_patterns == VirtualPatterns::Plain {
        let blank: Vec<_> = rows.iter().copied().filter(|r| get(&r.virtual_username).is_empty()).collect();
        return (!blank.is_empty()).then_some(blank);
    }
    let pattern = |r: &VirtualRow| low(&get(&r.virtual_username));
    let mut fitting: Vec<_> = rows
        .iter()
        .copied()
        .filter(|r| (pattern(r).contains(&b'%') || pattern(r).contains(&b'_')) && like(&pattern(r), user))
        .collect();
    fitting.sort_by(|a, b| {
        literal_bytes(&pattern(b)).cmp(&literal_bytes(&pattern(a))).then_with(|| pattern(a).cmp(&pattern(b)))
    });
    let best = pattern(fitting.first()?);
    fitting.retain(|r| pattern(r) == best);
    Some(fitting)
}

fn virtual_user(tables: &Tables, local: &[u8], host: &[u8], user: &[u8], settings: &RuleSettings) -> Answer {
    let rows: Vec<_> = tables.virtuals.iter().filter(|r| low(&get(&r.virtual_host)) == low(host)).collect();
    let bounce = Ok(Owner::AliasUser { ext: local.to_vec() });
    if rows.is_empty() {
        let accepted = |row: &HostRow| {
            let row = low(&get(&row.host));
            row == low(host) || row.starts_with(b".") && low(host)[1..].windows(row.len()).last() == Some(&row[..])
        };
        if settings.rcpthosts_only == RcpthostsOnly::Local && tables.rcpthosts.iter().any(accepted) {
            return plain(tables, user, settings);
        }
        return if settings.removed_host == RemovedHost::Bounce { bounce } else { Err(()) };
    }
    let Some(won) = winners(&rows, user, settings) else {
        let other: &[u8] = if settings.virtual_patterns == VirtualPatterns::Plain { b"%" } else { b"" };
        if rows.iter().any(|r| get(&r.virtual_username) == other) {
            return Err(());
        }
        if settings.unknown_virtual == UnknownVirtual::Mailbox
            && let Some(mailbox) = mailbox(tables, user, settings)?
        {
            return Ok(Owner::Mailbox { mailbox, dash: b"", ext: vec![] });
        }
        return if low(user) == b"postmaster" { Ok(Owner::AliasUser { ext: b"postmaster".to_vec() }) } else { bounce };
    };
    let pairs: Vec<_> = won.iter().map(|r| (low(&get(&r.username)), low(&get(&r.ext)))).collect();
    if pairs.iter().any(|p| *p != pairs[0]) || !usable(&pairs[0].0) {
        return Err(());
    }
    let owner = pairs[0].0.clone();
    let smallest = won.iter().map(|r| (get(&r.username), get(&r.ext))).min().unwrap();
    let stored = smallest.1;
    if settings.magic_forwarding && owner == b"forward" {
        let taken = tables.mailbox.iter().any(|r| low(&get(&r.username)) == b"forward");
        let last_at = (0..stored.len()).filter(|&i| stored[i] == b'@').max();
        let whole = last_at.is_some_and(|at| at != 0 && at != stored.len() - 1);
        let clean =
            stored.iter().all(|b| (0x21..0x7F).contains(b)) && stored.first().is_some_and(|b| !b"./|&+#".contains(b));
        return if taken || !whole || !clean { Err(()) } else { Ok(Owner::AliasUser { ext: b"forward".to_vec() }) };
    }
    let ext = if stored == b"@" { user.to_vec() } else { stored };
    if let Some(mailbox) = mailbox(tables, &owner, settings)? {
        return Ok(Owner::Mailbox { mailbox, dash: if ext.is_empty() { b"" } else { b"-" }, ext });
    }
    let mut whole = owner;
    if !ext.is_empty() {
        whole.push(settings.break_chars.as_bytes()[0]);
        whole.extend_from_slice(&ext);
    }
    let address = [user, b"@", host].concat();
    let key_fits = |key: &[u8]| key.len() <= 255 && key.iter().all(|b| (0x21..0x7F).contains(b));
    if [&whole, &address].into_iter().any(|key| key_fits(key) && alias_rows(tables, key, settings)) {
        return Ok(Owner::AliasUser { ext: whole });
    }
    plain(tables, &whole, settings)
}

pub(super) fn getpw(tables: &Tables, local: &[u8], settings: &RuleSettings) -> Answer {
    // "=HOST=-USER", with HOST as rule V1 spells it.
    if local.first() == Some(&b'=')
        && let Some(end) = local[1..].iter().position(|b| *b == b'=').map(|i| i + 1)
        && local.get(end + 1) == Some(&b'-')
    {
        let host = &local[1..end];
        let labels: Vec<_> = host.strip_prefix(b".").unwrap_or(host).split(|b| *b == b'.').collect();
        let good = |label: &&[u8]| {
            !label.is_empty() && label.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(b))
        };
        if labels.iter().all(good) && host.len() <= 255 {
            return virtual_user(tables, local, host, &local[end + 2..], settings);
        }
    }
    plain(tables, local, settings)
}
