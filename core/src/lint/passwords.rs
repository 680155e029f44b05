//! Stored passwords (rules P1, P2). No finding holds any part of one.

use super::judge::{Count, about, finding, words};
use super::{Finding, Severity};
use crate::catalog::{Table, TableRow};
use crate::credential::CredentialRow;
use crate::password::{Family, Secret, Verdict, classify, verify};
use std::collections::HashMap;

/// How often a family of hashes is tried before it is taken for one that this system does not know.
const TRIES: u32 = 20;

/// What is known of the stored passwords so far.
#[derive(Default)]
pub(super) struct Passwords {
    families: HashMap<Family, Seen>,
    empty: Count,
}

/// What is known of a family.
#[derive(Default)]
struct Seen {
    rows: Count,
    /// This system has computed one of its hashes.
    works: bool,
    /// How often it could not.
    failed: u32,
}

impl Passwords {
    pub(super) fn judge(&mut self, credential: &CredentialRow, row: &TableRow, out: &mut Vec<Finding>) {
        let (stored, kind) = (credential.password.as_ref(), credential.password_type.as_deref());
        if stored.is_none_or(|stored| stored.expose().is_empty()) {
            self.empty.add(row);
            return;
        }
        let outcome = classify(stored, kind).and_then(|family| {
            let seen = self.families.entry(family).or_default();
            seen.rows.add(row);
            seen.try_one(stored, kind)
        });
        if let Err(why) = outcome {
            let why = format!("the password cannot be verified: {why}; its owner cannot log in");
            let repair = words("set password_type to what the stored value is, or set a new password");
            out.push(finding(Severity::Error, "P2", row, why, repair));
        }
    }

    pub(super) fn end(&self, out: &mut Vec<Finding>) {
        if let Some(who) = self.empty.words("mailbox", "mailboxes") {
            let why = format!("{who} without a password: nobody can log in");
            let repair = "none, if mail is only forwarded from there; else set a password";
            out.push(about(Severity::Warning, "P2", Table::Mailbox, why, repair));
        }
        let mut families: Vec<_> =
            self.families.iter().filter_map(|(family, seen)| Some((weak(*family)?, seen))).collect();
        families.sort_by_key(|(what, _)| *what);
        for (what, seen) in families {
            if let Some(who) = seen.rows.words("password", "passwords") {
                let repair = "set auth.rehash = \"yescrypt\" (or \"sha512\"): each is replaced when its owner logs in";
                out.push(about(Severity::Note, "P1", Table::Mailbox, format!("{who} {what}"), repair));
            }
        }
    }
}

impl Seen {
    /// Finds out whether this system computes hashes of the family. It does so with as few of them as it can: a single
    /// one may take two seconds.
    fn try_one(&mut self, stored: Option<&Secret>, kind: Option<&[u8]>) -> Result<(), &'static str> {
        if self.works {
            return Ok(());
        }
        if self.failed >= TRIES {
            return Err("this system knows no such hash");
        }
        match verify(stored, kind, &Secret::new(b"-".to_vec())) {
            Verdict::Match | Verdict::Mismatch => {
                self.works = true;
                Ok(())
            }
            Verdict::Unverifiable(why) => {
                self.failed += 1;
                Err(why)
            }
            // Nothing is known; the next one will tell.
            Verdict::Unusable | Verdict::NoAnswer(_) => Ok(()),
        }
    }
}

/// What is weak about a family.
fn weak(family: Family) -> Option<&'static str> {
    Some(match family {
        Family::Plain => "stored in clear: whoever reads the table can log in",
        Family::Des => "hashed by traditional crypt(3): only 8 characters count, and it is guessed quickly",
        Family::BsdiDes => "hashed by BSDi's DES, which is guessed quickly",
        Family::Md5Crypt => "hashed by crypt(3) $1$ (MD5), which is guessed quickly",
        Family::SunMd5 => "hashed by crypt(3) $md5, which is guessed quickly",
        Family::Sha1Crypt => "hashed by crypt(3) $sha1$, which is guessed quickly",
        Family::Nt => "NT hashes: without salt, and guessed quickly",
        Family::Mysql41 => "hashed by MySQL's PASSWORD(): without salt, and guessed quickly",
        Family::MysqlOld => "hashed by MySQL's OLD_PASSWORD() (16 digits): many passwords fit each of them",
        Family::Digest => "plain digests ({SHA}, {SSHA} and the like), which are guessed quickly",
        _ => return None,
    })
}
