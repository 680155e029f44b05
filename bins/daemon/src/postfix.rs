//! What Postfix' maps can be told of how an address is delivered.
//!
//! | map | found | absent |
//! |---|---|---|
//! | `virtual_mailbox` | the path of the first Maildir or mbox of the instructions, or `HOME/Maildir/` where files decide | only forwards |
//! | `virtual_alias` | the forwards; with the address itself if there are other instructions too | no forwards |
//! | `virtual_uid`, `virtual_gid` | the mailbox's | |
//!
//! Absent in all of them: what bounces (also a suspended mailbox where the rules say so), addresses that are not ours,
//! and mail that goes to the alias user or by the stock program, which deliver by qmail's own files. Temporary: what the
//! rules defer, and what Postfix could not do the same way: programs, and addresses that its list of addresses would
//! tear apart. A suspended mailbox whose mail is delivered is found like any other.

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

const PROGRAM: &str = "the instructions hold a program, which Postfix' maps cannot express";
const ODD_FORWARD: &str = "the instructions hold an address that Postfix' maps cannot express";

/// Bytes that end an address in a list of addresses, or mean something else in one. Source: RFC 5322.
const SPECIAL: &[u8] = b",;:<>()[]\"\\";

/// `virtual_mailbox_maps`: a path, with a slash behind it if it is a Maildir.
pub(crate) fn mailbox(outcome: &Outcome) -> Mapped {
    let (mailbox, instructions) = match owned(outcome) {
        Ok(owned) => owned,
        Err(mapped) => return mapped,
    };
    let Some(instructions) = instructions else { return Mapped::Found(below(&mailbox.home, b"Maildir/")) };
    if has_program(instructions) {
        return Mapped::Temporary(PROGRAM.into());
    }
    let path = instructions.iter().find_map(|instruction| match instruction {
        Instruction::Maildir(path) | Instruction::Mbox(path) => Some(path),
        Instruction::Program(_) | Instruction::Forward(_) => None,
    });
    path.map_or(Mapped::Absent, |path| Mapped::Found(below(&mailbox.home, path)))
}

/// `virtual_alias_maps`: addresses with commas between them. `address` is the one asked for.
pub(crate) fn alias(outcome: &Outcome, address: &[u8]) -> Mapped {
    let instructions = match (&outcome.route, &outcome.delivery) {
        // MAGIC FORWARDING has no mailbox.
        (Some(Route::Forward(_)), Some(Delivery::Rows { instructions, .. })) => instructions,
        _ => match owned(outcome) {
            Ok((_, Some(instructions))) => instructions,
            Ok((_, None)) => return Mapped::Absent,
            Err(mapped) => return mapped,
        },
    };
    let forwards = instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Forward(to) => Some(&to[..]),
        Instruction::Program(_) | Instruction::Mbox(_) | Instruction::Maildir(_) => None,
    });
    let mut list: Vec<&[u8]> = forwards.collect();
    if list.is_empty() {
        return Mapped::Absent;
    }
    if has_program(instructions) {
        return Mapped::Temporary(PROGRAM.into());
    }
    if list.len() < instructions.len() {
        list.push(address);
    }
    if list.iter().any(|to| to.iter().any(|b| SPECIAL.contains(b))) {
        return Mapped::Temporary(ODD_FORWARD.into());
    }
    Mapped::Found(list.join(&b","[..]))
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
    match owned(outcome) {
        Ok((mailbox, _)) => Mapped::Found(of(mailbox).to_string().into_bytes()),
        Err(mapped) => mapped,
    }
}

/// The mailbox that gets the mail, and the instructions of its rows; without rows, files decide.
fn owned(outcome: &Outcome) -> Result<(&Mailbox, Option<&[Instruction]>), Mapped> {
    let Some(Route::Mailbox { mailbox, .. }) = &outcome.route else { return Err(Mapped::Absent) };
    match &outcome.delivery {
        Some(Delivery::Rows { instructions, .. }) => Ok((mailbox, Some(instructions))),
        Some(Delivery::Files { .. }) => Ok((mailbox, None)),
        Some(Delivery::Defer(why)) => Err(Mapped::Temporary(why.clone())),
        Some(Delivery::Bounce(_)) | None => Err(Mapped::Absent),
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
            (&["&a,b@c.org"], "absent", &odd),
            (&["&\"a b\"@c.org"], "absent", &odd),
        ];
        for (lines, path, forwards) in cases {
            let outcome = rows(lines);
            assert_eq!(words(mailbox(&outcome)), path, "{lines:?}");
            assert_eq!(words(alias(&outcome, b"bob@v.org")), forwards, "{lines:?}");
            assert_eq!((words(uid(&outcome)), words(gid(&outcome))), ("800".to_owned(), "100".to_owned()));
        }
    }

    #[test]
    fn files_mean_the_usual_maildir() {
        let files = outcome(Some(route()), Some(Delivery::Files { owner: OwnerFlags::default() }));
        assert_eq!(words(mailbox(&files)), "/home/bob/Maildir/");
        assert_eq!((words(alias(&files, b"x")), words(uid(&files))), ("absent".to_owned(), "800".to_owned()));
    }

    #[test]
    fn what_has_no_mailbox_is_absent_and_what_is_deferred_is_temporary() {
        let files = || Some(Delivery::Files { owner: OwnerFlags::default() });
        let bounce = || Some(Delivery::Bounce("no".into()));
        let absent = [
            outcome(None, None),
            outcome(Some(Route::Unknown), bounce()),
            outcome(Some(route()), bounce()),
            outcome(Some(Route::AliasUser { ext: Vec::new(), address: None }), files()),
            outcome(Some(Route::Stock { local: b"x".to_vec() }), files()),
        ];
        for outcome in absent {
            for mapped in [mailbox(&outcome), alias(&outcome, b"x"), uid(&outcome), gid(&outcome)] {
                assert_eq!(mapped, Mapped::Absent, "{outcome:?}");
            }
        }
        let deferred = outcome(Some(route()), Some(Delivery::Defer("suspended".into())));
        for mapped in [mailbox(&deferred), alias(&deferred, b"x"), uid(&deferred), gid(&deferred)] {
            assert_eq!(mapped, Mapped::Temporary("suspended".into()));
        }
        let magic = Outcome { route: Some(Route::Forward(b"a@b.org".to_vec())), ..rows(&["&a@b.org"]) };
        assert_eq!((words(alias(&magic, b"x")), words(mailbox(&magic))), ("a@b.org".to_owned(), "absent".to_owned()));
    }
}
