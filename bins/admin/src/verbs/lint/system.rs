//! Looks for system users, and lines of users/cdb, that stand beside mailboxes.

use super::Lint;
use crate::output::Failure;
use crate::qmail::assigned;
use crate::verbs::install;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::assigned::AssignedJudge;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::rules::candidates;
use qmail_lookup_core::{Mailbox, Table, TableRow, Username};
use std::collections::HashMap;

/// The users of this machine that are kept in its own file; those of directories cannot be listed.
const PASSWD: &str = "/etc/passwd";

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::temporary(error.to_string());
    let rules = lint.session.config.rules.clone();
    let passwd = std::fs::read(PASSWD).map_err(|error| Failure::temporary(format!("cannot read {PASSWD}: {error}")))?;
    let people = People::new(&passwd, rules.break_chars.as_bytes());
    let lines = assigned::read(&lint.qmail).map_err(unreadable)?.unwrap_or_default();
    let mut assigned = AssignedJudge::new(lines, rules.break_chars.as_bytes());
    if assigned.everybody().is_some() {
        lint.report.push(Finding {
            severity: Severity::Error,
            rule: "assigned",
            table: Table::Mailbox,
            key: String::new(),
            why: "users/cdb has a line for every local part (`+:`), so that qmail-getpw is never asked".to_owned(),
            repair: Repair::Words("take the line `+:` out of users/assign, and run qmail-newu".to_owned()),
        });
    }
    let mut pages = lint.pages(Table::Mailbox, "looking at users").await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            let TableRow::Mailbox(row) = row else { continue };
            assigned.mailbox(&row.mailbox);
            // Bad rows are reported by themselves.
            let Ok(mailbox) = row.mailbox.validate(&rules) else { continue };
            people.findings(&mailbox).into_iter().for_each(|finding| lint.report.push(finding));
        }
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
    install::assigned::hosts(lint.session, &mut assigned).await?;
    let (taken, _) = assigned.end();
    taken.iter().for_each(|taken| lint.report.push(taken.finding()));
    Ok(())
}

/// System users, by the mailbox that would get their mail (rules G1, G2).
struct People {
    uids: HashMap<Vec<u8>, u32>,
    /// By what stands before a break character in their names.
    by_prefix: HashMap<Username, Vec<Vec<u8>>>,
}

impl People {
    fn new(passwd: &[u8], break_chars: &[u8]) -> Self {
        let (mut uids, mut by_prefix) = (HashMap::new(), HashMap::<Username, Vec<Vec<u8>>>::new());
        for line in passwd.split(|&b| b == b'\n') {
            let mut fields = line.split(|&b| b == b':');
            let (name, uid) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            let uid = std::str::from_utf8(uid).ok().and_then(|digits| digits.parse().ok());
            // The stock qmail-getpw looks for names in lower case only, and passes root over.
            let Some(uid) = uid.filter(|uid| *uid != 0 && fold(name) == name) else { continue };
            uids.insert(name.to_vec(), uid);
            for prefix in candidates(name, break_chars).into_iter().filter(|candidate| candidate.ext_at.is_some()) {
                by_prefix.entry(prefix.name).or_default().push(name.to_vec());
            }
        }
        Self { uids, by_prefix }
    }

    fn findings(&self, mailbox: &Mailbox) -> Vec<Finding> {
        let name = &mailbox.username;
        let finding = |why, repair: &str| Finding {
            severity: Severity::Note,
            rule: "G2",
            table: Table::Mailbox,
            key: name.to_string(),
            why,
            repair: Repair::Words(repair.to_owned()),
        };
        let mut findings = Vec::new();
        if let Some(uid) = self.uids.get(name.as_bytes()).filter(|uid| **uid != mailbox.uid) {
            let why = format!(
                "a system user has this name and uid {uid}; his mail goes to the mailbox, of uid {}",
                mailbox.uid
            );
            findings.push(finding(why, "rename the mailbox if they are two people"));
        }
        for user in self.by_prefix.get(name).into_iter().flatten() {
            let user = printable(user);
            let why = format!("the mail of the system user {user} goes to this mailbox, as an extension");
            findings.push(finding(why, &format!("add a mailbox {user}")));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qmail_lookup_core::{MailboxRow, settings::RuleSettings};

    fn mailbox(name: &str, uid: &str) -> Mailbox {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let row =
            MailboxRow { username: cell(name), uid: cell(uid), gid: cell("100"), home: cell("/h"), suspended: None };
        row.validate(&RuleSettings::default()).unwrap()
    }

    #[test]
    fn a_system_user_is_hidden_by_his_name_and_by_what_it_begins_with() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n\
                       bob-smith:x:1001:1001::/home/bs:/bin/sh\nBig-Boss:x:1002:1:::\nbad\n";
        let people = People::new(passwd, b"-");
        let of = |name, uid| people.findings(&mailbox(name, uid)).len();
        assert_eq!((of("bob", "800"), of("bob", "1000"), of("bob-smith", "1001")), (2, 1, 0));
        assert_eq!((of("root", "800"), of("big", "800"), of("carol", "800")), (0, 0, 0));
    }
}
