//! How a mailbox's mail is delivered (rules A1, A4, A5, P3).

use super::Stop;
use super::facts::Facts;
use super::local::Route;
use crate::alias::{AliasRow, Instruction, instructions};
use crate::error::printable;
use crate::key::{AliasKey, Ext, Username};
use crate::limits::BREAKS_MAX;
use crate::mailbox::{Mailbox, Standing};
use crate::settings::SuspendedMail;
use std::borrow::Cow;

/// The bounce for a recipient that does not exist, in qmail's words.
pub const NO_MAILBOX: &str = "Sorry, no mailbox here by that name. (#5.1.1)";

/// Which rows matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Those of the extension itself.
    Exact,
    /// Those of alias `@`, or of a list's owner (`X-owner-default`): whatever is behind this offset of the extension, in
    /// bytes, was not named.
    Default(usize),
}

/// Whether `-owner` and `-owner-default` exist as rows (rule A5); files may say so too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerFlags {
    /// The row `EXT-owner`.
    pub owner: bool,
    /// The row `EXT-owner-default`.
    pub owner_default: bool,
    /// Files of such names say nothing: these instructions are not those of an extension (rule V6).
    pub no_files: bool,
}

/// What happens to the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// These instructions, in order.
    Rows {
        /// Which rows they are.
        set: Set,
        /// At least one.
        instructions: Vec<Instruction>,
        /// See [`OwnerFlags`].
        owner: OwnerFlags,
    },
    /// There are no rows: qmail's own files decide (rule A4).
    Files {
        /// See [`OwnerFlags`].
        owner: OwnerFlags,
    },
    /// A bounce with this text.
    Bounce(Cow<'static, str>),
    /// A deferral with this text.
    Defer(Cow<'static, str>),
}

/// Decides the delivery of a route. `alias_home` is the home of the alias user.
pub(super) fn delivery(facts: &Facts<'_>, route: &Route, alias_home: &[u8]) -> Result<Delivery, Stop> {
    let alias_user = Username::new(facts.settings.alias_user.as_bytes());
    match route {
        Route::Unknown => Ok(Delivery::Bounce(NO_MAILBOX.into())),
        Route::Forward(address) => {
            let instructions = vec![Instruction::Forward(address.clone())];
            let owner = OwnerFlags { no_files: true, ..OwnerFlags::default() };
            Ok(Delivery::Rows { set: Set::Exact, instructions, owner })
        }
        Route::Mailbox { mailbox, ext, .. } => of_mailbox(facts, mailbox, ext),
        Route::AliasUser { ext, address } => match alias_user {
            Some(user) => {
                let exts = Exts { ext, own: Own::NamesAndAddresses, address: address.as_ref() };
                rows(facts, &user, exts, alias_home)
            }
            None => Ok(Delivery::Files { owner: OwnerFlags::default() }),
        },
        // If no system user has the name, the stock program ends at the alias user with the whole local part.
        Route::Stock { local } => match alias_user {
            Some(user) => rows(facts, &user, Exts { ext: local, own: Own::Names, address: None }, alias_home),
            None => Ok(Delivery::Files { owner: OwnerFlags::default() }),
        },
    }
}

/// The mail of a mailbox, with this extension (rule P3, then A1).
pub(super) fn of_mailbox(facts: &Facts<'_>, mailbox: &Mailbox, ext: &[u8]) -> Result<Delivery, Stop> {
    let refused = match (mailbox.standing, facts.settings.suspended_mail) {
        (Standing::Active, _) | (Standing::Suspended, SuspendedMail::Deliver) => None,
        (Standing::Suspended, SuspendedMail::Defer) => Some(Delivery::Defer("Mailbox is suspended. (#4.2.1)".into())),
        (Standing::Suspended, SuspendedMail::Bounce) | (Standing::Bounced, _) => {
            Some(Delivery::Bounce("Sorry, this mailbox is suspended. (#5.2.1)".into()))
        }
    };
    match refused {
        Some(refused) => {
            facts.note("P3", || format!("mailbox {} is suspended", mailbox.username));
            Ok(refused)
        }
        None => {
            let exts = Exts { ext, own: Own::NamesAndAddresses, address: None };
            rows(facts, &mailbox.username, exts, &mailbox.home)
        }
    }
}

/// Under which extensions rows may stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exts<'a> {
    /// The extension of the delivery.
    pub(super) ext: &'a [u8],
    /// Which rows of that extension count.
    pub(super) own: Own,
    /// A second one: the whole virtual address.
    pub(super) address: Option<&'a Ext>,
}

/// Which rows of an extension count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// All.
    NamesAndAddresses,
    /// Not those whose alias is an address of a virtual host: this extension was typed as a local part at a local host,
    /// by whoever wants to get around table virtual.
    Names,
}

/// The instructions of `(user, ext)`: exact rows, then those of `address`, then those of an owner that gets the bounces
/// of a list, then those of `@` (rule A1). Everything is asked for at once.
pub(super) fn rows(facts: &Facts<'_>, user: &Username, exts: Exts<'_>, home: &[u8]) -> Result<Delivery, Stop> {
    let Exts { ext, own, address } = exts;
    let suffixed = |suffix: &[u8]| match ext {
        b"" => Ext::new(suffix.strip_prefix(b"-").unwrap_or(suffix)),
        _ => Ext::new(&[ext, suffix].concat()),
    };
    // An extension that is itself an @ has no row of its own, as it would have no file but the default.
    let counts = |own_ext: &Ext| own_ext.as_str() != "@" && (own == Own::NamesAndAddresses || !ext.contains(&b'@'));
    let mut choices = Vec::new();
    choices.extend(Ext::new(ext).filter(counts).map(|key| (key, Set::Exact)));
    choices.extend(address.cloned().map(|key| (key, Set::Exact)));
    choices.extend(owners_of_lists(ext));
    choices.extend(Ext::new(b"@").filter(|_| !ext.is_empty()).map(|key| (key, Set::Default(0))));
    let (owner, owner_default) = (suffixed(b"-owner"), suffixed(b"-owner-default"));
    let mut wanted: Vec<Ext> = Vec::new();
    for key in choices.iter().map(|(key, _)| key).chain(&owner).chain(&owner_default) {
        if !wanted.contains(key) {
            wanted.push(key.clone());
        }
    }
    let keys = wanted.into_iter().map(|alias| AliasKey { username: user.clone(), alias }).collect();
    let all = facts.aliases("A1", keys)?;
    let of = |key: &Ext| -> Vec<AliasRow> {
        let matches = |row: &&AliasRow| user.matches(row.username.as_deref()) && key.matches(row.alias.as_deref());
        all.iter().filter(matches).cloned().collect()
    };
    let exists = |key: &Option<Ext>| key.as_ref().is_some_and(|key| !of(key).is_empty());
    let flags = OwnerFlags { owner: exists(&owner), owner_default: exists(&owner_default), no_files: false };
    for (key, set) in choices {
        let found = of(&key);
        if !found.is_empty() {
            let instructions = instructions(&found, home, facts.settings)?;
            facts.note("A1", || format!("{} row(s) of alias '{key}' of {user}", found.len()));
            return Ok(Delivery::Rows { set, instructions, owner: flags });
        }
    }
    facts.note("A4", || format!("no alias rows for '{}' of {user}: qmail's own files decide", printable(ext)));
    Ok(Delivery::Files { owner: flags })
}

/// The keys under which somebody gets what comes back from the recipients of a list (rule A5): for `X-owner-RECIPIENT`
/// that is `X-owner-default`, longest X first.
fn owners_of_lists(ext: &[u8]) -> Vec<(Ext, Set)> {
    const OWNER: &[u8] = b"owner-";
    let begins = |at: &usize| {
        let (head, tail) = ext.split_at_checked(*at).unwrap_or_default();
        (head.is_empty() || head.ends_with(b"-"))
            && tail.get(..OWNER.len()).is_some_and(|word| word.eq_ignore_ascii_case(OWNER))
    };
    let ends: Vec<usize> = (0..ext.len()).filter(begins).map(|at| at + OWNER.len()).take(BREAKS_MAX).collect();
    let key = |end: usize| Ext::new(&[ext.get(..end)?, b"default"].concat());
    ends.into_iter().rev().filter_map(|end| Some((key(end)?, Set::Default(end)))).collect()
}
