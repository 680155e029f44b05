//! What the importers of vpopmail and postfixadmin have in common.

use super::losses::Losses;
use crate::cli;
use crate::output::Failure;
use qmail_lookup_core::import::book::Given;
use qmail_lookup_core::import::tally::Tally;
use qmail_lookup_core::settings::RuleSettings;

/// What the options say of every mailbox.
///
/// # Errors
/// Unless they say both uid and gid.
pub(super) fn given(options: &cli::Import, losses: &mut Losses) -> Result<Given, Failure> {
    let (Some(uid), Some(gid)) = (options.uid, options.gid) else {
        let what =
            "--uid UID and --gid GID are needed: those that the homes belong to, which the database does not say";
        return Err(Failure::usage(what));
    };
    let rules = RuleSettings::default();
    for (option, own, smallest) in [("uid", uid, rules.min_uid), ("gid", gid, rules.min_gid)] {
        if own < smallest {
            let why = format!(
                "below {smallest}: mail for all these mailboxes waits, and nobody can log in, until rules.min_{option} is \
                 {own} or less (rule K3)"
            );
            losses.note(format!("--{option} {own}"), why);
        }
    }
    Ok(Given { uid, gid, alias_user: rules.alias_user.as_bytes().to_vec() })
}

/// Adds what was counted.
pub(super) fn tell(tally: &Tally, losses: &mut Losses) {
    for kind in tally.list() {
        if kind.is_loss {
            losses.add(kind.about, kind.why);
        } else {
            losses.note(kind.about, kind.why);
        }
    }
}
