//! `user add`.

use crate::cli;
use crate::editing::home;
use crate::editing::password::{self, Columns, Works};
use crate::editing::rows::{aliases, has_no_rows, mailbox, numbering, username};
use crate::editing::{Plan, carry_out, finish, review, tell_daemon};
use crate::exit::Exit;
use crate::output::{Failure, Output};
use crate::session::Session;
use qmail_lookup_core::alias::instructions;
use qmail_lookup_core::editing::added;
use qmail_lookup_core::key::AliasKey;
use qmail_lookup_core::{
    AliasRow, Change, CredentialRow, Ext, MailboxRow, Secret, Table, TableRow, Username, dotqmail,
};
use std::os::unix::ffi::OsStrExt;

/// The line that delivers into a mailbox's Maildir.
const MAILDIR: &[u8] = b"./Maildir/";

pub(super) async fn run(session: &Session, options: &cli::UserAdd, output: &mut Output) -> Result<Exit, Failure> {
    let name = username(options.name.as_bytes())?;
    if mailbox(session, &name).await?.is_some() {
        return Err(Failure::refused(format!("there is a mailbox {name} already; nothing was changed")));
    }
    if !options.edit.force {
        has_no_rows(session, &name, None).await?;
    }
    let columns = Columns::of(session).await?;
    let mut row = CredentialRow { mailbox: cells(&name, options, &columns), ..CredentialRow::default() };
    // Before anybody types a password. --force does not make a row that the rules never use.
    row.mailbox.validate(&session.config.rules).map_err(|bad| {
        Failure::refused(format!(
            "mailbox {name}: column {}: {}; nothing was changed ({})",
            bad.column, bad.problem, bad.rule
        ))
    })?;
    columns.hold(&row.mailbox)?;
    let offered = if options.no_password {
        columns.put_none(&mut row);
        None
    } else {
        password::check(&columns, &options.password)?;
        let offered = password::read(&options.password).await?;
        columns.put(&mut row, &offered, options.password.hash).await?;
        Some(offered)
    };
    let mut changes = Vec::new();
    if options.maildir {
        changes.extend(maildir(session, &name).await?.into_iter().map(TableRow::Alias).map(Change::Insert));
    }
    // Rows that deliver come first: nobody reads them before there is a mailbox.
    changes.push(Change::Insert(TableRow::Mailbox(row.clone())));
    let mut plan = Plan {
        changes,
        meant: if options.no_password { &[("P2", Table::Mailbox)] } else { &[] },
        homes: !options.create_home,
        done: format!("mailbox {name} added"),
        hint: Some(("G3", "a home that is missing, and its Maildir, are made by --create-home".to_owned())),
        ..Plan::default()
    };
    if let Some(exit) = review(session, &plan, &options.edit, output).await? {
        return Ok(exit);
    }
    let made = match options.create_home {
        true => home(options).await?,
        false => Vec::new(),
    };
    let stays = |failure: Failure| match made.is_empty() {
        true => failure,
        false => failure.after(&format!("{} was made, and stays", made.join(", "))),
    };
    if options.create_home && !options.edit.force {
        // What was there before is kept as it is, and need not be as it has to be.
        plan.homes = true;
        plan.hint = (!made.is_empty()).then(|| ("G3", format!("{} was made, and stays", made.join(", "))));
        if let Some(exit) = review(session, &plan, &options.edit, output).await.map_err(stays)? {
            return Ok(exit);
        }
    }
    carry_out(session, &plan.changes).await.map_err(stays)?;
    if let Some(offered) = offered {
        let seen = seen(session, &name, &offered).await;
        if seen.is_err() {
            tell_daemon(session, output).await;
        }
        seen?;
    }
    let plan = Plan { remarks: made.iter().map(|path| format!("{path} made")).collect(), ..plan };
    finish(session, &plan, output).await
}

fn cells(name: &Username, options: &cli::UserAdd, columns: &Columns) -> MailboxRow {
    MailboxRow {
        username: Some(name.as_bytes().to_vec()),
        uid: Some(options.uid.to_string().into_bytes()),
        gid: Some(options.gid.to_string().into_bytes()),
        home: Some(options.home.as_os_str().as_bytes().to_vec()),
        suspended: columns.has("suspended").then(|| b"N".to_vec()),
    }
}

/// The row that delivers into ./Maildir/, unless there is one.
async fn maildir(session: &Session, name: &Username) -> Result<Vec<AliasRow>, Failure> {
    let Some(alias) = Ext::new(b"") else { return Ok(Vec::new()) };
    let there: Vec<AliasRow> =
        aliases(session, name).await?.into_iter().filter(|row| alias.matches(row.alias.as_deref())).collect();
    let delivers = |row: &AliasRow| {
        let read = instructions(std::slice::from_ref(row), b"/", &session.config.rules);
        read.is_ok_and(|lines| lines.iter().any(|line| line.to_line() == MAILDIR))
    };
    if there.iter().any(delivers) {
        return Ok(Vec::new());
    }
    let cells = dotqmail::cells(MAILDIR).map_err(Failure::usage)?;
    let (numbering, fresh) = numbering(session).await?;
    Ok(added(&there, &AliasKey { username: name.clone(), alias }, vec![cells], numbering, fresh))
}

async fn home(options: &cli::UserAdd) -> Result<Vec<String>, Failure> {
    let wanted = cli::MakeHome { uid: options.uid, gid: options.gid, as_root: false, home: options.home.clone() };
    Ok(home::create(&wanted).await?.directories)
}

/// The row is there; what remains to be seen is that its owner can log in.
async fn seen(session: &Session, name: &Username, offered: &Secret) -> Result<(), Failure> {
    match password::works(session, name, offered).await {
        Ok(Works::Yes) => Ok(()),
        Ok(Works::No(why)) => {
            let what = format!("mailbox {name} was added, but its password does not work: {why}");
            Err(Failure::refused(format!("{what}; set another one: user passwd {name} --hash sha512")))
        }
        Err(failure) => {
            Err(failure.after(&format!("mailbox {name} was added; whether its password works is not known")))
        }
    }
}
