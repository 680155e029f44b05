//! Looks for catch-alls that get the mail of mailboxes.

use super::Lint;
use super::ask::{AT_ONCE, Ask};
use super::targets::KEYS;
use crate::output::Failure;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::{VirtualKey, fold};
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::rules::VirtualAddress;
use qmail_lookup_core::settings::{UnknownVirtual, VirtualPatterns};
use qmail_lookup_core::virtuals::is_host_key;
use qmail_lookup_core::{Change, Host, Table, TableRow, Username, VirtualRow, VirtualUser};

/// Mailboxes among which an example is looked for.
const EXAMPLES: usize = 16;

/// Most catch-alls whose findings wait for being asked about.
const WAITING: usize = 256;

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let ask = Ask::new(lint)?;
    let plain = mailboxes(lint, &ask).await?;
    catch_alls(lint, &ask, &plain).await
}

/// Mailboxes whose name has no host in it.
struct Plain {
    /// The first of them.
    names: Vec<Username>,
    count: u64,
}

/// Reports those named as an address that a catch-all gets. Returns the others.
async fn mailboxes(lint: &mut Lint<'_>, ask: &Ask) -> Result<Plain, Failure> {
    let mut pages = lint.pages(Table::Mailbox, "looking at catch-alls").await?;
    let (mut plain, mut last) = (Plain { names: Vec::new(), count: 0 }, None);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(plain);
        }
        let mut addresses = Vec::new();
        for row in &page {
            let TableRow::Mailbox(row) = row else { continue };
            let Some(name) = row.mailbox.username.as_deref().and_then(Username::new) else { continue };
            if last.as_ref() == Some(&name) {
                continue;
            }
            last = Some(name.clone());
            if name.as_bytes().contains(&b'@') {
                addresses.push(name);
                continue;
            }
            plain.count = plain.count.saturating_add(1);
            if plain.names.len() < EXAMPLES {
                plain.names.push(name);
            }
        }
        let found = stream::iter(addresses).map(|name| swallowed(ask, name)).buffered(AT_ONCE);
        let found: Vec<Option<Finding>> = found.try_collect().await?;
        found.into_iter().flatten().for_each(|finding| lint.report.push(finding));
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

/// The mailbox `USER@HOST`, if a row that is not USER's own gives the mail of that address to somebody else.
async fn swallowed(ask: &Ask, name: Username) -> Result<Option<Finding>, Failure> {
    let address = name.as_bytes().to_vec();
    let Some(at) = address.iter().rposition(|&b| b == b'@') else { return Ok(None) };
    let user = VirtualUser::new(address.get(..at).unwrap_or_default()).filter(|user| !user.as_bytes().is_empty());
    let (Some(user), Ok(Some(winner))) = (user, ask.judge(VirtualAddress { address }).await?) else { return Ok(None) };
    if winner.username == name || !own_rows(ask, &winner.host, std::slice::from_ref(&user)).await?.is_empty() {
        return Ok(None);
    }
    // A row of its own has to stand at the host that the name has, also if the catch-all is that of a suffix.
    let host = name.as_bytes().get(at.saturating_add(1)..).unwrap_or_default().to_vec();
    let cell = |bytes: &[u8]| Some(bytes.to_vec());
    let row = VirtualRow {
        username: cell(name.as_bytes()),
        ext: cell(b""),
        virtual_username: cell(user.as_bytes()),
        virtual_host: Some(host),
    };
    Ok(Some(Finding {
        severity: Severity::Warning,
        rule: "swallowed",
        table: Table::Mailbox,
        key: name.to_string(),
        why: format!("mail for {name} goes to {} by a catch-all or pattern of {}", winner.username, winner.host),
        repair: Repair::Change(Change::Insert(TableRow::Virtual(row))),
    }))
}

/// Those of `users` that have a row of their own at `host`.
async fn own_rows(ask: &Ask, host: &Host, users: &[VirtualUser]) -> Result<Vec<VirtualUser>, Failure> {
    let mut found = Vec::new();
    for users in users.chunks(KEYS) {
        let exact = |user: &VirtualUser| VirtualKey::Exact { host: host.clone(), user: user.clone() };
        let keys: Vec<VirtualKey> = users.iter().map(exact).collect();
        let rows = ask.lookup.virtuals.virtuals(&keys, ask.by()).await?;
        let has = |user: &&VirtualUser| {
            rows.iter()
                .any(|row| host.matches(row.virtual_host.as_deref()) && user.matches(row.virtual_username.as_deref()))
        };
        found.extend(users.iter().filter(has).cloned());
    }
    Ok(found)
}

/// A host whose rows are being read, or were.
struct Here {
    host: Host,
    /// Of the catch-all; empty if there is none.
    owner: Vec<u8>,
    /// Rows that are about one user.
    rows: u64,
}

/// One host after the other, as the rows come.
async fn catch_alls(lint: &mut Lint<'_>, ask: &Ask, plain: &Plain) -> Result<(), Failure> {
    let mut pages = lint.pages(Table::Virtual, "looking at catch-alls").await?;
    let is_like = ask.lookup.settings.virtual_patterns == VirtualPatterns::Like;
    let catch_all: &[u8] = if is_like { b"%" } else { b"" };
    let mut here: Option<Here> = None;
    let mut waiting: Vec<Here> = Vec::new();
    loop {
        let page = pages.next().await?;
        for row in &page {
            let TableRow::Virtual(row) = row else { continue };
            let folded = fold(row.virtual_host.as_deref().unwrap_or_default());
            let Some(host) = Host::new(&folded).filter(|_| is_host_key(&folded)) else { continue };
            if here.as_ref().is_none_or(|here| here.host != host) {
                waiting.extend(here.replace(Here { host, owner: Vec::new(), rows: 0 }));
            }
            let Some(here) = &mut here else { continue };
            let user = row.virtual_username.as_deref().unwrap_or_default();
            if user == catch_all {
                here.owner = fold(row.username.as_deref().unwrap_or_default());
            } else {
                here.rows = here.rows.saturating_add(1);
            }
        }
        let is_end = page.is_empty();
        if is_end {
            waiting.extend(here.take());
        }
        waiting.retain(|host| !host.owner.is_empty());
        if is_end || waiting.len() >= WAITING {
            let asked = std::mem::take(&mut waiting);
            let found = stream::iter(asked).map(|here| hidden(ask, plain, here)).buffered(AT_ONCE);
            let found: Vec<Option<Finding>> = found.try_collect().await?;
            found.into_iter().flatten().for_each(|finding| lint.report.push(finding));
        }
        if is_end {
            return Ok(());
        }
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

/// Which mailboxes have no row of their own at a host with a catch-all.
async fn hidden(ask: &Ask, plain: &Plain, here: Here) -> Result<Option<Finding>, Failure> {
    let Here { host, owner, rows } = here;
    let users: Vec<VirtualUser> = plain
        .names
        .iter()
        .filter(|name| name.as_bytes() != owner)
        .filter_map(|name| VirtualUser::new(name.as_bytes()))
        .collect();
    let own = own_rows(ask, &host, &users).await?;
    let Some(example) = users.iter().find(|user| !own.contains(user)) else { return Ok(None) };
    let owner = printable(&owner);
    let (severity, why) = match ask.lookup.settings.unknown_virtual {
        UnknownVirtual::Mailbox => {
            // Each row hides one mailbox at most, and the owner is one.
            let least = plain.count.saturating_sub(rows).saturating_sub(1).max(1);
            let why = format!(
                "mailboxes are found by their name at this host (rules.unknown_virtual = \"mailbox\"), but its catch-all \
                 comes first: at least {least} of them, {example} for instance, do not get the mail of NAME@{host}; \
                 {owner} does"
            );
            (Severity::Warning, why)
        }
        UnknownVirtual::Bounce => {
            let why = format!(
                "mail for mailboxes that have no row of their own at {host} goes to {owner}: {example}@{host}, for instance"
            );
            (Severity::Note, why)
        }
    };
    Ok(Some(Finding {
        severity,
        rule: "swallowed",
        table: Table::Virtual,
        key: format!("@{host}"),
        why,
        repair: Repair::Words(
            "add a row for each mailbox that is to get mail there; nothing if that is meant".to_owned(),
        ),
    }))
}
