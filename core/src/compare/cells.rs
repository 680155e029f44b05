//! The cells of the rows of one set here and there: where the rules make no answer of them, and for passwords.

use crate::alias::AliasRow;
use crate::catalog::TableRow;
use crate::credential::CredentialRow;
use crate::mailbox::Standing;
use crate::moving::Fit;
use crate::moving::numbers::in_order;
use crate::password::Secret;
use crate::virtuals::VirtualRow;

/// One row, by the columns that are compared.
type Cells = Vec<Vec<u8>>;

fn cell(cell: Option<&[u8]>) -> Vec<u8> {
    cell.unwrap_or_default().to_vec()
}

/// The names of the columns in which the rows of a set differ; neither of the key nor of passwords. NULL is empty, and
/// of alias rows the order counts, but not the numbers that make it.
#[must_use]
pub fn differing_cells(left: &[TableRow], right: &[TableRow]) -> Vec<&'static str> {
    let cells = |row: &TableRow| match row {
        TableRow::Mailbox(row) => {
            let row = &row.mailbox;
            let standing: &[u8] = match Standing::read(row.suspended.as_deref()) {
                Standing::Active => b"N",
                Standing::Suspended => b"Y",
                Standing::Bounced => Standing::BOUNCED,
            };
            vec![cell(row.uid.as_deref()), cell(row.gid.as_deref()), cell(row.home.as_deref()), standing.to_vec()]
        }
        TableRow::Alias(AliasRow { alias_username, alias_host, .. }) => {
            vec![cell(alias_username.as_deref()), cell(alias_host.as_deref())]
        }
        TableRow::Virtual(VirtualRow { username, ext, .. }) => vec![cell(username.as_deref()), cell(ext.as_deref())],
        TableRow::Rcpthosts(_) => Vec::new(),
    };
    let names: &[&'static str] = match left.iter().chain(right).next() {
        Some(TableRow::Mailbox(_)) => &["uid", "gid", "home", "suspended"],
        Some(TableRow::Alias(_)) => {
            let all = |rows: &[TableRow]| in_order(rows).iter().map(cells).collect::<Vec<_>>();
            return columns(&["alias_username", "alias_host"], &all(left), &all(right));
        }
        Some(TableRow::Virtual(_)) => &["username", "ext"],
        Some(TableRow::Rcpthosts(_)) | None => &[],
    };
    columns(names, &sorted(left.iter().map(cells)), &sorted(right.iter().map(cells)))
}

/// Which of the password columns differ between the rows of one mailbox. No type is the type that the stored value names
/// itself; types are words in any case (rule P1).
#[must_use]
pub fn differing_passwords(left: &[TableRow], right: &[TableRow]) -> Vec<&'static str> {
    let of = |row: &TableRow| match Fit::WORDS.of(row.clone()) {
        TableRow::Mailbox(CredentialRow { password, password_type, .. }) => {
            // NULL is not an empty word: that is an unknown type.
            let kind = password_type.map(|kind| [b"type ", &*kind.to_ascii_lowercase()].concat());
            vec![cell(password.as_ref().map(Secret::expose)), kind.unwrap_or_default()]
        }
        TableRow::Alias(_) | TableRow::Virtual(_) | TableRow::Rcpthosts(_) => Vec::new(),
    };
    columns(&["password", "password_type"], &sorted(left.iter().map(of)), &sorted(right.iter().map(of)))
}

fn sorted(rows: impl Iterator<Item = Cells>) -> Vec<Cells> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

/// The columns in which the two lists of rows differ; at least one, if they do.
fn columns(names: &[&'static str], left: &[Cells], right: &[Cells]) -> Vec<&'static str> {
    let differs = |at: usize| {
        let column = |rows: &'_ [Cells]| rows.iter().map(|row| row.get(at).cloned()).collect::<Vec<_>>();
        column(left) != column(right)
    };
    names.iter().enumerate().filter(|(at, _)| differs(*at)).map(|(_, name)| *name).collect()
}
