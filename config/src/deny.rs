//! The uids and gids that no mailbox may have (rule K3), as they are on this system.

use crate::error::{Place, Warning};
use nix::unistd::{Group, User};
use qmail_lookup_core::settings::RuleSettings;

/// qmail's own users. The alias user is not among them: it is a mailbox of sorts, and the rules know it by name.
pub const USERS: [&str; 5] = ["qmailq", "qmails", "qmailr", "qmailp", "qmaill"];

/// Groups whose members can become root or read what only root should.
pub const GROUPS: [&str; 5] = ["root", "disk", "shadow", "sudo", "docker"];

/// Adds the ids of [`USERS`] and [`GROUPS`] that exist here. A name that could not be looked up is a warning.
pub(crate) fn extend(rules: &mut RuleSettings) -> Vec<Warning> {
    let user = |name: &str| User::from_name(name).map(|user| user.map(|user| user.uid.as_raw()));
    let group = |name: &str| Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()));
    let mut warnings = add(&mut rules.deny_uids, "user", &USERS, user);
    warnings.extend(add(&mut rules.deny_gids, "group", &GROUPS, group));
    warnings
}

fn add<E: std::fmt::Display>(
    ids: &mut Vec<u32>,
    what: &str,
    names: &[&str],
    find: impl Fn(&str) -> Result<Option<u32>, E>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for name in names {
        match find(name) {
            Ok(Some(id)) if !ids.contains(&id) => ids.push(id),
            Ok(_) => {}
            Err(error) => {
                let text = format!("{what} {name} could not be looked up ({error}), so its id is not refused in rows");
                warnings.push(Warning::unwise(Place::Nowhere, format!("rules.deny_{}ids", initial(what)), text));
            }
        }
    }
    warnings
}

fn initial(what: &str) -> &str {
    what.get(..1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_added_once_and_a_failed_look_up_is_said() {
        let mut ids = vec![7];
        let warnings = add(&mut ids, "group", &["a", "b", "c", "d", "e"], |name| match name {
            "a" => Ok(Some(7)),
            "b" | "d" => Ok(Some(9)),
            "c" => Ok(None),
            _ => Err("no answer"),
        });
        assert_eq!(ids, [7, 9]);
        let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let text = "configuration: rules.deny_gids: group e could not be looked up (no answer), so its id is not \
                    refused in rows";
        assert_eq!(said, [text]);
    }

    #[test]
    fn root_is_found_on_every_system() {
        let mut rules = RuleSettings::default();
        let warnings = extend(&mut rules);
        assert_eq!(warnings, []);
        assert!(rules.deny_gids.contains(&0), "{rules:?}");
    }
}
