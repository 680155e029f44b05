//! `add`, `list`, `del`.

use crate::cli;
use crate::editing::rows::{of_key, username};
use crate::editing::show::List;
use crate::editing::{Plan, make};
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::editing::virtual_cells;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::{Change, Table, TableRow, Username, VirtualRow};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

pub(super) async fn run(session: &Session, edit: &cli::Virtual, output: &mut Output) -> Result<Exit, Failure> {
    match edit {
        cli::Virtual::Add { address, owner, ext, replace, edit } => {
            let ext = ext.as_deref().map(OsStr::as_bytes).unwrap_or_default();
            let target = Target { owner: username(owner.as_bytes())?, ext, replaces: *replace };
            add(session, address.as_bytes(), &target, edit, output).await
        }
        cli::Virtual::List { host } => list(session, host.as_deref().map(OsStr::as_bytes), output).await,
        cli::Virtual::Del { address, owner, edit } => {
            del(session, address.as_bytes(), owner.as_deref().map(OsStr::as_bytes), edit, output).await
        }
    }
}

/// The rows of an address, and its cells.
async fn of_address(session: &Session, address: &[u8]) -> Result<((Vec<u8>, Vec<u8>), Vec<VirtualRow>), Failure> {
    let (user, host) = virtual_cells(address, session.config.rules.virtual_patterns).ok_or_else(|| {
        Failure::usage(format!("'{}' is no address; write USER@HOST, or @HOST for the catch-all", text(address)))
    })?;
    let rows = of_user(session, &user, &host).await?;
    Ok(((user, host), rows))
}

/// The rows of a virtual host whose user part is this one.
async fn of_user(session: &Session, user: &[u8], host: &[u8]) -> Result<Vec<VirtualRow>, Failure> {
    let is_its = |row: &VirtualRow| fold(row.virtual_username.as_deref().unwrap_or_default()) == user;
    let rows = of_key(session, Table::Virtual, host).await?;
    let rows = rows.into_iter().filter_map(|row| if let TableRow::Virtual(row) = row { Some(row) } else { None });
    Ok(rows.filter(is_its).collect())
}

/// Who gets the mail of a new row.
struct Target<'a> {
    owner: Username,
    ext: &'a [u8],
    /// And nobody else any more.
    replaces: bool,
}

async fn add(
    session: &Session,
    address: &[u8],
    target: &Target<'_>,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Target { owner, ext, replaces } = target;
    let ((user, host), there) = of_address(session, address).await?;
    let cell = |bytes: &[u8]| Some(bytes.to_vec());
    let row = VirtualRow {
        username: cell(owner.as_bytes()),
        ext: cell(ext),
        virtual_username: cell(&user),
        virtual_host: cell(&host),
    };
    let is_same = |other: &VirtualRow| {
        owner.matches(other.username.as_deref()) && other.ext.as_deref().unwrap_or_default() == *ext
    };
    let same = there.iter().position(is_same);
    if same.is_some() && !(*replaces && there.len() > 1) {
        return Err(Failure::refused(format!("{} goes to {owner} already; nothing was changed", text(address))));
    }
    let hint = match (there.is_empty(), of_key(session, Table::Virtual, &host).await?.is_empty()) {
        (false, _) => {
            let what = "--replace puts this row in the place of those that the address has";
            (!replaces).then(|| ("V3", what.to_owned()))
        }
        (true, true) if !address.starts_with(b"@") => {
            let host = text(&host);
            let what = format!(
                "with its first row {host} becomes virtual, and those of its addresses that have no row bounce"
            );
            let help = format!(
                "give {host} a catch-all first (virtual add @{host} OWNER), or add their rows, each with --force"
            );
            Some(("dangling", format!("{what}: the findings name those that are forwarded to; {help}")))
        }
        (true, _) => None,
    };
    let mut old = there.into_iter().map(TableRow::Virtual);
    let row = TableRow::Virtual(row);
    let mut changes = Vec::new();
    if !replaces {
        changes.push(Change::Insert(row));
    } else if let Some(same) = same {
        changes.extend(old.enumerate().filter(|(at, _)| *at != same).map(|(_, row)| Change::Delete(row)));
    } else {
        changes.push(match old.next() {
            Some(old) => Change::Replace { old, new: row },
            None => Change::Insert(row),
        });
        changes.extend(old.map(Change::Delete));
    }
    let plan = Plan {
        changes,
        // A host is served before its mail is accepted, and the other way round when it goes.
        meant: &[("R1", Table::Virtual)],
        done: format!("{} goes to {owner}", text(address)),
        hint,
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

async fn del(
    session: &Session,
    address: &[u8],
    owner: Option<&[u8]>,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (_, mut rows) = of_address(session, address).await?;
    if rows.is_empty() && address.starts_with(b"@") {
        // With patterns a blank row is no catch-all, but it may be there.
        rows = of_user(session, b"", &fold(address.get(1..).unwrap_or_default())).await?;
    }
    // Also one that can be no name.
    let is_its = |row: &VirtualRow, owner: &[u8]| fold(row.username.as_deref().unwrap_or_default()) == fold(owner);
    rows.retain(|row| owner.is_none_or(|owner| is_its(row, owner)));
    if rows.is_empty() {
        return Err(Failure::refused(format!("there is no such row for {}; nothing was changed", text(address))));
    }
    let plan = Plan {
        done: format!("{}: {} row(s) deleted", text(address), rows.len()),
        changes: rows.into_iter().map(TableRow::Virtual).map(Change::Delete).collect(),
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

async fn list(session: &Session, host: Option<&[u8]>, output: &mut Output) -> Result<Exit, Failure> {
    const HEADS: &[&str] = &["address", "owner", "ext"];
    if let Some(host) = host {
        let rows = of_key(session, Table::Virtual, host).await?;
        let mut list = List::new(HEADS, output);
        rows.iter().for_each(|row| push(row, &mut list, output));
        return list.end(Ok(()), output);
    }
    let mut pages = Pages::begin(session, Table::Virtual).await?;
    let mut list = List::new(HEADS, output);
    let read = async {
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                return Ok(());
            }
            page.iter().for_each(|row| push(row, &mut list, output));
        }
    };
    let read = read.await;
    list.end(read, output)
}

fn push(row: &TableRow, list: &mut List, output: &mut Output) {
    if let TableRow::Virtual(of) = row {
        let cell = |cell: &Option<Vec<u8>>| text(cell.as_deref().unwrap_or_default());
        list.push(vec![key_of(row), cell(&of.username), cell(&of.ext)], output);
    }
}
