//! The uids and gids that no mailbox may have (rule K3), as they are on this system.

use nix::unistd::{Group, User};
use qmail_lookup_core::settings::RuleSettings;

/// qmail's own users, and the daemon's. The alias user is not among them: it is a mailbox of sorts, and the rules know it by name.
pub const USERS: [&str; 6] = ["qmailq", "qmails", "qmailr", "qmailp", "qmaill", "qmail-lookup"];

/// Groups whose members can become root or read what only root should.
pub const GROUPS: [&str; 5] = ["root", "disk", "shadow", "sudo", "docker"];

/// Adds the ids of [`USERS`] and [`GROUPS`] that exist here. If a name could not be looked up, the rules are told: they
/// then believe no row.
pub(crate) fn extend(rules: &mut RuleSettings) {
    let user = |name: &str| User::from_name(name).map(|user| user.map(|user| user.uid.as_raw()));
    let group = |name: &str| Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()));
    let users = add(&mut rules.deny_uids, "user", &USERS, user);
    let groups = add(&mut rules.deny_gids, "group", &GROUPS, group);
    rules.deny_unknown = users.or(groups);
}

fn add<E: std::fmt::Display>(
    ids: &mut Vec<u32>,
    what: &str,
    names: &[&str],
    find: impl Fn(&str) -> Result<Option<u32>, E>,
) -> Option<String> {
    let mut unknown = None;
    for name in names {
        match find(name) {
            Ok(Some(id)) if !ids.contains(&id) => ids.push(id),
            Ok(_) => {}
            Err(error) => unknown = Some(format!("{what} {name} could not be looked up ({error})")),
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_added_once_and_a_failed_look_up_is_said() {
        let mut ids = vec![7];
        let unknown = add(&mut ids, "group", &["a", "b", "c", "d", "e"], |name| match name {
            "a" => Ok(Some(7)),
            "b" | "d" => Ok(Some(9)),
            "c" => Ok(None),
            _ => Err("no answer"),
        });
        assert_eq!(ids, [7, 9]);
        assert_eq!(unknown.as_deref(), Some("group e could not be looked up (no answer)"));
    }

    #[test]
    fn root_is_found_on_every_system() {
        let mut rules = RuleSettings::default();
        extend(&mut rules);
        assert_eq!(rules.deny_unknown, None);
        assert!(rules.deny_gids.contains(&0), "{rules:?}");
    }
}
