//! users/cdb: qmail-lspawn asks qmail-getpw only for what it does not find there.

use super::check::{Outcome, Report};
use super::host::Host;
use super::questions::ASSIGNED;
use crate::qmail::assigned;
use crate::verbs::install;
use crate::verbs::install::remarks::Remarks;
use qmail_lookup_config::quoted;
use qmail_lookup_core::Table;

pub(super) async fn run(host: &Host<'_>, report: &mut Report) {
    let newu = quoted(&host.at("bin/qmail-newu"));
    let lines = match assigned::read(&host.qmail) {
        Ok(None) => return report.ok(ASSIGNED, "there is none"),
        Ok(Some(lines)) => lines.len(),
        Err(error) => return report.wrong(ASSIGNED, format!("{error}: all local mail waits"), newu),
    };
    if !host.has_rows(Table::Mailbox, ASSIGNED, report) {
        return;
    }
    let mut remarks = Remarks::default();
    install::assigned::judge(&host.session, &host.qmail, &mut remarks).await;
    report.all(ASSIGNED, Outcome::of(remarks), format!("its {lines} lines contradict no mailbox"));
}
