//! mysqldump of vpopmail's database.

use super::accounts::{given, tell};
use super::dump::{Dump, Row, Table};
use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use qmail_lookup_core::import::vpopmail::{User, Vpopmail, domain_of};

/// What makes a table one of users, whatever it is called: there may be one for each domain.
const USERS: [&str; 3] = ["pw_name", "pw_passwd", "pw_dir"];

fn carries(table: &Table) -> Option<&'static [&'static str]> {
    match table.name.as_str() {
        _ if table.has(&USERS) => {
            Some(&["pw_name", "pw_domain", "pw_passwd", "pw_clear_passwd", "pw_gid", "pw_dir", "pw_shell"])
        }
        "valias" if table.has(&["alias", "domain", "valias_line"]) => Some(&["alias", "domain", "valias_line"]),
        "aliasdomains" if table.has(&["alias", "domain"]) => Some(&["alias", "domain"]),
        _ => None,
    }
}

/// Adds the rows of `options.source` to `rows`, and what could not be carried over to `losses`.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(options: &cli::Import, rows: &mut Rows, losses: &mut Losses) -> Result<(), Failure> {
    let mut all = Vpopmail::new(given(options, losses)?);
    let mut dump = Dump::open(&options.source, carries)?;
    let mut has_users = false;
    while let Some(row) = dump.next()? {
        match row.table.name.as_str() {
            _ if row.table.has(&USERS) => {
                has_users = true;
                let user = user(&row).map_err(|what| dump.wrong(&row.table.name, what))?;
                if let Some(mailbox) = all.user(user) {
                    rows.add(&mailbox)?;
                }
            }
            "valias" => all.valias(row.bytes("alias"), row.bytes("domain"), row.bytes("valias_line")),
            _ => all.alias_domain(row.bytes("alias"), row.bytes("domain")),
        }
    }
    dump.finish("a table vpopmail with columns pw_name, pw_passwd and pw_dir", losses)?;
    if !has_users {
        losses.add("table vpopmail", "the dump holds no user");
    }
    tell(&all.finish(&mut |row| rows.add(&row))?, losses);
    Ok(())
}

fn user(row: &Row) -> Result<User<'_>, &'static str> {
    let dir = row.bytes("pw_dir");
    let domain = if row.table.has(&["pw_domain"]) {
        row.bytes("pw_domain")
    } else {
        domain_of(&row.table.name, dir)
            .ok_or("no column pw_domain, and no part of pw_dir is a domain of which the table could have its name")?
    };
    Ok(User {
        name: row.bytes("pw_name"),
        domain,
        hash: row.bytes("pw_passwd"),
        clear: row.bytes("pw_clear_passwd"),
        bits: row.bytes("pw_gid"),
        dir,
        quota: row.bytes("pw_shell"),
    })
}
