//! `add`, `list`, `del`.

use crate::cli;
use crate::editing::rows::of_key;
use crate::editing::show::List;
use crate::editing::{Plan, make};
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::key::fold;
use qmail_lookup_core::lint::key_of;
use qmail_lookup_core::{Change, Host, HostRow, Table, TableRow};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

pub(super) async fn run(session: &Session, edit: &cli::Rcpthost, output: &mut Output) -> Result<Exit, Failure> {
    match edit {
        cli::Rcpthost::Add { host, edit } => add(session, &named(host)?, edit, output).await,
        cli::Rcpthost::List => list(session, output).await,
        cli::Rcpthost::Del { host, edit } => del(session, host.as_bytes(), edit, output).await,
    }
}

fn named(written: &OsStr) -> Result<Host, Failure> {
    let written = written.as_bytes();
    Host::new(written).ok_or_else(|| Failure::usage(format!("'{}' is no host", text(written))))
}

async fn add(session: &Session, host: &Host, edit: &cli::Edit, output: &mut Output) -> Result<Exit, Failure> {
    if !of_key(session, Table::Rcpthosts, host.as_bytes()).await?.is_empty() {
        return Err(Failure::refused(format!("{host} is accepted already; nothing was changed")));
    }
    let row = HostRow { host: Some(host.as_bytes().to_vec()) };
    let plan = Plan {
        changes: vec![Change::Insert(TableRow::Rcpthosts(row))],
        done: format!("mail for {host} is accepted"),
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

/// Deletes what is stored, also if it can be no host.
async fn del(session: &Session, host: &[u8], edit: &cli::Edit, output: &mut Output) -> Result<Exit, Failure> {
    let rows = of_key(session, Table::Rcpthosts, &fold(host)).await?;
    let host = text(host);
    if rows.is_empty() {
        return Err(Failure::refused(format!("there is no row for {host}; nothing was changed")));
    }
    let plan = Plan {
        changes: rows.into_iter().map(Change::Delete).collect(),
        // That mail for it is not accepted is what is asked for.
        meant: &[("R1", Table::Virtual)],
        done: format!("mail for {host} is accepted by table rcpthosts no more"),
        ..Plan::default()
    };
    make(session, &plan, edit, output).await
}

async fn list(session: &Session, output: &mut Output) -> Result<Exit, Failure> {
    let mut pages = Pages::begin(session, Table::Rcpthosts).await?;
    let mut list = List::new(&["host"], output);
    let read = async {
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                return Ok(());
            }
            page.iter().for_each(|row| list.push(vec![key_of(row)], output));
        }
    };
    let read = read.await;
    list.end(read, output)
}
