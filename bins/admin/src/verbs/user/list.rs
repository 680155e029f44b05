//! `user list`.

use crate::editing::show::List;
use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use crate::pages::Pages;
use crate::session::Session;
use qmail_lookup_core::editing::fits;
use qmail_lookup_core::{Standing, Table, TableRow};

pub(super) async fn run(session: &Session, pattern: Option<&[u8]>, output: &mut Output) -> Result<Exit, Failure> {
    let mut pages = Pages::begin(session, Table::Mailbox).await?;
    let mut list = List::new(&["username", "uid", "gid", "home", "standing"], output);
    let read = all(&mut pages, pattern.unwrap_or(b"*"), &mut list, output).await;
    list.end(read, output)
}

async fn all(pages: &mut Pages, pattern: &[u8], list: &mut List, output: &mut Output) -> Result<(), Failure> {
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        for row in page {
            let TableRow::Mailbox(row) = row else { continue };
            let row = row.mailbox;
            if !fits(pattern, row.username.as_deref().unwrap_or_default()) {
                continue;
            }
            let standing = word(Standing::read(row.suspended.as_deref())).to_owned();
            let cells = [row.username, row.uid, row.gid, row.home];
            let cells = cells.into_iter().map(|cell| text(&cell.unwrap_or_default()));
            list.push(cells.chain([standing]).collect(), output);
        }
    }
}

pub(super) fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Suspended => "suspended",
        Standing::Bounced => "bounced",
    }
}
