//! What qmail-getpw answers: six NUL-terminated fields (qmail-lspawn's contract), and the choice that is left to the
//! process that may look at the home directory (rule G3). Pure, and shared by the drop-in and the admin tool.

use crate::error::{Misconfiguration, printable};
use crate::limits::SIX_FIELDS_MAX;
use crate::mailbox::Mailbox;
use crate::settings::HomeTrouble;
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

/// What to do after the home was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Answer with the mailbox.
    Mailbox,
    /// Answer with the alias user, dash `-`, ext as [`alias_ext`] says.
    AliasUser,
    /// Exit 118; the text is for the log.
    Defer(&'static str),
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

/// Decides rule G3.
#[must_use]
pub fn choose(check: HomeCheck, home_missing: HomeTrouble, home_mismatch: HomeTrouble) -> Choice {
    let by = |policy, why| match policy {
        HomeTrouble::Defer => Choice::Defer(why),
        HomeTrouble::Alias => Choice::AliasUser,
    };
    match check {
        HomeCheck::Fine => Choice::Mailbox,
        HomeCheck::CannotExamine => Choice::Defer("the home directory cannot be examined"),
        HomeCheck::Missing => by(home_missing, "the home directory does not exist"),
        HomeCheck::OtherOwner => by(home_mismatch, "the home directory is owned by another uid or gid"),
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

    #[test]
    fn trouble_with_the_home_never_becomes_the_alias_user_unless_asked_for() {
        use HomeTrouble::{Alias, Defer};
        assert_eq!(choose(HomeCheck::Fine, Alias, Alias), Choice::Mailbox);
        assert!(matches!(choose(HomeCheck::Missing, Defer, Alias), Choice::Defer(_)));
        assert!(matches!(choose(HomeCheck::OtherOwner, Alias, Defer), Choice::Defer(_)));
        assert!(matches!(choose(HomeCheck::CannotExamine, Alias, Alias), Choice::Defer(_)));
        assert_eq!(choose(HomeCheck::Missing, Alias, Defer), Choice::AliasUser);
        assert_eq!(alias_ext(b"Iain-x"), b"Iain-x");
        assert_eq!(alias_ext(b"=virtual.com=-Iain"), b"Iain@virtual.com", "never what means an unknown recipient");
    }
}
