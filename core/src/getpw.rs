//! What qmail-getpw answers: six NUL-terminated fields (qmail-lspawn's contract), and the choice that is left to the
//! process that may look at the home directory (rule G3). Pure, and shared by the drop-in and the admin tool.

use crate::error::{Misconfiguration, printable};
use crate::limits::SIX_FIELDS_MAX;
use crate::mailbox::Mailbox;
use crate::settings::{HomeTrouble, RuleSettings};
use crate::virtuals::Encoded;

/// The six fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SixFields {
    /// User name.
    pub user: Vec<u8>,
    /// Never 0.
    pub uid: u32,
    /// Never 0.
    pub gid: u32,
    /// Absolute path.
    pub home: Vec<u8>,
    /// `-` or empty.
    pub dash: Vec<u8>,
    /// Extension in its original case.
    pub ext: Vec<u8>,
}

impl SixFields {
    /// The fields of `mailbox`, reached with this dash and extension.
    #[must_use]
    pub fn of(mailbox: &Mailbox, dash: &[u8], ext: &[u8]) -> Self {
        Self {
            user: mailbox.username.as_bytes().to_vec(),
            uid: mailbox.uid,
            gid: mailbox.gid,
            home: mailbox.home.clone(),
            dash: dash.to_vec(),
            ext: ext.to_vec(),
        }
    }

    /// The bytes for qmail-lspawn.
    ///
    /// # Errors
    /// If a field holds a NUL, or all together are too long to become arguments.
    pub fn encode(&self) -> Result<Vec<u8>, Misconfiguration> {
        let (uid, gid) = (self.uid.to_string(), self.gid.to_string());
        let fields = [&self.user[..], uid.as_bytes(), gid.as_bytes(), &self.home, &self.dash, &self.ext];
        let bad = |problem: &str| Misconfiguration {
            rule: "K3",
            table: "mailbox",
            key: printable(&self.user),
            column: "",
            problem: problem.to_owned(),
        };
        if fields.iter().any(|field| field.contains(&0)) {
            return Err(bad("a field of the answer holds a NUL"));
        }
        let mut out = Vec::with_capacity(fields.iter().map(|f| f.len() + 1).sum());
        for field in fields {
            out.extend_from_slice(field);
            out.push(0);
        }
        if out.len() > SIX_FIELDS_MAX {
            return Err(bad("with its extension, the answer is too long for qmail-lspawn"));
        }
        Ok(out)
    }
}

/// Who gets the mail of a local part, as the store and the rules see it (rules G1, G2, V4 to V6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This mailbox.
    Mailbox {
        /// The judged row.
        mailbox: Mailbox,
        /// `-` if something follows the name, else empty.
        dash: &'static [u8],
        /// What follows, in original case.
        ext: Vec<u8>,
    },
    /// The alias user, with dash `-` and this extension.
    AliasUser {
        /// Extension.
        ext: Vec<u8>,
    },
    /// Nobody in the store: the stock qmail-getpw decides about this local part (rule G4).
    Stock {
        /// Local part, in original case.
        local: Vec<u8>,
    },
}

/// What looking at the home directory gave (rule G3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeCheck {
    /// It is there, and owned by the row's uid and gid.
    Fine,
    /// It does not exist.
    Missing,
    /// It is owned by another uid or gid.
    OtherOwner,
    /// It could not be examined (EACCES, ELOOP, EIO, ESTALE, or it took too long).
    CannotExamine,
}

impl HomeCheck {
    /// Judges the home of a mailbox of `uid` and `gid` by its owner and group, or by why it could not be looked at.
    #[must_use]
    pub fn of(found: Result<(u32, u32), std::io::ErrorKind>, uid: u32, gid: u32) -> Self {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        match found {
            Ok(owner) if owner == (uid, gid) => Self::Fine,
            Ok(_) => Self::OtherOwner,
            Err(NotFound | NotADirectory) => Self::Missing,
            Err(_) => Self::CannotExamine,
        }
    }
}

/// The whole answer to `getpw`: who won, and what is left to the process that may look at the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Home that does not exist.
    pub home_missing: HomeTrouble,
    /// Home with another owner.
    pub home_mismatch: HomeTrouble,
    /// Who gets the mail.
    pub winner: Winner,
    /// The alias user, with the extension under which he gets this mail; `None` if this system has none.
    pub alias: Option<SixFields>,
}

/// Who gets the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Winner {
    /// A mailbox, if its home is in order.
    Mailbox(SixFields),
    /// Whoever the stock qmail-getpw names for this local part.
    Stock(Vec<u8>),
    /// The alias user.
    AliasUser,
}

/// What qmail-getpw does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// Answers with these fields.
    Fields {
        /// The fields.
        fields: &'a SixFields,
        /// Why the mailbox was passed over, if it was.
        skipped: Option<&'static str>,
    },
    /// Runs the stock program for this local part.
    Stock(&'a [u8]),
    /// Exits 118; the text is for the log.
    Defer(&'static str),
}

impl Answer {
    /// The answer for `local`, as it stands in the queue. `alias` is the alias user's record, whatever its extension.
    #[must_use]
    pub fn of(owner: &Owner, local: &[u8], settings: &RuleSettings, alias: Option<SixFields>) -> Self {
        let (winner, ext) = match owner {
            Owner::Mailbox { mailbox, dash, ext } => {
                (Winner::Mailbox(SixFields::of(mailbox, dash, ext)), alias_ext(local))
            }
            Owner::AliasUser { ext } => (Winner::AliasUser, ext.clone()),
            Owner::Stock { local } => (Winner::Stock(local.clone()), local.clone()),
        };
        let alias = alias.map(|fields| SixFields { dash: b"-".to_vec(), ext, ..fields });
        Self { home_missing: settings.home_missing, home_mismatch: settings.home_mismatch, winner, alias }
    }

    /// Decides rule G3. `look` is asked about a mailbox's home only.
    pub fn choose(&self, look: impl FnOnce(&SixFields) -> HomeCheck) -> Choice<'_> {
        match &self.winner {
            Winner::Stock(local) => Choice::Stock(local),
            Winner::AliasUser => self.alias_user(None),
            Winner::Mailbox(fields) => {
                let by = |policy, why| match policy {
                    HomeTrouble::Defer => Choice::Defer(why),
                    HomeTrouble::Alias => self.alias_user(Some(why)),
                };
                match look(fields) {
                    HomeCheck::Fine => Choice::Fields { fields, skipped: None },
                    HomeCheck::CannotExamine => Choice::Defer("the home directory cannot be examined"),
                    HomeCheck::Missing => by(self.home_missing, "the home directory does not exist"),
                    HomeCheck::OtherOwner => {
                        by(self.home_mismatch, "the home directory is owned by another uid or gid")
                    }
                }
            }
        }
    }

    /// The alias user's record; without one nobody can be told that there is no such mailbox.
    #[must_use]
    pub fn alias_user(&self, skipped: Option<&'static str>) -> Choice<'_> {
        match &self.alias {
            Some(fields) => Choice::Fields { fields, skipped },
            None => Choice::Defer("this system has no alias user"),
        }
    }
}

/// The extension under which the alias user gets the mail of a mailbox whose home is in trouble (rule G3 with
/// `alias`): the local part, and for a virtual recipient its address. The encoded local part would mean an unknown
/// recipient to our qmail-local (rule V5), and bounce.
#[must_use]
pub fn alias_ext(local: &[u8]) -> Vec<u8> {
    match Encoded::decode(local) {
        Some(Encoded { host, user }) => [user, b"@", host.as_bytes()].concat(),
        None => local.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_fields_end_in_nul_each() {
        let fields = SixFields {
            user: b"iain".into(),
            uid: 800,
            gid: 100,
            home: b"/home/mail/iain".into(),
            dash: b"-".into(),
            ext: b"Slow".into(),
        };
        assert_eq!(fields.encode().unwrap(), b"iain\x00800\x00100\0/home/mail/iain\0-\0Slow\0");
        assert!(SixFields { ext: b"a\0b".into(), ..fields.clone() }.encode().is_err());
        assert!(SixFields { ext: vec![b'a'; SIX_FIELDS_MAX], ..fields }.encode().is_err());
    }

    fn fields(user: &str) -> SixFields {
        let (home, dash) = (b"/h".to_vec(), Vec::new());
        SixFields { user: user.into(), uid: 800, gid: 100, home, dash, ext: Vec::new() }
    }

    #[test]
    fn trouble_with_the_home_never_becomes_the_alias_user_unless_asked_for() {
        use HomeTrouble::{Alias, Defer};
        let (bob, alias) = (fields("bob"), fields("alias"));
        let choose = |check, home_missing, home_mismatch| {
            let winner = Winner::Mailbox(bob.clone());
            let answer = Answer { home_missing, home_mismatch, winner, alias: Some(alias.clone()) };
            match answer.choose(|_| check) {
                Choice::Fields { fields, skipped } => Some((fields.user.clone(), skipped.is_some())),
                Choice::Defer(_) => None,
                Choice::Stock(_) => unreachable!(),
            }
        };
        assert_eq!(choose(HomeCheck::Fine, Alias, Alias), Some((b"bob".to_vec(), false)));
        assert_eq!(choose(HomeCheck::Missing, Defer, Alias), None);
        assert_eq!(choose(HomeCheck::OtherOwner, Alias, Defer), None);
        assert_eq!(choose(HomeCheck::CannotExamine, Alias, Alias), None);
        assert_eq!(choose(HomeCheck::Missing, Alias, Defer), Some((b"alias".to_vec(), true)));
        assert_eq!(choose(HomeCheck::OtherOwner, Defer, Alias), Some((b"alias".to_vec(), true)));
    }

    #[test]
    fn without_an_alias_user_nobody_is_told_that_there_is_no_mailbox() {
        let settings = RuleSettings::default();
        let nobody = Answer::of(&Owner::AliasUser { ext: b"x".to_vec() }, b"x", &settings, None);
        assert!(matches!(nobody.choose(|_| HomeCheck::Fine), Choice::Defer(_)));
        let stock = Answer::of(&Owner::Stock { local: b"x-Y".to_vec() }, b"x-Y", &settings, Some(fields("alias")));
        assert_eq!(stock.choose(|_| HomeCheck::Fine), Choice::Stock(b"x-Y"));
        let found = stock.alias.unwrap();
        assert_eq!((&found.dash[..], &found.ext[..]), (&b"-"[..], &b"x-Y"[..]));
    }

    #[test]
    fn the_alias_user_gets_a_virtual_recipient_by_its_address() {
        assert_eq!(alias_ext(b"Iain-x"), b"Iain-x");
        assert_eq!(alias_ext(b"=virtual.com=-Iain"), b"Iain@virtual.com", "never what means an unknown recipient");
    }
}
