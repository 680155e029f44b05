//! What is to be done with the message, in order: the same kind of list whether rows or files say it.

use super::home;
use super::loops::HOPS_MAX;
use super::parse::{self, Step};
use super::recipient::Recipient;
use super::report::{Ending, Outcome};
use super::search;
use qmail_lookup_core::Instruction;
use qmail_lookup_core::rules::{Delivery, NO_MAILBOX, OwnerFlags, Set};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order; empty if a file holds only comments, which drops the message as its owner wants.
    pub steps: Vec<Step>,
    /// What DEFAULT is set to, if anything.
    pub default: Option<Vec<u8>>,
    /// Which owners exist as rows; files may say so too.
    pub owner: OwnerFlags,
}

/// Reads what the daemon said. `hops` is the number of lines in the header that machines on the way have left.
///
/// # Errors
/// The daemon's bounces and deferrals; a bounce for an extension that neither rows nor files know, and of rows that
/// would forward a message that has been forwarded for ever; a deferral if a file cannot be read.
pub fn of(said: Delivery, recipient: &Recipient, alias_empty: &[u8], hops: usize) -> Outcome<Plan> {
    match said {
        Delivery::Bounce(text) => Err(Ending::bounce(&[text.as_bytes()])),
        Delivery::Defer(text) => Err(Ending::defer(&[text.as_bytes()])),
        Delivery::Rows { set, instructions, owner } => {
            // Delivered-To stops every loop that comes back to this address; this one the others.
            if hops >= HOPS_MAX && instructions.iter().any(|i| matches!(i, Instruction::Forward(_))) {
                return Err(Ending::bounce(&[b"This message is looping: too many hops. (#5.4.6)"]));
            }
            let default = match set {
                Set::Exact => search::default_of_exact(&recipient.ext),
                Set::Default(begin) => Some(recipient.ext.get(begin..).unwrap_or_default().to_vec()),
            };
            Ok(Plan { steps: instructions.into_iter().map(Step::Do).collect(), default, owner })
        }
        Delivery::Files { owner } => {
            let by_hand = |default| Plan { steps: parse::steps(alias_empty, false), default, owner };
            match search::find(&recipient.dash, &recipient.ext)? {
                Some(found) if found.text.is_empty() => Ok(by_hand(found.default)),
                Some(found) => {
                    Ok(Plan { steps: parse::steps(&found.text, found.forward_only), default: found.default, owner })
                }
                None if !home::is_there() => Err(Ending::defer(&[b"Home directory has been removed. (#4.3.0)"])),
                None if recipient.dash.is_empty() => Ok(by_hand(None)),
                None => Err(Ending::bounce(&[NO_MAILBOX.as_bytes()])),
            }
        }
    }
}
