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

/// A word of a command for /bin/sh; `None` if it is no text.
pub(super) fn quoted(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-=+:,@%".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_in_a_command_as_one_word_or_not_at_all() {
        assert_eq!(quoted(b"/home/mail/iain").as_deref(), Some("/home/mail/iain"));
        assert_eq!(quoted(b"/home/o'neill; rm -r x").as_deref(), Some(r"'/home/o'\''neill; rm -r x'"));
        assert_eq!(quoted(b"/home/\xff"), None);
        assert_eq!(quoted(b"/home/\x1b"), None);
    }
}
