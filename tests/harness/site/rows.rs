//! Rows that every kind of store of a site can be given, and the site on slapd.

use super::Site;
use crate::check::Outcome;
use crate::load::ldap::{Names, base, create, name_of, numbered};
use crate::load::{self, columns};
use crate::server::mariadb::PASSWORD;
use crate::server::slapd::{Certificate, Schema, Slapd, USER};
use crate::shape::Shape;
use libtest_mimic::Failed;
use qmail_lookup_core::{Table, TableRow};
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The base of a site's entries.
const BASE: &str = "site";

/// Numbers of entries that are not named by their keys.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Row of table alias. `seq` counts where there is a column for it.
#[must_use]
pub fn alias_row(username: &str, alias: &str, to: &str, host: &str, seq: u32) -> TableRow {
    row(Table::Alias, &[username, alias, to, host, &seq.to_string()])
}

/// Row of table virtual.
#[must_use]
pub fn virtual_row(user: &str, host: &str, owner: &str, ext: &str) -> TableRow {
    row(Table::Virtual, &[host, user, owner, ext])
}

/// Row of table rcpthosts.
#[must_use]
pub fn host_row(host: &str) -> TableRow {
    row(Table::Rcpthosts, &[host])
}

fn row(table: Table, cells: &[&str]) -> TableRow {
    TableRow::from_cells(table, cells.iter().map(|cell| Some(cell.as_bytes().to_vec())))
}

impl Site {
    /// A site on a slapd of its own, as [`Site::sqlite`].
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn ldap(more: &str) -> Result<Self, Failed> {
        let site = Self::new(None, Some(Slapd::start(Schema::Native, Certificate::Good)?))?;
        site.lay_out()?;
        if let Some(server) = &site.slapd {
            create(server, BASE, Names::ByKey, &[])?;
            let file = site.path("rows.sqlite");
            site.add(&written_as_sql(&file, &site.rows())?)?;
            std::fs::remove_file(file)?;
            let (url, base) = (server.ldapi(), base(BASE));
            let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
            let store = format!(
                "kind = \"ldap\"\nservers = [\"{url}\"]\nbind_dn = \"{USER}\"\npassword = \"{password}\"\nbase = \"{base}\"\ncanary = \"iain\""
            );
            site.configure(&store, more)?;
        }
        Ok(site)
    }

    /// Adds rows to the store, of whatever kind it is.
    ///
    /// # Errors
    /// The store's.
    pub fn add(&self, rows: &[TableRow]) -> Outcome {
        if let Some(server) = &self.slapd {
            let (aliases, named): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.table() == Table::Alias);
            let first = NUMBER.fetch_add(aliases.len(), Ordering::Relaxed);
            let entries = numbered(BASE, Names::ByKey, &named, 0)?;
            return server.add(&(entries + &numbered(BASE, Names::ByNumber, &aliases, first)?));
        }
        rows.iter().try_for_each(|row| {
            let (columns, cells): (Vec<_>, Vec<_>) = cells(row).into_iter().unzip();
            self.sql(&format!("INSERT INTO `{}` ({}) VALUES ({})", row.table(), columns.join(", "), cells.join(", ")))
        })
    }

    /// Takes a row of table virtual or rcpthosts away again.
    ///
    /// # Errors
    /// The store's.
    pub fn remove(&self, row: &TableRow) -> Outcome {
        if let Some(server) = &self.slapd {
            return server.delete(&name_of(BASE, row)?);
        }
        let matches: Vec<_> = cells(row).into_iter().map(|(column, cell)| format!("{column} = {cell}")).collect();
        self.sql(&format!("DELETE FROM `{}` WHERE {}", row.table(), matches.join(" AND ")))
    }
}

/// Columns of the documented tables, and the row's cells in the form of SQL.
fn cells(row: &TableRow) -> Vec<(&'static str, String)> {
    let shape = Shape::documented();
    let quoted =
        |cell: Option<&[u8]>| format!("'{}'", String::from_utf8_lossy(cell.unwrap_or_default()).replace('\'', "''"));
    columns(row.table(), &shape).into_iter().zip(load::cells(row, &shape).into_iter().map(quoted)).collect()
}

/// The rows that these statements put into the documented tables.
fn written_as_sql(file: &Path, statements: &str) -> Result<Vec<TableRow>, Failed> {
    load::sqlite::create(file, load::sqlite::Tables::Documented, &[])?;
    let connection = Connection::open(file)?;
    connection.execute_batch(statements)?;
    let mut all = Vec::new();
    for table in Table::ALL {
        let columns = table.columns();
        let texts = columns.iter().map(|column| match *column {
            "seq" => "CAST(rowid AS TEXT)".to_owned(),
            column => format!("CAST({column} AS TEXT)"),
        });
        let select = format!("SELECT {} FROM `{table}`", texts.collect::<Vec<_>>().join(", "));
        let mut statement = connection.prepare(&select)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells =
                (0..columns.len()).map(|n| row.get::<_, Option<String>>(n).map(|cell| cell.map(String::into_bytes)));
            all.push(TableRow::from_cells(table, cells.collect::<Result<Vec<_>, _>>()?));
        }
    }
    Ok(all)
}
