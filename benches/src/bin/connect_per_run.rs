//! `connect_per_run SOCKET USER PASSWORD DATABASE LOCAL`: a MySQL connection, one SELECT and six fields, as the
//! programs of the old patch did it. For the bench of exec; it does no more than it must.

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, user, password, database, local] = &arguments[..] else { return Err("five arguments".into()) };
    if local.contains(['\'', '\\']) {
        return Err("not a name that needs no escape".into());
    }
    // Nothing is set for the session: connect, query, quit.
    let options = MySqlConnectOptions::new().socket(socket).username(user).password(password).database(database);
    let options = options.ssl_mode(MySqlSslMode::Disabled).disable_statement_logging();
    let options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None).set_names(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fields = runtime.block_on(async {
        let mut connection = options.connect().await?;
        // As text, in one round trip.
        let text = format!("SELECT username, uid, gid, home FROM mailbox WHERE username = '{local}'");
        let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(text))).await?;
        let (user, home): (String, String) = (row.try_get(0)?, row.try_get(3)?);
        let (uid, gid): (String, String) = (number(&row, 1)?, number(&row, 2)?);
        connection.close().await?;
        Ok::<_, sqlx::Error>(format!("{user}\0{uid}\0{gid}\0{home}\0\0\0"))
    })?;
    Ok(std::io::stdout().write_all(fields.as_bytes())?)
}

/// A cell's digits, whatever type the column has.
fn number(row: &sqlx::mysql::MySqlRow, column: usize) -> Result<String, sqlx::Error> {
    row.try_get_unchecked(column)
}
