//! Databases on MariaDB and MySQL.

use super::{cells, columns, create_tables, open};
use crate::server::mariadb::{MariaDb, PASSWORD, USER, run};
use crate::shape::{Ids, Shape, Text};
use crate::subject::Opened;
use libtest_mimic::Failed;
use qmail_lookup_core::{Backend, TableRow};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// How the tables are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// As `init` does.
    Documented,
    /// As `init` does with a wide username and column seq.
    Seq,
    /// As a site of 2001 had them: MyISAM, latin1, no keys, signed ids.
    Latin1,
    /// No keys, the server's old default character set, free words, everything may be NULL.
    Utf8mb3,
    /// No keys, and a collation that takes many letters for one.
    Utf8mb4(&'static str),
    /// Without suspended and password_type; ids are text.
    Bare,
}

impl Tables {
    /// What they hold.
    #[must_use]
    pub fn shape(self) -> Shape {
        let wide =
            Shape { keys: Text::Unicode, values: Text::Unicode, unique: false, width: 128, ..Shape::documented() };
        match self {
            Self::Documented => Shape::documented(),
            Self::Seq => Shape::with_seq(),
            Self::Latin1 => Shape { keys: Text::Latin1, values: Text::Latin1, ids: Ids::SIGNED, width: 32, ..wide },
            Self::Utf8mb3 => Shape { keys: Text::Bmp, values: Text::Bmp, nulls: true, free_words: true, ..wide },
            Self::Utf8mb4(_) => wide,
            Self::Bare => Shape { login_columns: false, ids: Ids::Any, width: 32, ..wide },
        }
    }

    fn ddl(self) -> Option<String> {
        let not_null = if self.shape().nulls { "" } else { "NOT NULL" };
        let name = format!("varchar({}) {not_null}", self.shape().width);
        let (id, login, tail) = match self {
            Self::Documented | Self::Seq => return None,
            Self::Latin1 => {
                let kinds = "enum('Password','Crypt-Password','MySQL-Password') NOT NULL DEFAULT 'Password'";
                let login = format!(", password_type {kinds}, suspended enum('N','Y') NOT NULL DEFAULT 'N'");
                ("int NOT NULL", login, "ENGINE=MyISAM DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci".to_owned())
            }
            Self::Utf8mb3 => {
                let login = ", password_type varchar(40), suspended varchar(20)".to_owned();
                ("int unsigned", login, "ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci".to_owned())
            }
            Self::Utf8mb4(collation) => {
                let login = ", password_type varchar(40) NOT NULL, suspended varchar(20) NOT NULL".to_owned();
                (
                    "bigint unsigned NOT NULL",
                    login,
                    format!("ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}"),
                )
            }
            Self::Bare => (
                "varchar(30) NOT NULL",
                String::new(),
                "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci".to_owned(),
            ),
        };
        Some(format!(
            "CREATE TABLE mailbox (username {name}, uid {id}, gid {id}, home varchar(255) {not_null},
                password varchar(255) {not_null}{login}) {tail};
             CREATE TABLE alias (username {name}, alias {name}, alias_username varchar(128) {not_null},
                alias_host text {not_null}) {tail};
             CREATE TABLE `virtual` (username {name}, ext {name}, virtual_username {name},
                virtual_host varchar(255) {not_null}) {tail};
             CREATE TABLE rcpthosts (host varchar(255) {not_null}) {tail};"
        ))
    }
}

/// A store over a new database `name`, and one over `name_empty`.
///
/// # Errors
/// If they cannot be made, filled and opened.
pub fn filled(server: &MariaDb, name: &str, tables: Tables, rows: &[TableRow]) -> Result<Opened, Failed> {
    let empty = format!("{name}_empty");
    create(server, name, tables, rows)?;
    create(server, &empty, tables, &[])?;
    let socket = server.socket();
    Ok(Opened { store: at(socket, name)?, empty: Some(at(socket, &empty)?), keep: Box::new(()) })
}

/// Opens the store of a database behind a UNIX socket.
///
/// # Errors
/// If the registry refuses.
pub fn at(socket: &Path, database: &str) -> Result<Arc<dyn Backend>, Failed> {
    with(&[&format!("unix:{}", socket.display())], USER, PASSWORD, database)
}

/// Opens the store of a database on any of `servers`, all of this machine, as anybody.
///
/// # Errors
/// If the registry refuses.
pub fn with(servers: &[&str], user: &str, password: &str, database: &str) -> Result<Arc<dyn Backend>, Failed> {
    open(
        "mysql",
        &[
            ("servers", servers.into()),
            ("user", user.into()),
            ("password", password.into()),
            ("database", database.into()),
            ("connections", 2.into()),
        ],
    )
}

/// Makes a database and fills it.
///
/// # Errors
/// If it cannot be made, or refuses a row.
pub fn create(server: &MariaDb, database: &str, tables: Tables, rows: &[TableRow]) -> Result<(), Failed> {
    let mut connection = server.connect()?;
    run(&mut connection, &format!("CREATE DATABASE {database}; USE {database}"))?;
    match tables.ddl() {
        Some(ddl) => run(&mut connection, &ddl)?,
        None => create_tables(&*at(server.socket(), database)?, &tables.shape())?,
    }
    // Whatever the server's defaults hide or turn off, the rows shall be there.
    run(&mut connection, "SET autocommit=1, sql_select_limit=DEFAULT, sql_mode='STRICT_ALL_TABLES'")?;
    let shape = tables.shape();
    for chunk in rows.chunk_by(|a, b| a.table() == b.table()).flat_map(|rows| rows.chunks(400)) {
        let Some(first) = chunk.first() else { continue };
        let values: Vec<_> = chunk.iter().map(|row| values(row, &shape)).collect();
        let columns = columns(first.table(), &shape).join(", ");
        let insert = format!("INSERT INTO `{}` ({columns}) VALUES {}", first.table(), values.join(", "));
        run(&mut connection, &insert)?;
    }
    Ok(())
}

/// Cells in hexadecimal: nothing in them is syntax.
fn values(row: &TableRow, shape: &Shape) -> String {
    let charset = if shape.keys == Text::Latin1 { "_latin1" } else { "_utf8mb4" };
    let cells = cells(row, shape).into_iter().map(|cell| {
        cell.map_or_else(
            || "NULL".to_owned(),
            |bytes| {
                bytes.iter().fold(format!("{charset} x'"), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                }) + "'"
            },
        )
    });
    format!("({})", cells.collect::<Vec<_>>().join(", "))
}
