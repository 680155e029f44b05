//! `add`, `list`, `del`.

use crate::cli;
use crate::editing::rows::{aliases, numbering, username};
use crate::editing::show::List;
use crate::editing::{Plan, make};
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::alias::instructions;
use qmail_lookup_core::editing::{added, with_lines};
use qmail_lookup_core::key::fold;
use qmail_lookup_core::{AliasKey, AliasRow, Change, Ext, Table, TableRow, dotqmail};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// alias_username and alias_host.
type Cells = (Vec<u8>, Vec<u8>);

pub(super) async fn run(session: &Session, edit: &cli::Alias, output: &mut Output) -> Result<Exit, Failure> {
    match edit {
        cli::Alias::Add { user, ext, instructions, edit } => {
            let (set, cells) = (key(user, ext)?, cells(instructions)?);
            add(session, &set, cells, edit, output).await
        }
        cli::Alias::List { user } => list(session, user.as_deref(), output).await,
        cli::Alias::Del { user, ext, instructions, edit } => {
            let (set, cells) = (key(user, ext)?, cells(instructions)?);
            del(session, &set, &cells, edit, output).await
        }
    }
}

fn key(user: &OsStr, ext: &OsStr) -> Result<AliasKey, Failure> {
    let alias = Ext::new(ext.as_bytes()).ok_or_else(|| {
        let what = "is no extension: at most 255 characters of ASCII, without blanks and control characters";
        Failure::usage(format!("'{}' {what}", text(ext.as_bytes())))
    })?;
    Ok(AliasKey { username: username(user.as_bytes())?, alias })
}

fn cells(lines: &[OsString]) -> Result<Vec<Cells>, Failure> {
    let cells = |line: &OsString| {
        let line = line.as_bytes();
        dotqmail::cells(line).map_err(|why| Failure::usage(format!("'{}': {why}; nothing was changed", text(line))))
    };
    lines.iter().map(cells).collect()
}

/// The set as people write it.
fn written(set: &AliasKey) -> String {
    let dash = if set.alias.as_bytes().is_empty() { "" } else { "-" };
    format!("{}{dash}{}", set.username, set.alias)
}

async fn of_set(session: &Session, set: &AliasKey) -> Result<Vec<AliasRow>, Failure> {
    let rows = aliases(session, &set.username).await?;
    Ok(rows.into_iter().filter(|row| set.alias.matches(row.alias.as_deref())).collect())
}

async fn add(
    session: &Session,
    set: &AliasKey,
    cells: Vec<Cells>,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let there = of_set(session, set).await?;
    let (numbering, fresh) = numbering(session).await?;
    let rows = added(&there, set, cells, numbering, fresh);
    let plan = Plan {
        done: format!("{}: {} instruction(s) added", written(set), rows.len()),
        changes: rows.into_iter().map(TableRow::Alias).map(Change::Insert).collect(),
        // A list's owner is there before the virtual addresses of its senders lead to it.
        meant: &[("A5", Table::Virtual)],
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

async fn del(
    session: &Session,
    set: &AliasKey,
    cells: &[Cells],
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let there = of_set(session, set).await?;
    let none = |what: &str| Failure::refused(format!("{} has {what}; nothing was changed", written(set)));
    let rows: Vec<&AliasRow> = match cells {
        [] => there.iter().collect(),
        cells => with_lines(&there, cells).map_err(|at| none(&format!("no (further) row for line {}", at + 1)))?,
    };
    if rows.is_empty() {
        return Err(none("no rows"));
    }
    let plan = Plan {
        done: format!("{}: {} instruction(s) deleted", written(set), rows.len()),
        changes: rows.into_iter().cloned().map(TableRow::Alias).map(Change::Delete).collect(),
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

async fn list(session: &Session, user: Option<&OsStr>, output: &mut Output) -> Result<Exit, Failure> {
    const HEADS: &[&str] = &["username", "ext", "instruction"];
    if let Some(user) = user {
        let rows = aliases(session, &username(user.as_bytes())?).await?;
        let mut list = List::new(HEADS, output);
        push(session, &rows, &mut list, output);
        return list.end(Ok(()), output);
    }
    let mut pages = Pages::begin(session, Table::Alias).await?;
    let mut list = List::new(HEADS, output);
    let read = all(session, &mut pages, &mut list, output).await;
    list.end(read, output)
}

async fn all(session: &Session, pages: &mut Pages, list: &mut List, output: &mut Output) -> Result<(), Failure> {
    // The last set of a page may go on with the next one.
    let mut held: Vec<AliasRow> = Vec::new();
    loop {
        let page = pages.next().await?;
        let is_end = page.is_empty();
        held.extend(page.into_iter().filter_map(|row| if let TableRow::Alias(row) = row { Some(row) } else { None }));
        let whole = match held.last().filter(|_| !is_end) {
            Some(last) => {
                let last = set_of(last);
                held.iter().position(|row| set_of(row) == last).unwrap_or(held.len())
            }
            None => held.len(),
        };
        let rest = held.split_off(whole);
        push(session, &held, list, output);
        held = rest;
        if is_end {
            return Ok(());
        }
    }
}

fn push(session: &Session, rows: &[AliasRow], list: &mut List, output: &mut Output) {
    for (user, ext, line) in lines(session, rows) {
        list.push(vec![user, ext, line], output);
    }
}

fn set_of(row: &AliasRow) -> (Vec<u8>, Vec<u8>) {
    let folded = |cell: &Option<Vec<u8>>| fold(cell.as_deref().unwrap_or_default());
    (folded(&row.username), folded(&row.alias))
}

/// User, extension and dot-qmail line of each row, set after set, in the order in which they are carried out. Rows of a
/// set that is misconfigured come as their two cells.
pub(crate) fn lines(session: &Session, rows: &[AliasRow]) -> Vec<(String, String, String)> {
    let mut lines = Vec::new();
    for set in rows.chunk_by(|one, next| set_of(one) == set_of(next)) {
        let Some(first) = set.first() else { continue };
        let (user, ext) = set_of(first);
        let shown: Vec<String> = match instructions(set, b"/", &session.config.rules) {
            Ok(read) => read.iter().map(|one| text(&one.to_line())).collect(),
            Err(_) => set.iter().map(misconfigured).collect(),
        };
        lines.extend(shown.into_iter().map(|line| (text(&user), text(&ext), line)));
    }
    lines
}

fn misconfigured(row: &AliasRow) -> String {
    let cell = |cell: &Option<Vec<u8>>| text(cell.as_deref().unwrap_or_default());
    format!("misconfigured set: alias_username '{}' alias_host '{}'", cell(&row.alias_username), cell(&row.alias_host))
}
