//! mysqldump of postfixadmin's database.

use super::accounts::{Found, Needed, given, tell, tell_missing};
use super::dump::{Dump, Row, Table};
use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::{Failure, text};
use crate::session::Session;
use qmail_lookup_core::Table as Ours;
use qmail_lookup_core::import::postfixadmin::{Domain, Mailbox, Postfixadmin, is_yes};
use std::os::unix::ffi::OsStrExt;

fn carries(table: &Table) -> Option<&'static [&'static str]> {
    // local_part and domain say again what username and address say.
    let columns: &[&str] = match table.name.as_str() {
        "mailbox" => &["username", "password", "maildir", "active", "local_part", "domain"],
        "alias" => &["address", "goto", "active", "domain"],
        "domain" => &["domain", "backupmx", "active"],
        "alias_domain" => &["alias_domain", "target_domain", "active"],
        _ => return None,
    };
    columns.get(..2).is_some_and(|needed| table.has(needed)).then_some(columns)
}

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(
    session: &Session,
    options: &cli::Import,
    rows: &mut Rows,
    losses: &mut Losses,
) -> Result<(), Failure> {
    let base = options.home.as_ref().map(|home| home.as_os_str().as_bytes());
    if base.is_some_and(|base| !base.starts_with(b"/")) {
        return Err(Failure::usage("--home must be an absolute path"));
    }
    let mut all = Postfixadmin::new(given(session, options, losses)?);
    let mut dump = Dump::open(&options.source, carries)?;
    while let Some(row) = dump.next()? {
        // A table of old times may have no such column. NULL is not 1, as the other programs ask.
        let is_active = !row.table.has(&["active"]) || is_yes(row.bytes("active"));
        match row.table.name.as_str() {
            "mailbox" => {
                let path = path(&row, base).map_err(|what| dump.wrong("mailbox", what))?;
                let (address, password) = (row.bytes("username"), row.bytes("password"));
                if let Some(row) = all.mailbox(Mailbox { address, password, path: &path, is_active }) {
                    rows.add(&row)?;
                }
            }
            "alias" => all.alias(row.bytes("address"), row.bytes("goto"), is_active),
            "domain" => {
                if row.table.has(&["backupmx"]) && row.get("backupmx").is_none() {
                    losses.note(
                        format!("domain {}", text(row.bytes("domain"))),
                        "backupmx is NULL: taken for 0, so that its mail is delivered here",
                    );
                }
                all.domain(Domain { name: row.bytes("domain"), is_backup: is_yes(row.bytes("backupmx")), is_active });
            }
            _ => all.alias_domain(row.bytes("alias_domain"), row.bytes("target_domain"), is_active),
        }
    }
    let needed = |name, ours, is_found| Needed { name, ours, is_found };
    let needed = [
        needed("mailbox", Ours::Mailbox, Found::WithRows),
        needed("alias", Ours::Alias, Found::WithRows),
        needed("domain", Ours::Rcpthosts, Found::WithRows),
        needed("alias_domain", Ours::Virtual, Found::Rarely),
    ];
    tell_missing(&dump, &needed, losses);
    dump.finish("tables mailbox, alias and domain as postfixadmin has them", losses)?;
    tell(&all.finish(&mut |row| rows.add(&row))?, losses);
    Ok(())
}

/// The maildir, absolute.
fn path(row: &Row, base: Option<&[u8]>) -> Result<Vec<u8>, &'static str> {
    match (row.bytes("maildir"), base) {
        (maildir @ [b'/', ..], _) => Ok(maildir.to_vec()),
        ([], _) => Err("column maildir is blank"),
        (_, None) => Err("column maildir is relative; --home DIR says to what (Postfix: virtual_mailbox_base)"),
        (maildir, Some(base)) => Ok([base.strip_suffix(b"/").unwrap_or(base), b"/", maildir].concat()),
    }
}
