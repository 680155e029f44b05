//! Suspended mailboxes that still get mail through rows (rule P3).

use super::Lint;
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::settings::SuspendedMail;
use qmail_lookup_core::{Standing, Table, Username};
use std::collections::BTreeMap;

/// Most mailboxes that are told one by one.
const TOLD_MAX: usize = 10_000;

/// What still leads to suspended mailboxes.
pub(super) struct Suspended {
    /// False if their mail is not delivered anyway.
    wanted: bool,
    live: BTreeMap<Username, Live>,
    others: u64,
}

#[derive(Default)]
struct Live {
    aliases: u64,
    virtuals: u64,
    example: String,
}

impl Suspended {
    pub(super) fn new(mail: SuspendedMail) -> Self {
        Self { wanted: mail == SuspendedMail::Deliver, live: BTreeMap::new(), others: 0 }
    }

    /// A row of `table`, with this key, leads to the mailbox `name`.
    pub(super) fn add(&mut self, name: &Username, standing: Standing, table: Table, key: impl FnOnce() -> String) {
        if !self.wanted || standing != Standing::Suspended {
            return;
        }
        if self.live.len() >= TOLD_MAX && !self.live.contains_key(name) {
            self.others = self.others.saturating_add(1);
            return;
        }
        let live = self.live.entry(name.clone()).or_insert_with(|| Live { example: key(), ..Live::default() });
        let count = if table == Table::Alias { &mut live.aliases } else { &mut live.virtuals };
        *count = count.saturating_add(1);
    }

    /// Reports them.
    pub(super) fn report(self, lint: &mut Lint<'_>) {
        let words = "rules.suspended_mail = \"defer\" or \"bounce\", or remove these rows; nothing if that is meant";
        for (name, Live { aliases, virtuals, example }) in self.live {
            lint.report.push(Finding {
                severity: Severity::Warning,
                rule: "P3",
                table: Table::Mailbox,
                key: name.to_string(),
                why: format!(
                    "suspended, so its owner cannot log in, but {aliases} row(s) of table alias and {virtuals} of table \
                     virtual still deliver its mail ({example}, for instance; rules.suspended_mail = \"deliver\")"
                ),
                repair: Repair::Words(words.to_owned()),
            });
        }
        if self.others > 0 {
            lint.report.push(Finding {
                severity: Severity::Warning,
                rule: "P3",
                table: Table::Mailbox,
                key: String::new(),
                why: format!("{} more rows deliver the mail of further suspended mailboxes", self.others),
                repair: Repair::Words(words.to_owned()),
            });
        }
    }
}
