//! Mailboxes: suspending them, and giving them another name.

use crate::catalog::TableRow;
use crate::credential::CredentialRow;
use crate::key::Username;
use crate::mailbox::Standing;

/// The row of a mailbox suspended, or in use again; `None` if it is so already.
#[must_use]
pub fn with_standing(row: &CredentialRow, suspended: bool) -> Option<CredentialRow> {
    let is_suspended = Standing::read(row.mailbox.suspended.as_deref()) != Standing::Active;
    let mut new = row.clone();
    new.mailbox.suspended = Some(if suspended { b"Y".to_vec() } else { b"N".to_vec() });
    (is_suspended != suspended).then_some(new)
}

/// The cell that says whose row this is; `None` for a host of table rcpthosts, which is nobody's.
#[must_use]
pub fn of_owner(row: &TableRow) -> Option<&[u8]> {
    match row {
        TableRow::Mailbox(row) => row.mailbox.username.as_deref(),
        TableRow::Alias(row) => row.username.as_deref(),
        TableRow::Virtual(row) => row.username.as_deref(),
        TableRow::Rcpthosts(_) => None,
    }
}

/// The same row of another mailbox.
#[must_use]
pub fn renamed(row: &TableRow, new: &Username) -> TableRow {
    let (mut row, name) = (row.clone(), Some(new.as_bytes().to_vec()));
    match &mut row {
        TableRow::Mailbox(row) => row.mailbox.username = name,
        TableRow::Alias(row) => row.username = name,
        TableRow::Virtual(row) => row.username = name,
        TableRow::Rcpthosts(_) => {}
    }
    row
}

/// True if this user part of an address means `name`, or an extension of it behind one of `breaks`.
#[must_use]
pub fn belongs_to(user: &[u8], name: &Username, breaks: &[u8]) -> bool {
    let name = name.as_bytes();
    match user.split_at_checked(name.len()) {
        Some((front, rest)) => {
            front.eq_ignore_ascii_case(name) && rest.first().is_none_or(|first| breaks.contains(first))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::MailboxRow;

    fn with(suspended: Option<&[u8]>) -> CredentialRow {
        let mailbox = MailboxRow { suspended: suspended.map(<[u8]>::to_vec), ..MailboxRow::default() };
        CredentialRow { mailbox, ..CredentialRow::default() }
    }

    #[test]
    fn a_mailbox_is_suspended_and_resumed_once() {
        let cell = |row: &CredentialRow, suspended| with_standing(row, suspended).map(|row| row.mailbox.suspended);
        assert_eq!(cell(&with(Some(b"N")), true), Some(Some(b"Y".to_vec())));
        assert_eq!(cell(&with(None), true), Some(Some(b"Y".to_vec())));
        assert_eq!(cell(&with(Some(b"yes")), false), Some(Some(b"N".to_vec())));
        for (now, wanted) in [(None, false), (Some(&b"n"[..]), false), (Some(b"Y"), true), (Some(b"bounce"), true)] {
            assert_eq!(cell(&with(now), wanted), None, "{now:?}");
        }
    }

    #[test]
    fn a_forward_belongs_to_a_name_and_its_extensions_only() {
        let iain = Username::new(b"iain").unwrap();
        let of = |user: &str| belongs_to(user.as_bytes(), &iain, b"-+");
        assert!(of("iain") && of("IAIN-x") && of("iain+y"));
        assert!(!of("iai") && !of("iainx") && !of("") && !of("x-iain"));
    }

    #[test]
    fn each_row_but_a_host_gets_the_new_name() {
        let new = Username::new(b"Bob").unwrap();
        for table in crate::catalog::Table::ALL {
            let cells = (0..table.columns().len()).map(|n| Some(format!("c{n}").into_bytes()));
            let row = TableRow::from_cells(table, cells);
            let other = renamed(&row, &new);
            let changed = row.cells().iter().zip(other.cells()).filter(|(old, new)| **old != *new).count();
            assert_eq!(
                (changed, of_owner(&other)),
                if of_owner(&row).is_some() { (1, Some(&b"bob"[..])) } else { (0, None) }
            );
        }
    }
}
