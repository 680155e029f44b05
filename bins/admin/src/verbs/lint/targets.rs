//! Looks for owners that do not exist: of rows of table alias, and of virtual recipients.

use super::Lint;
use super::ask::{AT_ONCE, Ask, End};
use super::lists::{self, Recipient};
use super::suspended::Suspended;
use super::words::{alias_key, virtual_key};
use crate::output::Failure;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use qmail_lookup_core::error::printable;
use qmail_lookup_core::getpw::Owner;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::rules::{Deliver, Getpw, Route};
use qmail_lookup_core::virtuals::{Encoded, is_host_key};
use qmail_lookup_core::{AliasRow, Host, Standing, Table, TableRow, Username, VirtualRow};
use std::collections::HashMap;

/// Keys of one question; one place of a statement is the canary's.
pub(super) const KEYS: usize = KEYS_PER_STATEMENT - 1;

/// What stands for a user part that no row names.
const ANYBODY: &str = "anybody";

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let ask = Ask::new(lint)?;
    let mut suspended = Suspended::new(lint.session.config.rules.suspended_mail);
    aliases(lint, &ask, &mut suspended).await?;
    virtuals(lint, &ask, &mut suspended).await?;
    suspended.report(lint);
    Ok(())
}

/// Rows of one user that are never read.
struct Unread {
    name: Username,
    rows: u64,
}

impl Unread {
    fn finding(self) -> Finding {
        let Self { name, rows } = self;
        Finding {
            severity: Severity::Warning,
            rule: "dangling",
            table: Table::Alias,
            key: name.to_string(),
            why: format!("neither a mailbox nor a system user has this name, so its {rows} row(s) are never read"),
            repair: Repair::Words("add the mailbox, or remove the rows".to_owned()),
        }
    }
}

async fn aliases(lint: &mut Lint<'_>, ask: &Ask, suspended: &mut Suspended) -> Result<(), Failure> {
    let mut pages = lint.pages(Table::Alias, "looking for owners").await?;
    let mut unread: Option<Unread> = None;
    let mut last: Option<(Username, Vec<u8>)> = None;
    loop {
        let page = pages.next().await?;
        let rows: Vec<&AliasRow> = page.iter().filter_map(|row| as_alias(row)).collect();
        if rows.is_empty() {
            break;
        }
        let owners = owners(ask, &rows).await?;
        let mut sets = Vec::new();
        for row in rows {
            let Some(name) = row.username.as_deref().and_then(Username::new) else { continue };
            match owners.get(&name) {
                Some(Some(standing)) => suspended.add(&name, *standing, Table::Alias, || alias_key(row)),
                Some(None) => match &mut unread {
                    Some(same) if same.name == name => same.rows = same.rows.saturating_add(1),
                    other => {
                        let before = other.replace(Unread { name: name.clone(), rows: 1 });
                        before.into_iter().for_each(|before| lint.report.push(before.finding()));
                    }
                },
                None => {}
            }
            let set = (name, fold(row.alias.as_deref().unwrap_or_default()));
            if last.as_ref() != Some(&set) {
                sets.push(row);
                last = Some(set);
            }
        }
        let found = stream::iter(sets).map(|row| lists::owner_row(ask, row)).buffered(AT_ONCE);
        let found: Vec<Option<Finding>> = found.try_collect().await?;
        found.into_iter().flatten().for_each(|finding| lint.report.push(finding));
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
    unread.into_iter().for_each(|unread| lint.report.push(unread.finding()));
    Ok(())
}

fn as_alias(row: &TableRow) -> Option<&AliasRow> {
    if let TableRow::Alias(row) = row { Some(row) } else { None }
}

/// Whose rows these are: mailboxes with their standing; `None` for who is nobody; no entry for other users.
async fn owners(ask: &Ask, rows: &[&AliasRow]) -> Result<HashMap<Username, Option<Standing>>, Failure> {
    let mut names: Vec<Username> =
        rows.iter().filter_map(|row| row.username.as_deref().and_then(Username::new)).collect();
    names.dedup();
    let mut owners = HashMap::new();
    for names in names.chunks(KEYS) {
        let mailboxes = ask.lookup.mailbox.mailboxes(names, ask.by()).await?;
        for name in names {
            let row = mailboxes.iter().find(|row| name.matches(row.username.as_deref()));
            let is_alias_user = name.as_bytes().eq_ignore_ascii_case(ask.lookup.settings.alias_user.as_bytes());
            if let Some(row) = row {
                owners.insert(name.clone(), Some(Standing::read(row.suspended.as_deref())));
            } else if !is_alias_user && !ask.machine.has_user(name.as_str())? {
                owners.insert(name.clone(), None);
            }
        }
    }
    Ok(owners)
}

async fn virtuals(lint: &mut Lint<'_>, ask: &Ask, suspended: &mut Suspended) -> Result<(), Failure> {
    let mut pages = lint.pages(Table::Virtual, "looking for owners").await?;
    let mut last = None;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        // What the same row twice says is told once.
        let rows: Vec<&VirtualRow> = page
            .iter()
            .filter_map(|row| if let TableRow::Virtual(stored) = row { Some((row, stored)) } else { None })
            .filter(|(row, _)| {
                let cells: Vec<Vec<u8>> = row.cells().iter().map(|cell| fold(cell.unwrap_or_default())).collect();
                last.replace(cells.clone()) != Some(cells)
            })
            .map(|(_, stored)| stored)
            .collect();
        let found = stream::iter(rows).map(|row| recipient(ask, row)).buffered(AT_ONCE);
        let found: Vec<Found> = found.try_collect().await?;
        for Found { findings, owner, key } in found {
            findings.into_iter().for_each(|finding| lint.report.push(finding));
            if let Some((name, standing)) = owner {
                suspended.add(&name, standing, Table::Virtual, || key);
            }
        }
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

/// What was found about a virtual recipient.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    owner: Option<(Username, Standing)>,
    key: String,
}

async fn recipient(ask: &Ask, row: &VirtualRow) -> Result<Found, Failure> {
    let mut found = Found { key: virtual_key(row), ..Found::default() };
    let key = fold(row.virtual_host.as_deref().unwrap_or_default());
    let Some(host) = Host::new(&key).filter(|_| is_host_key(&key)) else { return Ok(found) };
    let typed = fold(row.virtual_username.as_deref().unwrap_or_default());
    let is_pattern = typed.is_empty() || typed.iter().any(|b| matches!(b, b'%' | b'_'));
    // Somebody for whom this row is meant, also if another one fits him better.
    let user = match typed.is_empty() {
        true => ANYBODY.as_bytes().to_vec(),
        false => typed.iter().filter(|b| **b != b'\\').map(|&b| if b == b'%' { b'x' } else { b }).collect(),
    };
    let local = Encoded { host: host.clone(), user: &user }.encode();
    // Misconfigured rows are reported by themselves.
    let Ok(owner) = ask.judge_alone(row, Getpw { local: local.clone() }).await? else { return Ok(found) };
    let (name, ext) = match owner {
        Owner::Mailbox { mailbox, ext, .. } => {
            found.owner = Some((mailbox.username.clone(), mailbox.standing));
            (Some(mailbox.username), ext)
        }
        Owner::AliasUser { ext } => (Username::new(ask.lookup.settings.alias_user.as_bytes()), ext),
        Owner::Stock { local: resolved } => {
            if let Some(why) = nobody(ask, row, &local, &host, &resolved).await? {
                found.findings.push(dangling(row, &why));
            }
            (None, Vec::new())
        }
    };
    if let Some(owner) = name.filter(|_| !is_pattern) {
        let list = Recipient { row, host: &host, user: &user, owner: &owner, ext: &ext };
        found.findings.extend(lists::senders(ask, &list).await?);
    }
    Ok(found)
}

/// Why the mail of a virtual recipient bounces whose owner is no mailbox, if it does.
async fn nobody(
    ask: &Ask,
    row: &VirtualRow,
    local: &[u8],
    host: &Host,
    resolved: &[u8],
) -> Result<Option<String>, Failure> {
    let suffix = host.as_bytes();
    let domain = if suffix.starts_with(b".") { [b"host", suffix].concat() } else { suffix.to_vec() };
    let question = Deliver {
        user: ask.lookup.settings.alias_user.as_bytes().to_vec(),
        local: local.to_vec(),
        dash: b"-".to_vec(),
        ext: resolved.to_vec(),
        domain,
        system_home: None,
        is_local: false,
    };
    let Ok(delivered) = ask.judge_alone(row, question).await? else { return Ok(None) };
    let hop = ask.of_delivery(&Route::Stock { local: resolved.to_vec() }, delivered.delivery).await?;
    Ok(match hop.end {
        End::Nobody(why) => Some(why),
        End::NotOurs | End::Somebody | End::Unknown => None,
    })
}

fn dangling(row: &VirtualRow, why: &str) -> Finding {
    let owner = printable(&fold(row.username.as_deref().unwrap_or_default()));
    Finding {
        severity: Severity::Error,
        rule: "dangling",
        table: Table::Virtual,
        key: virtual_key(row),
        why: format!("its owner {owner} is nobody, and mail for it bounces: {why}"),
        repair: Repair::Words(format!("correct the row's username, remove the row, or add the mailbox {owner}")),
    }
}
