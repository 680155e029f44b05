//! `user passwd`.

use crate::cli;
use crate::editing::password::{self, Columns, Works};
use crate::editing::rows::{mailbox, the_mailbox};
use crate::editing::{Plan, carry_out, finish, review, tell_daemon};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::{Change, CredentialRow, TableRow, Username};

pub(super) async fn run(
    session: &Session,
    name: &Username,
    options: &cli::Password,
    edit: &cli::Edit,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let old = the_mailbox(session, name).await?;
    let columns = Columns::of(session).await?;
    password::check(&columns, options)?;
    let offered = password::read(options).await?;
    let mut new = old.clone();
    columns.put(&mut new, &offered, options.hash).await?;
    let plan = Plan {
        changes: vec![replace(&old, &new)],
        done: format!("mailbox {name} has the new password"),
        ..Plan::default()
    };
    if let Some(exit) = review(session, &plan, edit, output).await? {
        return Ok(exit);
    }
    carry_out(session, &plan.changes).await?;
    match password::works(session, name, &offered).await {
        Ok(Works::Yes) => finish(session, &plan, output).await,
        Ok(Works::No(why)) => {
            let failure = put_back(session, name, &old, &new, &why).await;
            // It may have seen the row in between.
            tell_daemon(session, output).await;
            Err(failure)
        }
        Err(failure) => {
            tell_daemon(session, output).await;
            Err(failure.after("the new password was written; whether it works is not known"))
        }
    }
}

fn replace(old: &CredentialRow, new: &CredentialRow) -> Change {
    Change::Replace { old: TableRow::Mailbox(old.clone()), new: TableRow::Mailbox(new.clone()) }
}

/// Nobody is locked out by a hash that does not verify: the old one comes back, unless somebody has changed the row.
async fn put_back(session: &Session, name: &Username, old: &CredentialRow, new: &CredentialRow, why: &str) -> Failure {
    let what = format!("the new password of mailbox {name} does not work: {why}");
    match mailbox(session, name).await {
        Ok(Some(now)) if now == *new => match carry_out(session, &[replace(new, old)]).await {
            Ok(()) => Failure::refused(format!("{what}; the old one was put back (try another --hash)")),
            Err(failure) => failure.after(&format!("{what}, and the old one could not be put back: set another one")),
        },
        Ok(_) => {
            Failure::refused(format!("{what}; the row was changed by somebody else meanwhile, and is left as it is"))
        }
        Err(failure) => failure.after(&format!("{what}, and the old one could not be put back: set another one")),
    }
}
