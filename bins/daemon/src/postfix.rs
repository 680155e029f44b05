//! What Postfix' maps can be told of how an address is delivered.
//!
//! | map | found | absent |
//! |---|---|---|
//! | `virtual_mailbox` | the path of the first Maildir or mbox of the instructions, or `HOME/Maildir/` where files decide | only forwards, which `virtual_alias` has |
//! | `virtual_alias` | the forwards; with the address itself if a mailbox has other instructions too | a mailbox without forwards, which `virtual_mailbox` has |
//! | `virtual_uid`, `virtual_gid` | the mailbox's | only forwards of nobody's mailbox |
//!
//! Absent in all of them: what bounces (also a suspended mailbox where the rules say so), and addresses that are not ours.
//! A suspended mailbox whose mail is delivered is found like any other.
//!
//! Postfix refuses an address for good once `virtual_alias` and then `virtual_mailbox` have said absent, and defers it if
//! either is temporary. So at most one of the two is absent for an address that qmail could deliver, and only if the
//! other says found, or temporary. Temporary:
//!
//! - what the rules defer;
//! - programs, and addresses that Postfix' list of addresses would tear apart;
//! - what the alias user gets by other rows than forwards: no map can have it delivered as him, and with the forwards
//!   alone the rest would be lost;
//! - mail that goes to the alias user or by the stock program without rows: qmail's own files decide, which may deliver,
//!   forward or bounce. That is so for every host of control/locals. One that Postfix delivers by itself (its
//!   `mydestination`) must not stand there.
//!
//! After a whole address Postfix asks for its local part alone, and for `@HOST`. These are absent: all there is to say
//! was said before, and instructions of the empty user part would be somebody else's.

use qmail_lookup_core::rules::{Delivery, Outcome, Route};
use qmail_lookup_core::{Instruction, Mailbox};
use std::borrow::Cow;

/// An answer to a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    Found(Vec<u8>),
    Absent,
    Temporary(Cow<'static, str>),
}

/// Why nothing is said where no rows are.
pub(crate) const FILES: &str = "qmail's own files decide; Postfix cannot be told";
const PROGRAM: &str = "the instructions hold a program, which Postfix' maps cannot express";
const ODD_FORWARD: &str = "the instructions hold an address that Postfix' maps cannot express";
const ALIAS_USER: &str = "the alias user gets this mail, and not only by forwards; Postfix' maps cannot express that";

/// Bytes that end an address in a list of addresses, or mean something else in one. Source: RFC 5322.
const SPECIAL: &[u8] = b",;:<>()[]\"\\";

/// True if `key` is a user part and a host, and not one of the shorter keys that Postfix tries later.
pub(crate) fn is_address(key: &[u8]) -> bool {
    key.iter().rposition(|&b| b == b'@').is_some_and(|at| at > 0 && at + 1 < key.len())
}

/// `virtual_mailbox_maps`: a path, with a slash behind it if it is a Maildir. `address` is the one asked for.
pub(crate) fn mailbox(outcome: &Outcome, address: &[u8]) -> Mapped {
    let (mailbox, instructions) = match owner(outcome) {
        Owner::Mailbox(mailbox, Some(instructions)) => (mailbox, instructions),
        Owner::Mailbox(mailbox, None) => return Mapped::Found(below(&mailbox.home, b"Maildir/")),
        Owner::AliasUser(instructions) => return left_to_alias(forwards(instructions, None)),
        Owner::Nobody(mapped) => return mapped,
    };
    if has_program(instructions) {
        return Mapped::Temporary(PROGRAM.into());
    }
    let path = instructions.iter().find_map(|instruction| match instruction {
        Instruction::Maildir(path) | Instruction::Mbox(path) => Some(path),
        Instruction::Program(_) | Instruction::Forward(_) => None,
    });
    match path {
        Some(path) => Mapped::Found(below(&mailbox.home, path)),
        None => left_to_alias(forwards(instructions, Some(address))),
    }
}

/// `virtual_alias_maps`: addresses with commas between them. `address` is the one asked for.
pub(crate) fn alias(outcome: &Outcome, address: &[u8]) -> Mapped {
    match owner(outcome) {
        Owner::Mailbox(_, Some(instructions)) => forwards(instructions, Some(address)),
        Owner::Mailbox(_, None) => Mapped::Absent,
        Owner::AliasUser(instructions) => forwards(instructions, None),
        Owner::Nobody(mapped) => mapped,
    }
}

/// `virtual_uid_maps`.
pub(crate) fn uid(outcome: &Outcome) -> Mapped {
    id(outcome, |mailbox| mailbox.uid)
}

/// `virtual_gid_maps`.
pub(crate) fn gid(outcome: &Outcome) -> Mapped {
    id(outcome, |mailbox| mailbox.gid)
}

fn id(outcome: &Outcome, of: impl Fn(&Mailbox) -> u32) -> Mapped {
    match owner(outcome) {
        Owner::Mailbox(mailbox, _) => Mapped::Found(of(mailbox).to_string().into_bytes()),
        Owner::AliasUser(instructions) => left_to_alias(forwards(instructions, None)),
        Owner::Nobody(mapped) => mapped,
    }
}

/// Whose the mail is, as far as Postfix is concerned.
enum Owner<'a> {
    /// A mailbox's, by the instructions of its rows; without rows, files decide.
    Mailbox(&'a Mailbox, Option<&'a [Instruction]>),
    /// The alias user's, by these instructions.
    AliasUser(&'a [Instruction]),
    /// This is all there is to say.
    Nobody(Mapped),
}

fn owner(outcome: &Outcome) -> Owner<'_> {
    match (&outcome.route, &outcome.delivery) {
        (None | Some(Route::Unknown), _) | (_, None | Some(Delivery::Bounce(_))) => Owner::Nobody(Mapped::Absent),
        (_, Some(Delivery::Defer(why))) => Owner::Nobody(Mapped::Temporary(why.clone())),
        (Some(Route::Mailbox { mailbox, .. }), Some(Delivery::Rows { instructions, .. })) => {
            Owner::Mailbox(mailbox, Some(instructions))
        }
        (Some(Route::Mailbox { mailbox, .. }), Some(Delivery::Files { .. })) => Owner::Mailbox(mailbox, None),
        (_, Some(Delivery::Rows { instructions, .. })) => Owner::AliasUser(instructions),
        (_, Some(Delivery::Files { .. })) => Owner::Nobody(Mapped::Temporary(FILES.into())),
    }
}

/// The forwards, and `itself` if there are other instructions too: what comes back to it, `virtual_mailbox` delivers.
/// `None` if there is no mailbox that could follow them.
fn forwards(instructions: &[Instruction], itself: Option<&[u8]>) -> Mapped {
    let targets = instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Forward(to) => Some(&to[..]),
        Instruction::Program(_) | Instruction::Mbox(_) | Instruction::Maildir(_) => None,
    });
    let mut list: Vec<&[u8]> = targets.collect();
    match itself {
        _ if list.len() == instructions.len() => {}
        Some(_) if list.is_empty() => return Mapped::Absent,
        _ if has_program(instructions) => return Mapped::Temporary(PROGRAM.into()),
        Some(address) => list.push(address),
        None => return Mapped::Temporary(ALIAS_USER.into()),
    }
    if list.iter().any(|to| to.iter().any(|b| SPECIAL.contains(b))) {
        return Mapped::Temporary(ODD_FORWARD.into());
    }
    Mapped::Found(list.join(&b","[..]))
}

/// What the other maps say where `virtual_alias` says `mapped`: nothing, if it has everything.
fn left_to_alias(mapped: Mapped) -> Mapped {
    match mapped {
        Mapped::Found(_) | Mapped::Absent => Mapped::Absent,
        Mapped::Temporary(why) => Mapped::Temporary(why),
    }
}

fn has_program(instructions: &[Instruction]) -> bool {
    instructions.iter().any(|instruction| matches!(instruction, Instruction::Program(_)))
}

/// A path from the root; a relative one begins at the home.
fn below(home: &[u8], path: &[u8]) -> Vec<u8> {
    if path.first() == Some(&b'/') {
        return path.to_vec();
    }
    let home = home.strip_suffix(b"/").unwrap_or(home);
    [home, b"/", path.strip_prefix(b"./").unwrap_or(path)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::Username;
    use qmail_lookup_core::mailbox::Standing;
    use qmail_lookup_core::rules::{OwnerFlags, Set, Verdict};

    fn route() -> Route {
        let mailbox = Mailbox {
            username: Username::new(b"bob").unwrap(),
            uid: 800,
            gid: 100,
            home: b"/home/bob/".to_vec(),
            standing: Standing::Active,
        };
        Route::Mailbox { mailbox, dash: b"", ext: Vec::new() }
    }

    fn outcome(route: Option<Route>, delivery: Option<Delivery>) -> Outcome {
        Outcome { verdict: Verdict::Deliver, route, delivery }
    }

    fn rows(instructions: &[&str]) -> Outcome {
        let read = |line: &&str| {
            let text = line.as_bytes()[1..].to_vec();
            match line.as_bytes()[0] {
                b'|' => Instruction::Program(text),
                b'&' => Instruction::Forward(text),
                _ if line.ends_with('/') => Instruction::Maildir(line.as_bytes().to_vec()),
                _ => Instruction::Mbox(line.as_bytes().to_vec()),
            }
        };
        let instructions = instructions.iter().map(read).collect();
        outcome(Some(route()), Some(Delivery::Rows { set: Set::Exact, instructions, owner: OwnerFlags::default() }))
    }

    fn words(mapped: Mapped) -> String {
        match mapped {
            Mapped::Found(value) => String::from_utf8(value).unwrap(),
            Mapped::Absent => "absent".to_owned(),
            Mapped::Temporary(why) => format!("temporary: {why}"),
        }
    }

    #[test]
    fn rows_become_paths_and_addresses() {
        let program = format!("temporary: {PROGRAM}");
        let odd = format!("temporary: {ODD_FORWARD}");
        let cases = [
            (&["./Maildir/"][..], "/home/bob/Maildir/", "absent"),
            (&["./x/../Mailbox", "./Maildir/"], "/home/bob/x/../Mailbox", "absent"),
            (&["/var/mail/bob", "&a@b.org"], "/var/mail/bob", "a@b.org,bob@v.org"),
            (&["&a@b.org", "&real"], "absent", "a@b.org,real"),
            (&["|prog"], &program, "absent"),
            (&["|prog", "&a@b.org"], &program, &program),
            (&["&a,b@c.org"], &odd, &odd),
            (&["&\"a b\"@c.org"], &odd, &odd),
        ];
        for (lines, path, forwards) in cases {
            let outcome = rows(lines);
            assert_eq!(words(mailbox(&outcome, b"bob@v.org")), path, "{lines:?}");
            assert_eq!(words(alias(&outcome, b"bob@v.org")), forwards, "{lines:?}");
            assert_eq!((words(uid(&outcome)), words(gid(&outcome))), ("800".to_owned(), "100".to_owned()));
        }
    }

    #[test]
    fn files_mean_the_usual_maildir() {
        let files = outcome(Some(route()), Some(Delivery::Files { owner: OwnerFlags::default() }));
        assert_eq!(words(mailbox(&files, b"x")), "/home/bob/Maildir/");
        assert_eq!((words(alias(&files, b"x")), words(uid(&files))), ("absent".to_owned(), "800".to_owned()));
    }

    /// What all the maps say: mailbox, alias, uid, gid.
    fn all(outcome: &Outcome) -> [Mapped; 4] {
        [mailbox(outcome, b"x@v.org"), alias(outcome, b"x@v.org"), uid(outcome), gid(outcome)]
    }

    fn files() -> Option<Delivery> {
        Some(Delivery::Files { owner: OwnerFlags::default() })
    }

    /// The routes that end at the alias user.
    fn routes() -> [Route; 3] {
        let address = qmail_lookup_core::Ext::new(b"x@v.org");
        [
            Route::AliasUser { ext: b"x".to_vec(), address },
            Route::Stock { local: b"x".to_vec() },
            Route::Forward(b"a@b.org".to_vec()),
        ]
    }

    #[test]
    fn what_bounces_is_absent_and_what_is_deferred_is_temporary() {
        let bounce = || Some(Delivery::Bounce("no".into()));
        let absent = [outcome(None, None), outcome(Some(Route::Unknown), bounce()), outcome(Some(route()), bounce())];
        for outcome in absent {
            assert_eq!(all(&outcome), [const { Mapped::Absent }; 4], "{outcome:?}");
        }
        let deferred = outcome(Some(route()), Some(Delivery::Defer("suspended".into())));
        assert_eq!(all(&deferred), [const { Mapped::Temporary(Cow::Borrowed("suspended")) }; 4]);
    }

    #[test]
    fn forwards_of_the_alias_user_are_told_and_nothing_else_of_his() {
        let odd = format!("temporary: {ODD_FORWARD}");
        let (program, other) = (format!("temporary: {PROGRAM}"), format!("temporary: {ALIAS_USER}"));
        for route in routes() {
            for (lines, rest, forwards) in [
                (&["&a@b.org", "&real"][..], "absent", "a@b.org,real"),
                (&["&a,b@c.org"], &odd, &odd),
                (&["./Maildir/"], &other, &other),
                (&["&a@b.org", "./Maildir/"], &other, &other),
                (&["|prog"], &program, &program),
                (&["&a@b.org", "|prog"], &program, &program),
            ] {
                let outcome = Outcome { route: Some(route.clone()), ..rows(lines) };
                let said = all(&outcome).map(words);
                assert_eq!(said, [rest, forwards, rest, rest], "{route:?} {lines:?}");
            }
        }
    }

    #[test]
    fn where_files_decide_for_nobodys_mailbox_nothing_is_absent() {
        for route in routes() {
            let outcome = outcome(Some(route), files());
            assert_eq!(all(&outcome), [const { Mapped::Temporary(Cow::Borrowed(FILES)) }; 4], "{outcome:?}");
        }
    }

    #[test]
    fn postfix_other_keys_are_no_addresses() {
        assert!(is_address(b"a@b") && is_address(b"a@b@c"));
        for key in [&b""[..], b"a", b"@b", b"a@", b"@"] {
            assert!(!is_address(key), "{key:?}");
        }
    }
}
