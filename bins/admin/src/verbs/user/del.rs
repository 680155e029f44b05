//! `user del`.

use crate::cli;
use crate::editing::rows::{is_no_canary, others, the_mailbox};
use crate::editing::{Plan, make};
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::session::Session;
use qmail_lookup_core::{Change, TableRow, Username};

pub(super) async fn run(
    session: &Session,
    name: &Username,
    with_rows: bool,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let row = the_mailbox(session, name).await?;
    if !edit.force {
        is_no_canary(session, name)?;
    }
    let others = others(session, name).await?;
    let (aliases, virtuals) = (others.aliases.len(), others.virtuals.len());
    if aliases + virtuals > 0 && !with_rows && !edit.force {
        let what = format!("mailbox {name} has {aliases} row(s) of table alias and {virtuals} of table virtual");
        return Err(Failure::refused(format!("{what}; nothing was changed (--with-rows deletes them, too)")));
    }
    let home = text(row.mailbox.home.as_deref().unwrap_or_default());
    let mut beside = others.forwards;
    let mut changes = Vec::new();
    // Nobody reads rows of table alias without a mailbox, so they go last; an address without its owner would bounce
    // otherwise than one that is not there.
    if with_rows {
        changes.extend(others.virtuals.iter().cloned().map(Change::Delete));
    }
    changes.push(Change::Delete(TableRow::Mailbox(row)));
    if with_rows {
        changes.extend(others.aliases.into_iter().map(Change::Delete));
    }
    beside.extend(others.virtuals);
    let rows = if with_rows {
        format!(" with {aliases} row(s) of table alias and {virtuals} of table virtual")
    } else {
        String::new()
    };
    let mut remarks = vec![format!("its home {home} stays as it is")];
    if !with_rows && aliases + virtuals > 0 {
        remarks
            .push(format!("{aliases} row(s) of table alias and {virtuals} of table virtual are left without an owner"));
    }
    let plan = Plan { changes, beside, done: format!("mailbox {name} deleted{rows}"), remarks, ..Plan::default() };
    make(session, &plan, edit, output).await
}
