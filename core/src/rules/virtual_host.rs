//! Virtual hosts: which row, and who owns it (rules V2 to V6).

use super::Question;
use super::Stop;
use super::facts::Facts;
use super::local::{Route, candidates, first_of, route_of_local};
use super::rcpthost::Accepted;
use crate::error::{Misconfiguration, printable};
use crate::key::{AliasKey, Ext, Host, Username, VirtualKey, VirtualUser, fold};
use crate::settings::{RcpthostsOnly, RemovedHost, UnknownVirtual, VirtualPatterns};
use crate::virtuals::{VirtualRow, like, literal_bytes};

/// What table virtual says about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Picked {
    /// This row.
    Row {
        /// The host key that has it.
        host: Host,
        /// Its owner.
        username: Username,
        /// Its ext as stored; see [`ext_for`].
        ext: Vec<u8>,
        /// True if virtual_username is exactly the user part.
        exact: bool,
    },
    /// The host has rows, but none for this user.
    Unknown(Host),
    /// None of the hosts has any row.
    NoHost,
}

/// The route of `user` at `host`, which control/virtualdomains has sent here.
pub(super) fn route_of_encoded(facts: &Facts<'_>, host: &Host, user: &[u8]) -> Result<Route, Stop> {
    if let Some(route) = route_of_address(facts, std::slice::from_ref(host), user)? {
        return Ok(route);
    }
    if facts.settings.rcpthosts_only == RcpthostsOnly::Local
        && (Accepted { host: host.as_bytes().to_vec() }).decide(facts)?.is_some()
    {
        facts.note("V7", || format!("{host} stands in table rcpthosts only: local (rules.rcpthosts_only = local)"));
        return route_of_local(facts, user);
    }
    facts.note("V5", || format!("{host} has no rows any more"));
    match facts.settings.removed_host {
        RemovedHost::Bounce => Ok(Route::Unknown),
        RemovedHost::Defer => {
            let problem = "the host has no row any more (rules.removed_host = defer)";
            Err(bad("V5", host, user, "", problem).into())
        }
    }
}

/// The route of `user` at the first of `hosts` (most specific first) that has rows; `None` if none has.
pub(super) fn route_of_address(facts: &Facts<'_>, hosts: &[Host], user: &[u8]) -> Result<Option<Route>, Stop> {
    match pick(facts, hosts, user)? {
        Picked::Row { host, username, ext, .. } => owner(facts, &host, user, &username, ext).map(Some),
        Picked::Unknown(host) => unknown(facts, &host, user).map(Some),
        Picked::NoHost => Ok(None),
    }
}

/// Finds the row (rules V2, V3). All hosts are asked about at once.
pub(super) fn pick(facts: &Facts<'_>, hosts: &[Host], user: &[u8]) -> Result<Picked, Stop> {
    let mode = facts.settings.virtual_patterns;
    let exact = VirtualUser::new(user).filter(|key| !key.as_bytes().is_empty());
    let mut keys = Vec::new();
    for host in hosts {
        let at = |user: VirtualUser| VirtualKey::Exact { host: host.clone(), user };
        keys.extend(exact.clone().map(at));
        match mode {
            VirtualPatterns::Plain => {
                for other in [&b""[..], b"%"].into_iter().filter_map(VirtualUser::new) {
                    keys.extend((Some(&other) != exact.as_ref()).then(|| at(other)));
                }
            }
            VirtualPatterns::Like => keys.push(VirtualKey::Patterns { host: host.clone() }),
        }
        keys.push(VirtualKey::Any { host: host.clone() });
    }
    let rows = facts.virtuals("V2", keys)?;
    for host in hosts {
        let here: Vec<_> = rows.iter().filter(|row| host.matches(row.virtual_host.as_deref())).collect();
        if here.is_empty() {
            continue;
        }
        let best = best_rank(&here, exact.as_ref(), user, mode);
        let Some((is_exact, winners)) = best else {
            leftover(&here, host, mode)?;
            return Ok(Picked::Unknown(host.clone()));
        };
        let (username, ext) = agree(&winners, host, user)?;
        let how = winners.first().and_then(|row| row.virtual_username.as_deref()).unwrap_or_default();
        let (shown, owner) = (printable(how), printable(username.as_bytes()));
        facts.note("V2", || format!("row '{shown}'@{host}: owner {owner}, ext '{}'", printable(&ext)));
        return Ok(Picked::Row { host: host.clone(), username, ext, exact: is_exact });
    }
    Ok(Picked::NoHost)
}

type Rank<'a> = (bool, Vec<&'a VirtualRow>);

/// The rows of the winning rank: exact first, then by mode the best pattern or the blank row (rule V2).
fn best_rank<'a>(
    here: &[&'a VirtualRow],
    exact: Option<&VirtualUser>,
    user: &[u8],
    mode: VirtualPatterns,
) -> Option<Rank<'a>> {
    let some = |is_exact, rows: Vec<&'a VirtualRow>| (!rows.is_empty()).then_some((is_exact, rows));
    let all = |wanted: &dyn Fn(&[u8]) -> bool| {
        here.iter().copied().filter(|row| wanted(row.virtual_username.as_deref().unwrap_or_default())).collect()
    };
    exact.and_then(|key| some(true, all(&|stored| key.matches(Some(stored))))).or_else(|| match mode {
        VirtualPatterns::Plain => some(false, all(&<[u8]>::is_empty)),
        VirtualPatterns::Like => {
            let fits = |stored: &[u8]| stored.iter().any(|b| matches!(b, b'%' | b'_')) && like(stored, user);
            let rows: Vec<_> = all(&fits);
            let rank = |row: &&VirtualRow| {
                let pattern = fold(row.virtual_username.as_deref().unwrap_or_default());
                (std::cmp::Reverse(literal_bytes(&pattern)), pattern)
            };
            let best = rows.iter().map(rank).min()?;
            some(false, rows.into_iter().filter(|row| rank(row) == best).collect())
        }
    })
}

/// Nothing matched: a row that would be the catch-all in the other mode is a misconfiguration (rule V2).
pub(crate) fn leftover(here: &[&VirtualRow], host: &Host, mode: VirtualPatterns) -> Result<(), Misconfiguration> {
    let stands_for_all = |cell: &[u8]| match mode {
        VirtualPatterns::Plain => cell == b"%",
        VirtualPatterns::Like => cell.is_empty(),
    };
    if !here.iter().any(|row| stands_for_all(row.virtual_username.as_deref().unwrap_or_default())) {
        return Ok(());
    }
    let problem = match mode {
        VirtualPatterns::Plain => "a '%' row is a catch-all only with rules.virtual_patterns = \"like\"",
        VirtualPatterns::Like => {
            "a blank row is no catch-all with rules.virtual_patterns = \"like\"; \
             update virtual set virtual_username='%' where virtual_username=''"
        }
    };
    Err(bad("V2", host, b"%", "virtual_username", problem))
}

/// Several rows of one rank count once if they say the same, else they are a misconfiguration (rule V3).
pub(crate) fn agree(
    winners: &[&VirtualRow],
    host: &Host,
    user: &[u8],
) -> Result<(Username, Vec<u8>), Misconfiguration> {
    let said = |row: &&VirtualRow| {
        let cell = |cell: &Option<Vec<u8>>| cell.clone().unwrap_or_default();
        (cell(&row.username), cell(&row.ext))
    };
    let folded = |(username, ext): &(Vec<u8>, Vec<u8>)| (fold(username), fold(ext));
    let mut all: Vec<_> = winners.iter().map(said).collect();
    all.sort();
    let first = all.first().cloned().unwrap_or_default();
    if all.iter().any(|other| folded(other) != folded(&first)) {
        return Err(bad("V3", host, user, "username", "several rows fit equally well and name different owners"));
    }
    let (username, ext) = first;
    if username.is_empty() {
        return Err(bad("V4", host, user, "username", "blank; the row needs the mailbox that gets the mail"));
    }
    let username = Username::new(&username).ok_or_else(|| bad("K3", host, user, "username", "not a usable name"))?;
    if ext.iter().any(|b| matches!(b, 0 | b'\n')) {
        return Err(bad("K3", host, user, "ext", "holds a NUL or a newline"));
    }
    Ok((username, ext))
}

/// The extension that a stored ext means: `@` stands for the user part as typed (rule V4).
pub(super) fn ext_for(stored: Vec<u8>, user: &[u8]) -> Vec<u8> {
    if stored == b"@" { user.to_vec() } else { stored }
}

/// Who a row's owner is (rules V4, V6).
fn owner(facts: &Facts<'_>, host: &Host, user: &[u8], username: &Username, ext: Vec<u8>) -> Result<Route, Stop> {
    if facts.settings.magic_forwarding && username.as_bytes() == b"forward" {
        // The stored ext: with the typed one a catch-all would forward to whatever a sender writes.
        return forward(facts, host, user, username, ext);
    }
    let ext = ext_for(ext, user);
    let mut whole = username.as_bytes().to_vec();
    if !ext.is_empty() {
        whole.push(facts.settings.break_chars.bytes().next().unwrap_or(b'-'));
        whole.extend_from_slice(&ext);
    }
    let tried = candidates(&whole, facts.settings.break_chars.as_bytes());
    let mut names: Vec<_> = tried.iter().map(|c| c.name.clone()).collect();
    if !names.contains(username) {
        names.push(username.clone());
    }
    let rows = facts.mailboxes("V4", names)?;
    if let Some(mailbox) = rows.one(username, facts.settings)? {
        facts.note("V4", || format!("mailbox {username} with extension '{}'", printable(&ext)));
        let dash: &'static [u8] = if ext.is_empty() { b"" } else { b"-" };
        return Ok(Route::Mailbox { mailbox, dash, ext });
    }
    let alias = Username::new(facts.settings.alias_user.as_bytes());
    let address = Ext::new(&[user, b"@", host.as_bytes()].concat());
    let exts = [Ext::new(&whole), address.clone()];
    let key = |alias: &Username, ext: Ext| AliasKey { username: alias.clone(), alias: ext };
    let keys: Vec<_> = alias.iter().flat_map(|a| exts.iter().flatten().map(|e| key(a, e.clone()))).collect();
    let found = facts.aliases("V4", keys.clone())?;
    let hit = found.iter().any(|row| {
        keys.iter().any(|k| k.username.matches(row.username.as_deref()) && k.alias.matches(row.alias.as_deref()))
    });
    if hit {
        facts.note("V4", || format!("{username} is no mailbox; the alias user has rows for '{}'", printable(&whole)));
        return Ok(Route::AliasUser { ext: whole, address });
    }
    facts.note("V4", || format!("{username} is no mailbox: resolved as if '{}' had been addressed", printable(&whole)));
    first_of(facts, &whole, &tried, rows)
}

/// MAGIC FORWARDING (rule V6).
fn forward(facts: &Facts<'_>, host: &Host, user: &[u8], name: &Username, ext: Vec<u8>) -> Result<Route, Stop> {
    if facts.mailboxes("V6", vec![name.clone()])?.has(name) {
        let problem = "with rules.magic_forwarding there must be no mailbox named forward";
        return Err(bad("V6", host, user, "username", problem).into());
    }
    judge_target(&ext, host, user)?;
    facts.note("V6", || format!("forwarded to {}", printable(&ext)));
    Ok(Route::Forward(ext))
}

/// MAGIC FORWARDING needs an address in ext (rule V6).
pub(crate) fn judge_target(ext: &[u8], host: &Host, user: &[u8]) -> Result<(), Misconfiguration> {
    let at = ext.iter().rposition(|&b| b == b'@');
    let has_both = at.is_some_and(|at| at > 0 && at + 1 < ext.len());
    if !has_both || !ext.iter().all(|b| (0x21..=0x7E).contains(b)) || ext.first().is_some_and(|b| b"./|&+#".contains(b))
    {
        return Err(bad("V6", host, user, "ext", "not an address with user part and host to forward to"));
    }
    Ok(())
}

/// The host has rows, none for this user (rule V5).
fn unknown(facts: &Facts<'_>, host: &Host, user: &[u8]) -> Result<Route, Stop> {
    if facts.settings.unknown_virtual == UnknownVirtual::Mailbox
        && let Some(name) = Username::new(user)
        && let Some(mailbox) = facts.mailboxes("V5", vec![name.clone()])?.one(&name, facts.settings)?
    {
        facts.note("V5", || format!("no row at {host}, but a mailbox {name} (rules.unknown_virtual = mailbox)"));
        return Ok(Route::Mailbox { mailbox, dash: b"", ext: Vec::new() });
    }
    if user.eq_ignore_ascii_case(b"postmaster") {
        facts.note("V5", || format!("no row for postmaster at {host}: the alias user's postmaster"));
        return Ok(Route::AliasUser { ext: b"postmaster".to_vec(), address: None });
    }
    facts.note("V5", || format!("{host} has rows, but none for '{}'", printable(user)));
    Ok(Route::Unknown)
}

fn bad(rule: &'static str, host: &Host, user: &[u8], column: &'static str, problem: &str) -> Misconfiguration {
    let key = format!("{}@{host}", printable(user));
    Misconfiguration { rule, table: "virtual", key, column, problem: problem.to_owned() }
}
