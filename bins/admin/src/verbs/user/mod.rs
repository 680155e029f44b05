//! `user add`, `show`, `list`, `del`, `passwd`, `suspend`, `resume`, `rename`.

mod add;
mod del;
mod list;
mod passwd;
mod rename;
mod show;

use crate::cli;
use crate::editing::password::Columns;
use crate::editing::rows::{the_mailbox, username, virtuals_of};
use crate::editing::{Plan, as_it_is, make};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::editing::with_standing;
use qmail_lookup_core::{Change, Table, TableRow};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

pub(crate) async fn run(session: &Session, edit: &cli::User, output: &mut Output) -> Result<Exit, Failure> {
    match edit {
        cli::User::Add(options) => add::run(session, options, output).await,
        cli::User::Show { name } => show::run(session, &username(name.as_bytes())?, output).await,
        cli::User::List { pattern } => list::run(session, pattern.as_deref().map(OsStr::as_bytes), output).await,
        cli::User::Del { name, with_rows, edit } => {
            del::run(session, &username(name.as_bytes())?, *with_rows, edit, output).await
        }
        cli::User::Passwd { name, password, edit } => {
            passwd::run(session, &username(name.as_bytes())?, password, edit, output).await
        }
        cli::User::Suspend { name, edit } => standing(session, name, true, edit, output).await,
        cli::User::Resume { name, edit } => standing(session, name, false, edit, output).await,
        cli::User::Rename { name, new, edit } => {
            let (name, new) = (username(name.as_bytes())?, username(new.as_bytes())?);
            rename::run(session, &name, &new, edit, output).await
        }
    }
}

async fn standing(
    session: &Session,
    name: &OsStr,
    suspended: bool,
    options: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let name = username(name.as_bytes())?;
    let old = the_mailbox(session, &name).await?;
    let word = if suspended { "suspended" } else { "in use" };
    let Some(new) = with_standing(&old, suspended) else {
        return Ok(as_it_is(&format!("mailbox {name} is {word} already"), output));
    };
    Columns::of(session).await?.can_suspend()?;
    let plan = Plan {
        // They are counted among what still delivers its mail.
        beside: if suspended { virtuals_of(session, &name).await? } else { Vec::new() },
        changes: vec![Change::Replace { old: TableRow::Mailbox(old), new: TableRow::Mailbox(new) }],
        // That rows still deliver its mail is what rules.suspended_mail says.
        meant: &[("P3", Table::Mailbox)],
        done: format!("mailbox {name} is {word}"),
        ..Plan::default()
    };
    make(session, &plan, options, output).await
}
