//! The driver's errors in our words. No text of ours holds a secret or a row's value, so what a server quotes is left
//! out, and its errors are not attached as sources.

use super::settings::{Address, Settings, Tls};
use crate::workers::Failure;
use qmail_lookup_core::{ErrorKind, LookupError};
use sqlx::mysql::MySqlDatabaseError;
use std::path::PathBuf;

/// What the texts name.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) place: String,
    pub(super) user: String,
    pub(super) database: String,
    has_password: bool,
    plain_tcp: bool,
    plain_socket: bool,
    tls_ca: Option<PathBuf>,
}

impl Context {
    pub(super) fn new(settings: &Settings, at: &Address, tls: Tls) -> Self {
        Self {
            place: at.to_string(),
            user: settings.user.clone(),
            database: settings.database.clone(),
            has_password: settings.password.is_some(),
            plain_tcp: tls == Tls::Off && matches!(at, Address::Tcp(..)),
            plain_socket: tls == Tls::Off && matches!(at, Address::Socket(_)),
            tls_ca: settings.tls_ca.clone(),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> LookupError {
        LookupError::new(kind, self.place.clone(), what)
    }
}

/// The server's own error, if it is one.
pub(super) fn database(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    match error {
        sqlx::Error::Database(inner) => inner.try_downcast_ref(),
        _ => None,
    }
}

/// True if the server says that the account may not read this.
pub(super) fn lacks_privilege(error: &sqlx::Error) -> bool {
    database(error).is_some_and(|error| matches!(error.number(), 1044 | 1142 | 1143))
}

/// The column that the server says it does not know.
pub(super) fn unknown_column(error: &sqlx::Error) -> Option<String> {
    let error = database(error).filter(|error| error.number() == 1054)?;
    let name = error.message().split('\'').nth(1)?;
    Some(name.rsplit('.').next().unwrap_or(name).trim_matches('`').to_owned())
}

/// True if the server knows no such user and password.
pub(super) fn is_denied(error: &sqlx::Error) -> bool {
    database(error).is_some_and(|error| error.number() == 1045)
}

/// True if the password was asked for under the server's RSA key, which the driver is built not to use.
pub(super) fn wants_key(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Configuration(why) if why.to_string().contains("RSA"))
}

/// True if no encrypted connection came about. The TLS library reports a certificate that it does not accept as
/// invalid data.
pub(super) fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(io) => io.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// What a statement's error means for its connection and for asking again.
pub(super) fn failure(error: sqlx::Error, at: &Context) -> Failure {
    let answered = match &error {
        sqlx::Error::Database(_) => database(&error).is_some_and(|error| !is_lost(error.number())),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::RowNotFound => true,
        _ => false,
    };
    let error = lookup_error(error, at);
    if answered { Failure::Answered(error) } else { Failure::Lost(error) }
}

/// Errors by which a server says that this connection is over, or that it takes no more questions now.
fn is_lost(number: u16) -> bool {
    matches!(
        number,
        1040 | 1053 | 1077 | 1079 | 1080 | 1129 | 1152
            ..=1161 | 1184 | 1203 | 1226 | 1317 | 1927 | 2006 | 2013 | 3032 | 3168 | 3169 | 4031
    )
}

/// The error for everybody above.
pub(super) fn lookup_error(error: sqlx::Error, at: &Context) -> LookupError {
    match &error {
        sqlx::Error::Database(_) => match database(&error) {
            Some(inner) => of_server(inner.number(), inner.code(), inner.message(), at),
            None => at.error(ErrorKind::Unreachable, "an error of another driver"),
        },
        sqlx::Error::Io(io) if is_tls(&error) => tls(&io.to_string(), at).with_source(error),
        sqlx::Error::Tls(why) => tls(&why.to_string(), at).with_source(error),
        sqlx::Error::Io(io) => {
            let what = match io.kind() {
                std::io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
                _ => io.to_string(),
            };
            let help = match io.kind() {
                std::io::ErrorKind::NotFound => "is the server running, and is this its socket?",
                std::io::ErrorKind::PermissionDenied => "the socket's directory must be open to the daemon's user",
                std::io::ErrorKind::ConnectionRefused => "is the server running, and does it listen there?",
                _ => "is the server running, and can it be reached from here?",
            };
            at.error(ErrorKind::Unreachable, what).with_help(help).with_source(error)
        }
        sqlx::Error::Configuration(_) if wants_key(&error) => {
            let what = "the server wants the password unencrypted or under a key that nothing vouches for";
            at.error(ErrorKind::Refused, what).with_help(if at.plain_tcp {
                "caching_sha2_password needs TLS (tls = \"verify\" or \"require\") or a UNIX socket: without, it lets \
                 nobody in whom the server has not seen since its start"
            } else {
                "caching_sha2_password needs TLS over a UNIX socket too: leave tls out here, and have it on there"
            })
        }
        sqlx::Error::Protocol(text) => {
            let error = at.error(ErrorKind::Unreachable, format!("protocol: {}", unquoted(text)));
            if text.contains("plugin") {
                error.with_help("use an account with mysql_native_password or caching_sha2_password")
            } else {
                error
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
            at.error(ErrorKind::Schema, "a column came back as something else than bytes")
        }
        _ => at.error(ErrorKind::Unreachable, "the driver failed").with_source(error),
    }
}

fn tls(why: &str, at: &Context) -> LookupError {
    let help = match &at.tls_ca {
        _ if why.contains("does not support TLS") => "give the server a certificate and key; tls = \"off\" sends \
             everything as it is"
            .to_owned(),
        Some(_) if why.contains("not valid for any names") => "the server's certificate names no host, like those \
             that MySQL makes itself: give the server one with the host in servers as its subjectAltName; \
             tls = \"require\" encrypts without knowing the server"
            .to_owned(),
        Some(ca) => format!(
            "the server's certificate must name the host in servers and be signed by an authority in tls_ca ({}); \
             tls = \"require\" encrypts without knowing the server",
            ca.display()
        ),
        None => "set tls_ca to the PEM file of the authority that signed the server's certificate; the certificate \
                 must name the host in servers"
            .to_owned(),
    };
    at.error(ErrorKind::Refused, format!("TLS: {why}")).with_help(help)
}

/// An error that the server sent. Numbers are those of MySQL and MariaDB.
fn of_server(number: u16, state: Option<&str>, message: &str, at: &Context) -> LookupError {
    let Context { place: _, user, database, .. } = at;
    let quoted = |n: usize| message.split('\'').nth(n * 2 + 1).unwrap_or("?").to_owned();
    let (kind, what, help) = match number {
        1045 | 1698 => {
            let using = if at.has_password { "with a password" } else { "without a password" };
            let help = "check user and password or password_file; the account must allow this host";
            (ErrorKind::Refused, format!("access denied for user {user} ({using})"), help.to_owned())
        }
        1130 => (
            ErrorKind::Refused,
            "the server allows no connection from this host".to_owned(),
            format!("CREATE USER {user}@'this host' there, or connect by the socket"),
        ),
        1044 => {
            (ErrorKind::Refused, format!("user {user} may not use database {database}"), grant(database, "*", user))
        }
        1142 | 1143 | 1370 => {
            let table = if number == 1143 { quoted(3) } else { named_table(message) };
            let column = if number == 1143 { format!(", column {}", quoted(2)) } else { String::new() };
            let verb = message.split_whitespace().next().unwrap_or("SELECT");
            (
                ErrorKind::Refused,
                format!("user {user} has no {verb} privilege on table {table}{column}"),
                grant(database, &table, user).replacen("SELECT", verb, 1),
            )
        }
        1227 | 1290 | 1792 | 1836 => {
            (ErrorKind::Refused, format!("the server refuses it: {}", unquoted(message)), String::new())
        }
        1049 => (
            ErrorKind::Schema,
            format!("there is no database {database}"),
            "check database, or CREATE DATABASE and qmail-lookup init".to_owned(),
        ),
        1046 => (ErrorKind::Misconfigured, "no database was chosen".to_owned(), "set database".to_owned()),
        1146 => {
            let table = quoted(0);
            let table = table.rsplit('.').next().unwrap_or("?");
            let help = "qmail-lookup init makes the tables that are not there".to_owned();
            (ErrorKind::Schema, format!("database {database} has no table {table}"), help)
        }
        1054 => {
            let help = "qmail-lookup init --print shows the documented columns".to_owned();
            (ErrorKind::Schema, format!("there is no column {}", quoted(0)), help)
        }
        1267 | 1271 | 3854 => (
            ErrorKind::Schema,
            "the collation of a key column cannot be compared with ours".to_owned(),
            "key columns should be CHARACTER SET ascii COLLATE ascii_general_ci, latin1 or utf8mb4".to_owned(),
        ),
        1040 | 1203 | 1226 => (
            ErrorKind::Overloaded,
            "the server takes no more connections".to_owned(),
            "lower connections here, or raise max_connections or the account's limit there".to_owned(),
        ),
        1969 | 3024 => (
            ErrorKind::Timeout,
            "the server gave the statement up at the deadline".to_owned(),
            "qmail-lookup check tells whether a key column has no index".to_owned(),
        ),
        1205 => (ErrorKind::Timeout, "a lock in the server was not released in time".to_owned(), String::new()),
        1213 => (ErrorKind::Overloaded, "the server ended the statement to undo a deadlock".to_owned(), String::new()),
        1053 | 1927 | 1317 | 4031 | 3168 | 3169 => {
            (ErrorKind::Unreachable, "the server ended the connection".to_owned(), String::new())
        }
        3032 => (ErrorKind::Unreachable, "the server is in offline mode".to_owned(), String::new()),
        3118 | 3955 | 4151 => {
            let help = format!("ALTER USER '{user}'@... ACCOUNT UNLOCK");
            (ErrorKind::Refused, format!("the account of user {user} is locked"), help)
        }
        3159 => {
            let help = "set tls = \"verify\" or \"require\"".to_owned();
            (ErrorKind::Refused, "the server takes encrypted connections only".to_owned(), help)
        }
        3750 => {
            let help = "SET GLOBAL sql_require_primary_key=OFF while the tables are made".to_owned();
            (ErrorKind::Refused, "the server makes no table without a primary key".to_owned(), help)
        }
        1820 | 1862 => {
            let help = "give the account a new password".to_owned();
            (ErrorKind::Refused, format!("the password of user {user} has expired"), help)
        }
        _ => {
            let kind = match state {
                Some(state) if state.starts_with("28") => ErrorKind::Refused,
                Some(state) if state.starts_with("08") => ErrorKind::Unreachable,
                _ if is_lost(number) => ErrorKind::Unreachable,
                _ => ErrorKind::Schema,
            };
            (kind, format!("error {number}: {}", unquoted(message)), String::new())
        }
    };
    let help = match number {
        1045 if at.plain_tcp => {
            format!("{help}; if the account has REQUIRE SSL, set tls = \"verify\" or \"require\"")
        }
        1045 if at.plain_socket && at.has_password => {
            format!("{help}; if the account is of caching_sha2_password, leave tls = \"off\" out")
        }
        _ => help,
    };
    let error = at.error(kind, what);
    if help.is_empty() { error } else { error.with_help(help) }
}

/// Why the server refused a row, without its values.
pub(super) fn refusal(error: &sqlx::Error) -> Option<String> {
    let error = database(error)?;
    let problem = match error.number() {
        1062 | 1586 | 1859 => "a row with this key is there already",
        1048 => "may not be NULL",
        1364 => "needs a value",
        1406 => "too long",
        1264 => "out of range",
        1265 | 1366 | 1292 | 1300 | 3988 => "not a value of the column's type or character set",
        1451 | 1452 => "another table's rows forbid it",
        3819 | 4025 => "a constraint forbids it",
        1644 => "a trigger forbids it",
        _ => {
            let row = error.code().is_some_and(|state| state.starts_with("22") || state.starts_with("23"));
            return row.then(|| format!("error {}", error.number()));
        }
    };
    // The last name that is quoted is the column or the key; what stands before it may be a value.
    let message = error.message();
    let name = message.rfind(['\'', '`']).and_then(|end| {
        let head = message.get(..end)?;
        let quote = message.get(end..)?.chars().next()?;
        head.get(head.rfind(quote)? + 1..)
    });
    Some(match name.filter(|_| error.number() != 1644) {
        Some(name) => format!("{problem} ({} {name})", if error.number() == 1062 { "key" } else { "column" }),
        None => problem.to_owned(),
    })
}

fn grant(database: &str, table: &str, user: &str) -> String {
    let table = if table == "*" { table.to_owned() } else { format!("`{table}`") };
    format!("GRANT SELECT ON `{database}`.{table} TO '{user}'@...")
}

/// The table of a privilege error: MariaDB writes `db`.`table`, MySQL 'table'.
fn named_table(message: &str) -> String {
    let back = message.rsplit('`').nth(1);
    let quoted = || message.rsplit('\'').nth(1);
    back.or_else(quoted).unwrap_or("?").to_owned()
}

/// A server's text without what it quotes, which may be a value.
pub(super) fn unquoted(message: &str) -> String {
    let parts = message.split(['\'', '"']).enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "'...'" });
    parts.collect::<String>().chars().take(300).collect()
}
