//! Which rows lead to the mailboxes, sets and addresses that an edit touches: they can be made wrong by it, although none
//! of their own cells change. Rather one too many than one too few: what is found is judged afterwards.

use super::mailbox::belongs_to;
use crate::Host;
use crate::alias::AliasRow;
use crate::key::{Username, fold};
use crate::rcpthosts::candidates;
use crate::settings::RuleSettings;
use crate::virtuals::VirtualRow;
use std::collections::{BTreeSet, HashSet};

/// What an edit touches. Hosts, users and extensions are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Mailboxes that will be gone.
    pub names: BTreeSet<Username>,
    /// Alias sets that will be gone, and lists that get an owner: user and extension.
    pub sets: BTreeSet<(Username, Vec<u8>)>,
    /// Virtual addresses whose row comes or goes: user part and host.
    pub addresses: HashSet<(Vec<u8>, Vec<u8>)>,
    /// Virtual hosts of which every address may go another way.
    pub hosts: HashSet<Vec<u8>>,
}

impl Touched {
    /// True if no other row can lead there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_owners() && !self.has_addresses()
    }

    /// True if owners of virtual rows are touched.
    #[must_use]
    pub fn has_owners(&self) -> bool {
        !self.names.is_empty() || !self.sets.is_empty()
    }

    /// True if addresses are touched.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        !self.addresses.is_empty() || !self.hosts.is_empty()
    }

    /// Takes the address of a virtual row, too: all of its host if the row is a catch-all or a pattern.
    pub fn add_address(&mut self, row: &VirtualRow) {
        let cell = |cell: &Option<Vec<u8>>| fold(cell.as_deref().unwrap_or_default());
        let (user, host) = (cell(&row.virtual_username), cell(&row.virtual_host));
        if user.is_empty() || user.iter().any(|byte| b"%_".contains(byte)) {
            self.hosts.insert(host);
        } else {
            self.addresses.insert((user, host));
        }
    }

    /// True if a virtual row leads to what is touched: by its owner, or by MAGIC FORWARDING to an address.
    #[must_use]
    pub fn is_led_to_by_owner(&self, row: &VirtualRow, rules: &RuleSettings) -> bool {
        let owner = fold(row.username.as_deref().unwrap_or_default());
        let ext = fold(row.ext.as_deref().unwrap_or_default());
        if rules.magic_forwarding && owner == b"forward" && ext.contains(&b'@') {
            return self.is_led_to_by_address(&ext, rules);
        }
        let breaks = rules.break_chars.as_bytes();
        if self.names.iter().any(|name| belongs_to(&owner, name, breaks)) {
            return true;
        }
        // An @ stands for any user part.
        let is_any = ext.contains(&b'@');
        let local = if ext.is_empty() { owner.clone() } else { [&owner[..], b"-", &ext].concat() };
        self.sets.iter().any(|(user, set)| {
            let is_alias_user = user.as_bytes().eq_ignore_ascii_case(rules.alias_user.as_bytes());
            match is_any {
                true => is_alias_user || belongs_to(&owner, user, breaks),
                false => reaches(&local, user, set, rules),
            }
        })
    }

    /// True if a row of table alias forwards to what is touched.
    #[must_use]
    pub fn is_led_to_by_forward(&self, row: &AliasRow, rules: &RuleSettings) -> bool {
        let cell = |cell: &Option<Vec<u8>>| fold(cell.as_deref().unwrap_or_default());
        let (user, host) = (cell(&row.alias_username), cell(&row.alias_host));
        self.is_target(&user, &host, rules)
    }

    fn is_led_to_by_address(&self, address: &[u8], rules: &RuleSettings) -> bool {
        let at = address.iter().rposition(|&byte| byte == b'@').unwrap_or(address.len());
        let host = address.get(at.saturating_add(1)..).unwrap_or_default();
        self.is_target(address.get(..at).unwrap_or_default(), host, rules)
    }

    fn is_target(&self, user: &[u8], host: &[u8], rules: &RuleSettings) -> bool {
        // Of a host that is local the user part is a name.
        self.names.iter().any(|name| belongs_to(user, name, rules.break_chars.as_bytes()))
            || self.sets.iter().any(|(name, set)| reaches(user, name, set, rules))
            || self.has_addresses() && candidates(host).iter().map(Host::as_bytes).any(|key| self.has(user, key))
    }

    fn has(&self, user: &[u8], host: &[u8]) -> bool {
        self.hosts.contains(host) || self.addresses.contains(&(user.to_vec(), host.to_vec()))
    }
}

/// True if mail for the local part `local` may be delivered by the set `ext` of `user`.
fn reaches(local: &[u8], user: &Username, ext: &[u8], rules: &RuleSettings) -> bool {
    let breaks = rules.break_chars.as_bytes();
    let rest = belongs_to(local, user, breaks).then(|| local.get(user.as_bytes().len() + 1..).unwrap_or_default());
    let is_alias_user = user.as_bytes().eq_ignore_ascii_case(rules.alias_user.as_bytes());
    let all = is_alias_user.then_some(local);
    rest.into_iter().chain(all).any(|asked| comes_from(asked, ext))
}

/// True if the extension `asked` may be answered by the set `ext`: it is that one, or the set stands for many.
#[must_use]
pub fn comes_from(asked: &[u8], ext: &[u8]) -> bool {
    let stem = ext.strip_suffix(b"default").or_else(|| ext.strip_suffix(b"@"));
    asked.eq_ignore_ascii_case(ext)
        || stem.is_some_and(|stem| asked.get(..stem.len()).is_some_and(|front| front.eq_ignore_ascii_case(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Username {
        Username::new(text.as_bytes()).unwrap()
    }

    fn virtual_row(owner: &str, ext: &str, address: &str) -> VirtualRow {
        let (user, host) = address.split_once('@').unwrap();
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        VirtualRow { username: cell(owner), ext: cell(ext), virtual_username: cell(user), virtual_host: cell(host) }
    }

    fn forward(to: &str) -> AliasRow {
        let (user, host) = to.split_once('@').unwrap();
        AliasRow {
            alias_username: Some(user.as_bytes().to_vec()),
            alias_host: Some(host.as_bytes().to_vec()),
            ..AliasRow::default()
        }
    }

    #[test]
    fn a_mailbox_is_led_to_by_its_name_and_its_extensions() {
        let touched = Touched { names: [name("iain")].into(), ..Touched::default() };
        let rules = RuleSettings::default();
        for (owner, expected) in [("iain", true), ("Iain-x", true), ("iainx", false), ("bob", false)] {
            assert_eq!(touched.is_led_to_by_owner(&virtual_row(owner, "", "g@bar.com"), &rules), expected, "{owner}");
            let to = forward(&format!("{owner}@mail.test"));
            assert_eq!(touched.is_led_to_by_forward(&to, &rules), expected, "{owner}");
        }
        let magic = RuleSettings { magic_forwarding: true, ..RuleSettings::default() };
        let row = virtual_row("forward", "iain@mail.test", "g@bar.com");
        assert!(touched.is_led_to_by_owner(&row, &magic) && !touched.is_led_to_by_owner(&row, &rules));
    }

    #[test]
    fn a_set_is_led_to_by_what_it_answers() {
        let rules = RuleSettings::default();
        let led = |user: &str, set: &str, owner: &str, ext: &str| {
            let touched = Touched { sets: [(name(user), set.as_bytes().to_vec())].into(), ..Touched::default() };
            touched.is_led_to_by_owner(&virtual_row(owner, ext, "g@bar.com"), &rules)
        };
        assert!(led("alias", "news", "news", "") && led("alias", "news", "alias", "news"));
        assert!(led("alias", "@", "news", "") && !led("alias", "news", "other", ""));
        assert!(led("iain", "work", "iain", "work") && led("iain", "work", "iain-work", ""));
        assert!(led("iain", "@", "iain", "other") && led("iain", "work", "iain", "@"));
        assert!(led("iain", "list-owner-default", "iain", "list-owner-x"));
        assert!(!led("iain", "work", "iain", "other") && !led("iain", "work", "bob", "work"));
    }

    #[test]
    fn an_address_is_led_to_by_forwards_to_it_or_to_its_host() {
        let rules = RuleSettings::default();
        let mut touched = Touched::default();
        touched.add_address(&virtual_row("iain", "", "Sales@bar.com"));
        touched.add_address(&virtual_row("iain", "", "@catch.org"));
        touched.add_address(&virtual_row("iain", "", "x@.wild.org"));
        for (to, expected) in [
            ("sales@BAR.com", true),
            ("info@bar.com", false),
            ("any@catch.org", true),
            ("x@sub.wild.org", true),
            ("y@sub.wild.org", false),
            ("sales@", false),
        ] {
            assert_eq!(touched.is_led_to_by_forward(&forward(to), &rules), expected, "{to}");
        }
    }
}
