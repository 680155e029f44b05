//! Keys of rows, and other bytes, as people read them.

use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::{AliasRow, VirtualRow};

/// An address in a sentence.
pub(super) fn address_text(address: &[u8]) -> String {
    printable(address)
}

/// `iain`, or `iain-list`.
pub(super) fn alias_key(row: &AliasRow) -> String {
    let username = fold(row.username.as_deref().unwrap_or_default());
    match row.alias.as_deref().unwrap_or_default() {
        b"" => printable(&username),
        alias => printable(&[&username[..], b"-", &fold(alias)].concat()),
    }
}

/// `sales@bar.com`; for a catch-all `@bar.com`.
pub(super) fn virtual_key(row: &VirtualRow) -> String {
    let user = fold(row.virtual_username.as_deref().unwrap_or_default());
    let host = fold(row.virtual_host.as_deref().unwrap_or_default());
    printable(&[&user[..], b"@", &host].concat())
}
