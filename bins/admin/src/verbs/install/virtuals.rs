//! Catch-alls that were written for the other way to read patterns (rule V2).

use super::remarks::Remarks;
use crate::output::{Failure, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::{Finding, Judge, Repair, Severity, VirtualJudge};
use qmail_lookup_core::settings::VirtualPatterns;
use qmail_lookup_core::{Change, Table, TableRow};

/// Looks at all rows, as `lint` does.
pub(in crate::verbs) async fn judge(session: &Session, remarks: &mut Remarks) {
    let Some(found) = remarks.known(scan(session).await) else { return };
    let Some(first) = found.first else { return };
    let more = if found.count > 1 { format!(" and {} more hosts", found.count - 1) } else { String::new() };
    let hosts = format!("{}{more}", text(&first));
    let mode = session.config.rules.virtual_patterns;
    let repair = if session.stores.virtuals.kind() == "ldap" { in_words(mode) } else { statement(mode) };
    match mode {
        VirtualPatterns::Plain => remarks.refuse(
            format!("the '%' row of {hosts} is no catch-all with rules.virtual_patterns = \"plain\""),
            format!("set rules.virtual_patterns = \"like\", or {repair}"),
        ),
        VirtualPatterns::Like => remarks
            .refuse(format!("the blank row of {hosts} is no catch-all with rules.virtual_patterns = \"like\""), repair),
    }
}

fn in_words(mode: VirtualPatterns) -> String {
    let (from, to) = match mode {
        VirtualPatterns::Plain => ("%", ""),
        VirtualPatterns::Like => ("", "%"),
    };
    format!("write '{to}' for '{from}' as their virtual user (qmail-lookup lint names them)")
}

/// The FAQ's statement, for all hosts at once that have no catch-all of the right form beside the other: with one they
/// would have two. MySQL takes the inner table for another one because of `distinct` only.
fn statement(mode: VirtualPatterns) -> String {
    let (blank, all) = ("(virtual_username='' or virtual_username is null)", "virtual_username='%'");
    let (from, to, others) = match mode {
        VirtualPatterns::Plain => (all, "", blank),
        // Rule V2 takes the other spellings, %% for instance, for the same.
        VirtualPatterns::Like => (blank, "%", "(virtual_username<>'' and replace(virtual_username,'%','')='')"),
    };
    format!(
        "update `virtual` set virtual_username='{to}' where {from} and lower(virtual_host) not in (select host from \
         (select distinct lower(virtual_host) as host from `virtual` where {others} and virtual_host is not null) as done);"
    )
}

/// Hosts whose catch-all is none, as the configuration has it.
#[derive(Default)]
struct Leftover {
    first: Option<Vec<u8>>,
    count: usize,
}

impl Leftover {
    /// Of a host there is one finding.
    fn add(&mut self, finding: &Finding) {
        if finding.rule != "V2" || finding.severity != Severity::Error {
            return;
        }
        if let Repair::Change(Change::Replace { old: TableRow::Virtual(row), .. }) = &finding.repair {
            self.first.get_or_insert_with(|| fold(row.virtual_host.as_deref().unwrap_or_default()));
            self.count += 1;
        }
    }
}

async fn scan(session: &Session) -> Result<Leftover, Failure> {
    let mut judge = VirtualJudge::new(&session.config.rules, session.config.sync.wildcards);
    let (mut left, mut found) = (Leftover::default(), Vec::new());
    let mut pages = Pages::begin(session, Table::Virtual).await?;
    loop {
        let page = pages.next().await?;
        page.iter().for_each(|row| judge.row(row, &mut found));
        if page.is_empty() {
            judge.end(&mut found);
        }
        found.drain(..).for_each(|finding| left.add(&finding));
        if page.is_empty() {
            return Ok(left);
        }
    }
}
