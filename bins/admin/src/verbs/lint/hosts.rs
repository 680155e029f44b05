//! Looks for virtual hosts beside table rcpthosts and the control files (rules R1, V1, V7).

use super::Lint;
use super::ask::{AT_ONCE, Ask};
use crate::output::Failure;
use crate::qmail::{cdb, files};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use qmail_lookup_core::key::{VirtualKey, fold};
use qmail_lookup_core::lint::{Finding, Repair, Severity};
use qmail_lookup_core::rcpthosts::candidates;
use qmail_lookup_core::rules::Accepted;
use qmail_lookup_core::settings::RcpthostsOnly;
use qmail_lookup_core::sync::around::prepend;
use qmail_lookup_core::virtuals::is_host_key;
use qmail_lookup_core::{Change, Host, HostRow, Table, TableRow};
use std::collections::HashSet;
use std::path::Path;

pub(super) async fn run(lint: &mut Lint<'_>) -> Result<(), Failure> {
    let ask = Ask::new(lint)?;
    let files = Files::read(&lint.qmail)?;
    each(lint, Table::Virtual, |host| virtual_host(&ask, &files, host)).await?;
    // Without control/locals and control/me it is not known what is local.
    if lint.session.config.rules.rcpthosts_only == RcpthostsOnly::Ask && ask.control.locals.is_some() {
        each(lint, Table::Rcpthosts, |host| accepted_only(&ask, &files, host)).await?;
    }
    Ok(())
}

/// Hosts in qmail's control files.
struct Files {
    /// What rcpthosts and morercpthosts accept.
    accepted: HashSet<Host>,
    /// What smtproutes has a line for.
    routed: HashSet<Host>,
}

impl Files {
    fn read(qmail: &Path) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| Failure::temporary(error.to_string());
        let control = qmail.join("control");
        let mut accepted = HashSet::new();
        for name in ["rcpthosts", "morercpthosts"] {
            let content = files::read(&control.join(name)).map_err(unreadable)?.unwrap_or_default();
            accepted.extend(lines(&content).filter_map(Host::new));
        }
        let keys = cdb::keys(&control.join("morercpthosts.cdb")).map_err(unreadable)?;
        accepted.extend(keys.unwrap_or_default().iter().filter_map(|key| Host::new(key)));
        let content = files::read(&control.join("smtproutes")).map_err(unreadable)?.unwrap_or_default();
        let key = |line: &[u8]| line.split(|&b| b == b':').next().and_then(Host::new);
        Ok(Self { accepted, routed: lines(&content).filter_map(key).collect() })
    }
}

/// Lines of a control file, trailing blanks and comments left out.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = content.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// The host of a row, unless a row before it had the same one.
fn next_host(cell: Option<&[u8]>, last: &mut Option<Host>) -> Option<Host> {
    let folded = fold(cell.unwrap_or_default());
    let host = Host::new(&folded).filter(|_| is_host_key(&folded))?;
    if last.as_ref() == Some(&host) {
        return None;
    }
    *last = Some(host.clone());
    Some(host)
}

/// Asks `judge` about each host of a table, once.
async fn each<F>(lint: &mut Lint<'_>, table: Table, judge: impl Fn(Host) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Vec<Finding>, Failure>>,
{
    let mut pages = lint.pages(table, "looking at hosts").await?;
    let mut last = None;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let hosts = page.iter().filter_map(|row| match row {
            TableRow::Virtual(row) => next_host(row.virtual_host.as_deref(), &mut last),
            TableRow::Rcpthosts(row) => next_host(row.host.as_deref(), &mut last),
            TableRow::Mailbox(_) | TableRow::Alias(_) => None,
        });
        let hosts: Vec<Host> = hosts.collect();
        let found = stream::iter(hosts).map(&judge).buffered(AT_ONCE);
        let found: Vec<Vec<Finding>> = found.try_collect().await?;
        found.into_iter().flatten().for_each(|finding| lint.report.push(finding));
        lint.progress.advance(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

async fn virtual_host(ask: &Ask, files: &Files, host: Host) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut found = |severity, rule, why: String, repair| {
        findings.push(Finding { severity, rule, table: Table::Virtual, key: format!("@{host}"), why, repair });
    };
    let dead = |why: &str, repair: &str| {
        (Severity::Warning, "V1", format!("{why}, so its rows are never used"), Repair::Words(repair.to_owned()))
    };
    if ask.control.is_local(host.as_bytes()) {
        let (severity, rule, why, repair) = dead(
            "the host stands in control/locals",
            "take it out of control/locals (and send qmail-send a HUP), or remove the rows",
        );
        found(severity, rule, why, repair);
    } else if let Some(line) = foreign_line(ask, &host) {
        let (severity, rule, why, repair) = dead(
            &format!("control/virtualdomains has a line of its own for it ({line})"),
            "remove the line, or the rows",
        );
        found(severity, rule, why, repair);
    }
    let keys = candidates(host.as_bytes());
    if !keys.iter().any(|key| files.accepted.contains(key))
        && !ask.control.is_local(host.as_bytes())
        && matches!(ask.judge(Accepted { host: host.as_bytes().to_vec() }).await?, Ok(None))
    {
        let why = "neither table rcpthosts nor control/rcpthosts names it, so its mail is not accepted from outside";
        let row = HostRow { host: Some(host.as_bytes().to_vec()) };
        let repair = Repair::Change(Change::Insert(TableRow::Rcpthosts(row)));
        found(Severity::Warning, "R1", why.to_owned(), repair);
    }
    Ok(findings)
}

/// The administrator's own line of control/virtualdomains that comes before the rows of `host`, if there is one.
fn foreign_line(ask: &Ask, host: &Host) -> Option<String> {
    // Of a suffix, the line that counts is that of a host below it.
    let below: &[u8] = if host.as_bytes().starts_with(b".") { b"x@x" } else { b"x@" };
    let (key, value) = ask.control.virtual_domains.find(&[below, host.as_bytes()].concat())?;
    let ours = prepend(host.as_bytes());
    let is_foreign = value != ours && key.len() >= host.as_bytes().len();
    let text = |bytes: &[u8]| qmail_lookup_core::error::printable(bytes);
    is_foreign.then(|| format!("{}:{}", text(key), text(value)))
}

async fn accepted_only(ask: &Ask, files: &Files, host: Host) -> Result<Vec<Finding>, Failure> {
    let keys = candidates(host.as_bytes());
    // What stands for many hosts says nothing of each of them.
    let is_known = host.as_bytes().starts_with(b".")
        || ask.control.is_local(host.as_bytes())
        || ask.control.virtual_domains.find(&[b"x@", host.as_bytes()].concat()).is_some()
        || keys.iter().any(|key| files.routed.contains(key));
    if is_known {
        return Ok(Vec::new());
    }
    let any: Vec<VirtualKey> = keys.into_iter().map(|host| VirtualKey::Any { host }).collect();
    let rows = ask.lookup.virtuals.virtuals(&any, ask.by()).await?;
    if rows.iter().any(|row| any.iter().any(|key| key.host().matches(row.virtual_host.as_deref()))) {
        return Ok(Vec::new());
    }
    Ok(vec![Finding {
        severity: Severity::Warning,
        rule: "V7",
        table: Table::Rcpthosts,
        key: host.to_string(),
        why: "neither in table virtual nor in control/locals, smtproutes or virtualdomains: the old patch took such hosts \
              as local, and now nobody has said what they are"
            .to_owned(),
        repair: Repair::Words(
            "put it into control/locals or control/smtproutes, or decide for all such hosts by rules.rcpthosts_only = \
             \"local\" or \"relay\""
                .to_owned(),
        ),
    }])
}
