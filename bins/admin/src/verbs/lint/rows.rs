//! Each table by itself, in one reading, with the judgments of core.

use super::Lint;
use crate::output::Failure;
use qmail_lookup_config::{Role, control};
use qmail_lookup_core::limits::KEYS_PER_STATEMENT;
use qmail_lookup_core::lint::{AliasJudge, HostJudge, Judge, MailboxJudge, VirtualJudge, deny_unknown};
use qmail_lookup_core::{Deadline, MailboxRow, Table, TableRow, Username};

/// # Errors
/// If a table cannot be read to its end.
pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let config = &lint.session.config;
    let (rules, wildcards) = (config.rules.clone(), config.sync.wildcards);
    if let Some(finding) = deny_unknown(&rules) {
        lint.report.push(finding);
    }
    let read = control::control(&lint.qmail).map_err(|error| Failure::temporary(error.to_string()))?;
    let mut mailboxes = MailboxJudge::new(&rules, config.store.role(Role::Mailbox).compares_passwords());
    table(lint, Table::Mailbox, &mut mailboxes).await?;
    alias(lint, AliasJudge::new(&rules)).await?;
    table(lint, Table::Virtual, &mut VirtualJudge::new(&rules, wildcards)).await?;
    table(lint, Table::Rcpthosts, &mut HostJudge::new(wildcards, read.locals.unwrap_or_default())).await
}

async fn table(lint: &mut Lint<'_>, table: Table, judge: &mut dyn Judge) -> Result<(), Failure> {
    let mut pages = lint.pages(table, table.name()).await?;
    loop {
        let page = pages.next().await?;
        if judged(lint, table, &page, judge) {
            return Ok(());
        }
    }
}

/// As [`table`]; but to judge paths, homes are asked for beside it.
async fn alias(lint: &mut Lint<'_>, mut judge: AliasJudge) -> Result<(), Failure> {
    let mut pages = lint.pages(Table::Alias, Table::Alias.name()).await?;
    loop {
        let page = pages.next().await?;
        let names = judge.wants_homes(&page);
        judge.know_homes(homes(lint, &names).await?);
        if judged(lint, Table::Alias, &page, &mut judge) {
            return Ok(());
        }
    }
}

/// Judges a page. True at the end of the table.
fn judged(lint: &mut Lint<'_>, table: Table, page: &[TableRow], judge: &mut dyn Judge) -> bool {
    let mut found = Vec::new();
    page.iter().for_each(|row| judge.row(row, &mut found));
    if page.is_empty() {
        judge.end(&mut found);
    }
    found.into_iter().for_each(|finding| lint.report.push(finding));
    let rows = u64::try_from(page.len()).unwrap_or(u64::MAX);
    lint.progress.advance(rows);
    *lint.totals.entry(table).or_default() += rows;
    page.is_empty()
}

/// The homes of those of `names` that have one. The alias user need not have a row.
async fn homes(lint: &Lint<'_>, names: &[Username]) -> Result<Vec<(Username, Vec<u8>)>, Failure> {
    let session = lint.session;
    let mut homes = Vec::new();
    for names in names.chunks(KEYS_PER_STATEMENT) {
        let rows = session.stores.mailbox.mailboxes(names, Deadline::after(session.config.deadline)).await?;
        let home = |name: &Username| {
            let is_its = |row: &&MailboxRow| name.matches(row.username.as_deref());
            let row = rows.iter().find(is_its).and_then(|row| row.home.clone());
            let alias = || (name.as_str() == session.config.rules.alias_user).then(|| session.alias_home());
            row.or_else(alias).map(|home| (name.clone(), home))
        };
        homes.extend(names.iter().filter_map(home));
    }
    Ok(homes)
}
