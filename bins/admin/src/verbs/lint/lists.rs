//! Owners of lists: rows that nothing uses, and senders that cannot be answered (rule A5).

use super::ask::Ask;
use super::words::{address_text, virtual_key};
use crate::output::Failure;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::getpw::Owner;
use qmail_lookup_core::key::{AliasKey, fold};
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::rules::Getpw;
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::virtuals::Encoded;
use qmail_lookup_core::{AliasRow, Change, Ext, Host, Table, TableRow, Username, VirtualRow};

/// A recipient of a list that is on no host.
const FRIEND: &[u8] = b"friend=example.org";

/// What is wrong with this row of table alias as one of a list's owner.
///
/// # Errors
/// If a store does not answer.
pub(super) async fn owner_row(ask: &Ask, row: &AliasRow) -> Result<Option<Finding>, Failure> {
    let alias = fold(row.alias.as_deref().unwrap_or_default());
    let Some(username) = row.username.as_deref().and_then(Username::new) else { return Ok(None) };
    let (rule, table, key) = ("A5", Table::Alias, super::words::alias_key(row));
    if let Some(owner) = alias.strip_suffix(b"-default").filter(|ext| *ext == b"owner" || ext.ends_with(b"-owner")) {
        if has(ask, &username, &[owner]).await? {
            return Ok(None);
        }
        let owner = printable(owner);
        return Ok(Some(Finding {
            severity: Severity::Warning,
            rule,
            table,
            key,
            why: format!(
                "without rows for {owner} the list's mail has no sender to whom its bounces could come back one by one \
                 (VERP), unless there is a file .qmail-{owner}"
            ),
            repair: Repair::Words(format!("add rows for ({username}, {owner})")),
        }));
    }
    let Some(list) = alias.strip_suffix(b"-owner").filter(|list| !list.is_empty()) else { return Ok(None) };
    if has(ask, &username, &[list, b"@"]).await? {
        return Ok(None);
    }
    let list = printable(list);
    Ok(Some(Finding {
        severity: Severity::Note,
        rule,
        table,
        key,
        why: format!("the owner of a list {list} that has no rows: only a file .qmail-{list} would use it"),
        repair: Repair::Words(format!("add rows for ({username}, {list}), or remove this one")),
    }))
}

/// Whether `username` has rows for one of these extensions.
async fn has(ask: &Ask, username: &Username, exts: &[&[u8]]) -> Result<bool, Failure> {
    let keys: Vec<AliasKey> =
        exts.iter().filter_map(|ext| Some(AliasKey { username: username.clone(), alias: Ext::new(ext)? })).collect();
    if keys.is_empty() {
        return Ok(false);
    }
    let rows = ask.lookup.alias.aliases(&keys, ask.by()).await?;
    let is_one = |row: &AliasRow| {
        keys.iter().any(|key| key.username.matches(row.username.as_deref()) && key.alias.matches(row.alias.as_deref()))
    };
    Ok(rows.iter().any(is_one))
}

/// A virtual recipient, and who gets its mail.
pub(super) struct Recipient<'a> {
    pub(super) row: &'a VirtualRow,
    pub(super) host: &'a Host,
    pub(super) user: &'a [u8],
    pub(super) owner: &'a Username,
    pub(super) ext: &'a [u8],
}

/// Whether the senders that a list at a virtual host gives its mail come back to its owner.
///
/// # Errors
/// If a store does not answer.
pub(super) async fn senders(ask: &Ask, list: &Recipient<'_>) -> Result<Option<Finding>, Failure> {
    let Recipient { row, host, user, owner, ext } = list;
    let of_owner = if ext.is_empty() { b"owner".to_vec() } else { [&fold(ext)[..], b"-owner"].concat() };
    if !has(ask, owner, &[&of_owner]).await? {
        return Ok(None);
    }
    let finding = |sender: &[u8], repair| Finding {
        severity: Severity::Warning,
        rule: "A5",
        table: Table::Virtual,
        key: virtual_key(row),
        why: format!(
            "its mail is forwarded with the sender {}@{host}, and what comes back to that does not reach {owner}-{}",
            address_text(sender),
            printable(&of_owner),
        ),
        repair,
    };
    let sender = [&fold(user)[..], b"-owner"].concat();
    if !leads_to(ask, host, &sender, owner, &of_owner).await? {
        let new = virtual_row(owner, &of_owner, &sender, host);
        return Ok(Some(finding(&sender, Repair::Change(Change::Insert(new)))));
    }
    if !has(ask, owner, &[&[&of_owner[..], b"-default"].concat()]).await? {
        return Ok(None);
    }
    let (sender, wanted) = ([&sender[..], b"-", FRIEND].concat(), [&of_owner[..], b"-", FRIEND].concat());
    if leads_to(ask, host, &sender, owner, &wanted).await? {
        return Ok(None);
    }
    let is_like = ask.lookup.settings.virtual_patterns == VirtualPatterns::Like;
    let repair = if is_like && fold(user) == fold(ext) {
        let pattern = [&fold(user)[..], b"-owner-%"].concat();
        Repair::Change(Change::Insert(virtual_row(owner, b"@", &pattern, host)))
    } else {
        let text = "give the list's row the user part as ext, and the senders a pattern (rules.virtual_patterns = \
                    \"like\") or the host's catch-all, with ext @";
        Repair::Words(text.to_owned())
    };
    Ok(Some(finding(&sender, repair)))
}

fn virtual_row(owner: &Username, ext: &[u8], user: &[u8], host: &Host) -> TableRow {
    let cell = |bytes: &[u8]| Some(bytes.to_vec());
    TableRow::Virtual(VirtualRow {
        username: cell(owner.as_bytes()),
        ext: cell(ext),
        virtual_username: cell(user),
        virtual_host: cell(host.as_bytes()),
    })
}

/// Whether mail for `user` at `host` reaches `owner` with exactly this extension. What contradicts the rules is reported
/// by itself.
async fn leads_to(ask: &Ask, host: &Host, user: &[u8], owner: &Username, ext: &[u8]) -> Result<bool, Failure> {
    let local = Encoded { host: host.clone(), user }.encode();
    Ok(match ask.judge(Getpw { local }).await? {
        Ok(Owner::Mailbox { mailbox, ext: found, .. }) => mailbox.username == *owner && found.eq_ignore_ascii_case(ext),
        Ok(Owner::AliasUser { ext: found } | Owner::Stock { local: found }) => {
            let alias_user = ask.lookup.settings.alias_user.as_bytes();
            owner.as_bytes().eq_ignore_ascii_case(alias_user) && found.eq_ignore_ascii_case(ext)
        }
        Err(_) => true,
    })
}
