//! mysqldump of vpopmail's database.

use super::accounts::{Found, Needed, given, tell, tell_missing};
use super::dump::{Dump, Row, Table};
use super::losses::Losses;
use crate::cli;
use crate::moving::Rows;
use crate::output::Failure;
use crate::session::Session;
use qmail_lookup_core::Table as Ours;
use qmail_lookup_core::import::vpopmail::{User, Vpopmail, domain_of};

/// What makes a table one of users.
const USERS: [&str; 3] = ["pw_name", "pw_passwd", "pw_dir"];

/// The table of the users of all domains.
const ALL: &str = "vpopmail";

/// True if it is the table of all domains, or that of one, which is called after the domain. One with column pw_domain
/// and another name is somebody's copy.
fn has_users(table: &Table) -> bool {
    table.has(&USERS) && (table.name == ALL || !table.has(&["pw_domain"]))
}

fn carries(table: &Table) -> Option<&'static [&'static str]> {
    match table.name.as_str() {
        _ if has_users(table) => {
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
pub(super) fn read(
    session: &Session,
    options: &cli::Import,
    rows: &mut Rows,
    losses: &mut Losses,
) -> Result<(), Failure> {
    let mut all = Vpopmail::new(given(session, options, losses)?);
    let mut dump = Dump::open(&options.source, carries)?;
    let mut of_one: Option<String> = None;
    while let Some(row) = dump.next()? {
        match row.table.name.as_str() {
            _ if has_users(&row.table) => {
                if row.table.name != ALL {
                    of_one.get_or_insert_with(|| row.table.name.clone());
                }
                let user = user(&row).map_err(|what| dump.wrong(&row.table.name, what))?;
                if let Some(mailbox) = all.user(user) {
                    rows.add(&mailbox)?;
                }
            }
            "valias" => all.valias(row.bytes("alias"), row.bytes("domain"), row.bytes("valias_line")),
            _ => all.alias_domain(row.bytes("alias"), row.bytes("domain")),
        }
    }
    let mut needed = vec![
        Needed { name: "valias", ours: Ours::Alias, is_found: Found::Mostly },
        Needed { name: "aliasdomains", ours: Ours::Virtual, is_found: Found::Rarely },
    ];
    match (of_one, dump.rows_of(ALL)) {
        (Some(name), Some(_)) => {
            let what = format!("it has users, and so has table {ALL}; which of them count? Dump the others only");
            return Err(dump.wrong(&name, &what));
        }
        (Some(_), None) => {}
        (None, _) => needed.push(Needed { name: ALL, ours: Ours::Mailbox, is_found: Found::WithRows }),
    }
    tell_missing(&dump, &needed, losses);
    dump.finish("a table vpopmail with columns pw_name, pw_passwd and pw_dir", losses)?;
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
