//! Mailboxes to look at, and rows that the log will call a misconfiguration. A bounded look: `lint` reads all of them.

use super::check::{Outcome, Report};
use super::host::{Host, tool};
use super::questions::MISCONFIGURATION;
use crate::output::Failure;
use crate::pages::Pages;
use qmail_lookup_config::quoted;
use qmail_lookup_core::error::printable;
use qmail_lookup_core::{CredentialRow, Deadline, Table, TableRow, Username};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Most mailboxes that are looked at without --user.
pub(super) const MAILBOXES: usize = 200;

/// Most rows of table alias that are looked at. Unit: pages.
const PAGES: usize = 10;

/// The mailboxes to look at.
pub(super) enum Sample {
    /// These rows; true if they are all that there are, or the one that was named.
    Rows(Vec<CredentialRow>, bool),
    /// The one that was named is not there.
    Absent(String),
    /// It is not known.
    Unknown(String),
}

impl Sample {
    /// The rows; without any, why is said under `question`.
    pub(super) fn rows(&self, host: &Host<'_>, question: &'static str, report: &mut Report) -> &[CredentialRow] {
        match self {
            Self::Rows(rows, _) => return rows,
            Self::Absent(name) => {
                let what = format!("there is no mailbox '{name}'");
                let getpw = tool(host.cli, "getpw");
                report.wrong(question, what, format!("see who gets the mail: {getpw} -- {}", quoted(Path::new(name))));
            }
            Self::Unknown(why) => report.unknown(question, why, ""),
        }
        &[]
    }

    /// How many, for people.
    pub(super) fn many(&self) -> String {
        match self {
            Self::Rows(rows, true) if rows.len() == 1 => "1 mailbox".to_owned(),
            Self::Rows(rows, true) => format!("{} mailboxes", rows.len()),
            Self::Rows(rows, false) => format!("the first {} mailboxes; --user looks at another one", rows.len()),
            Self::Absent(_) | Self::Unknown(_) => String::new(),
        }
    }
}

/// The mailbox of --user, else the first ones of the table.
pub(super) async fn sample(host: &Host<'_>) -> Sample {
    if host.down.contains(&Table::Mailbox) {
        return Sample::Unknown("the store of table mailbox does not answer, see above".to_owned());
    }
    let read = match &host.options.user {
        Some(user) => named(host, user.as_bytes()).await,
        None => first(host).await,
    };
    read.unwrap_or_else(|failure| Sample::Unknown(failure.line()))
}

async fn named(host: &Host<'_>, user: &[u8]) -> Result<Sample, Failure> {
    let Some(name) = Username::new(user) else { return Ok(Sample::Absent(printable(user))) };
    let store = &host.session.stores.mailbox;
    let by = Deadline::after(host.session.config.deadline);
    let names = std::slice::from_ref(&name);
    let rows = match store.credentials() {
        Some(credentials) => credentials.credentials(names, by).await?,
        None => {
            let rows = store.mailboxes(names, by).await?;
            rows.into_iter().map(|mailbox| CredentialRow { mailbox, ..CredentialRow::default() }).collect()
        }
    };
    let rows: Vec<_> = rows.into_iter().filter(|row| name.matches(row.mailbox.username.as_deref())).collect();
    Ok(if rows.is_empty() { Sample::Absent(name.to_string()) } else { Sample::Rows(rows, true) })
}

async fn first(host: &Host<'_>) -> Result<Sample, Failure> {
    let mut pages = Pages::begin(&host.session, Table::Mailbox).await?;
    let mut rows = Vec::new();
    while rows.len() <= MAILBOXES {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(Sample::Rows(rows, true));
        }
        rows.extend(page.into_iter().filter_map(|row| match row {
            TableRow::Mailbox(row) => Some(row),
            _ => None,
        }));
    }
    rows.truncate(MAILBOXES);
    Ok(Sample::Rows(rows, false))
}

/// Rows of mailbox and alias that are a misconfiguration by themselves.
pub(super) async fn run(host: &Host<'_>, sample: &Sample, report: &mut Report) {
    let Sample::Rows(mailboxes, _) = sample else {
        sample.rows(host, MISCONFIGURATION, report);
        return;
    };
    let rules = &host.session.config.rules;
    let mut bad: Vec<String> = Vec::new();
    let mailboxes = mailboxes.iter().filter_map(|row| row.mailbox.validate(rules).err());
    bad.extend(mailboxes.map(|bad| bad.to_string()));
    if !host.has_rows(Table::Alias, MISCONFIGURATION, report) {
        return;
    }
    match aliases(host).await {
        Ok(found) => bad.extend(found),
        Err(failure) => return report.unknown(MISCONFIGURATION, failure.line(), ""),
    }
    let found = match bad.first() {
        None => Vec::new(),
        Some(first) => {
            vec![Outcome::wrong(format!("{} rows; the first: {first}", bad.len()), host.tool("lint"))]
        }
    };
    report.all(MISCONFIGURATION, found, "none of the first rows is one; `qmail-lookup lint` reads all of them");
}

async fn aliases(host: &Host<'_>) -> Result<Vec<String>, Failure> {
    let mut pages = Pages::begin(&host.session, Table::Alias).await?;
    let mut bad = Vec::new();
    for _ in 0..PAGES {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            // The home matters to alias_paths only, and which one it is a row of table mailbox says: that is lint's.
            let TableRow::Alias(row) = row else { continue };
            let judged = row.instruction(b"/", &host.session.config.rules);
            bad.extend(judged.err().map(|bad| bad.to_string()));
        }
    }
    Ok(bad)
}
