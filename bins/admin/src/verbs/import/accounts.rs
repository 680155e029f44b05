//! What the importers of vpopmail and postfixadmin have in common.

use super::dump::Dump;
use super::losses::Losses;
use crate::cli;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::Table;
use qmail_lookup_core::import::book::Given;
use qmail_lookup_core::import::tally::Tally;
use std::io::BufRead;

/// What the options say of every mailbox.
///
/// # Errors
/// Unless they say both uid and gid.
pub(super) fn given(session: &Session, options: &cli::Import, losses: &mut Losses) -> Result<Given, Failure> {
    let (Some(uid), Some(gid)) = (options.uid, options.gid) else {
        let what =
            "--uid UID and --gid GID are needed: those that the homes belong to, which the database does not say";
        return Err(Failure::usage(what));
    };
    let rules = &session.config.rules;
    for (option, own, smallest) in [("uid", uid, rules.min_uid), ("gid", gid, rules.min_gid)] {
        if own < smallest {
            let why = format!(
                "below {smallest}: mail for all these mailboxes waits, and nobody can log in, until rules.min_{option} is \
                 {own} or less (rule K3)"
            );
            losses.note(format!("--{option} {own}"), why);
        }
    }
    Ok(Given { uid, gid, alias_user: rules.alias_user.as_bytes().to_vec(), patterns: rules.virtual_patterns })
}

/// A table of the other system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed {
    pub(super) name: &'static str,
    /// Where its rows, or most of them, go.
    pub(super) ours: Table,
    pub(super) is_found: Found,
}

/// How common a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Every site has it, and rows in it.
    WithRows,
    /// Nearly every site has it.
    Mostly,
    /// Many sites do not have it.
    Rarely,
}

/// Tells which of these tables a dump that was read to its end has no rows of.
pub(super) fn tell_missing<R: BufRead>(dump: &Dump<R>, needed: &[Needed], losses: &mut Losses) {
    for needed in needed {
        let what = format!("table {}", needed.name);
        match (dump.rows_of(needed.name), needed.is_found) {
            (None, Found::Rarely) => losses.note(&what, "is not in the dump"),
            (None, _) => losses.add(&what, "is not in the dump: what it says is not carried over"),
            (Some(0), Found::WithRows) => losses.add(&what, "has no rows in the dump"),
            (Some(_), _) => continue,
        }
        losses.lacks(&what, needed.ours);
    }
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
