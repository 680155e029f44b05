//! One connection to one server, without the driver's pool: it pings on every release and waits for ever if the
//! server is silent.

use super::binds::Missing;
use super::error::{Context, failure, is_denied, is_tls, lacks_privilege, lookup_error, unknown_column, wants_key};
use super::rows;
use super::settings::{Address, Server, Settings, Tls};
use super::sql::{self, Session};
use crate::question::Question;
use crate::workers::{Connector, Failure};
use async_trait::async_trait;
use qmail_lookup_core::{Cell, Deadline, LookupError};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout_at;

/// Statements kept prepared per connection. Padded lists of keys make few different ones.
const PREPARED_MAX: usize = 128;

/// Reaches one server.
pub(super) struct MysqlServer {
    options: MySqlConnectOptions,
    /// Encryption is taken if the server has it.
    offered: bool,
    fails_to_encrypt: AtomicBool,
    context: Context,
    local: bool,
    deadline: Duration,
}

/// A connection and what was learned over it.
pub(super) struct Connection {
    pub(super) sql: MySqlConnection,
    pub(super) missing: Missing,
}

impl MysqlServer {
    pub(super) fn new(settings: &Settings, server: &Server, deadline: Duration) -> Self {
        // The driver is kept from sending anything of its own; the session is set up in `sql.rs`.
        let mut options = MySqlConnectOptions::new()
            .username(&settings.user)
            .database(&settings.database)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .enable_cleartext_plugin(false)
            .statement_cache_capacity(PREPARED_MAX)
            .ssl_mode(match server.tls {
                Tls::Off => MySqlSslMode::Disabled,
                Tls::Offered => MySqlSslMode::Preferred,
                Tls::Require => MySqlSslMode::Required,
                Tls::Verify => MySqlSslMode::VerifyIdentity,
            })
            .disable_statement_logging();
        options = match &server.at {
            Address::Socket(path) => options.socket(path),
            Address::Tcp(host, port) => options.host(host).port(*port),
        };
        if let Some(password) = settings.password.as_ref().and_then(|secret| std::str::from_utf8(secret.expose()).ok())
        {
            options = options.password(password);
        }
        if let Some(ca) = &settings.tls_ca {
            options = options.ssl_ca(ca);
        }
        let context = Context::new(settings, &server.at, server.tls);
        let (offered, local) = (server.tls == Tls::Offered, server.at.is_local());
        Self { options, offered, fails_to_encrypt: AtomicBool::new(false), context, local, deadline }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// True if what is sent to it cannot leave this machine.
    pub(super) fn is_local(&self) -> bool {
        self.local
    }

    /// Connects and logs in. A server that offers an encryption which fails is asked without from then on, until it
    /// refuses that.
    async fn connected(&self) -> Result<MySqlConnection, sqlx::Error> {
        if !self.fails_to_encrypt.load(Ordering::Relaxed) {
            match self.options.connect().await {
                Err(error) if self.offered && is_tls(&error) => self.fails_to_encrypt.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        let result = self.options.clone().ssl_mode(MySqlSslMode::Disabled).connect().await;
        if result.as_ref().is_err_and(|error| is_denied(error) || wants_key(error)) {
            self.fails_to_encrypt.store(false, Ordering::Relaxed);
        }
        result
    }

    /// A connection of its own, outside the workers.
    pub(super) async fn open(&self, kind: Session, by: Deadline) -> Result<Connection, LookupError> {
        let opened = async {
            let mut sql = self.connected().await?;
            for text in sql::session(kind) {
                sql.execute(AssertSqlSafe(text)).await?;
            }
            Ok(Connection { sql, missing: Missing::default() })
        };
        match timeout_at(by.instant().into(), opened).await {
            Ok(result) => result.map_err(|error| lookup_error(error, &self.context)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// Carries `work` out before `by`, with errors in our words. After an error the connection must not be used again.
    pub(super) async fn within<T>(
        &self,
        by: Deadline,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, LookupError> {
        match timeout_at(by.instant().into(), work).await {
            Ok(result) => result.map_err(|error| lookup_error(error, &self.context)),
            Err(_) => Err(self.too_late()),
        }
    }

    pub(super) fn too_late(&self) -> LookupError {
        self.context.error(qmail_lookup_core::ErrorKind::Timeout, "no answer before the deadline")
    }

    async fn ask(&self, conn: &mut Connection, question: &Question) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        let rows = match conn.rows(question).await {
            // A grant on the whole database reaches an open connection only with its next USE.
            Err(error) if lacks_privilege(&error) => {
                conn.sql.execute(AssertSqlSafe(sql::use_database(&self.context.database))).await?;
                conn.rows(question).await?
            }
            result => result?,
        };
        rows::answer(question, &rows)
    }

    async fn ask_all(&self, conn: &mut Connection, pieces: &[Question]) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        for text in sql::BEGIN_SNAPSHOT {
            conn.sql.execute(text).await?;
        }
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(self.ask(conn, piece).await?);
        }
        conn.sql.execute(sql::COMMIT).await?;
        Ok(all)
    }
}

impl Connection {
    /// Asks one piece of a question. A column that old tables may lack is found missing by the server's saying so.
    async fn rows(&mut self, question: &Question) -> Result<Vec<MySqlRow>, sqlx::Error> {
        loop {
            let statement = sql::lookup(question, &self.missing);
            let mut query = sqlx::query(AssertSqlSafe(statement.text));
            for key in statement.binds.into_keys() {
                query = query.bind(key);
            }
            match query.fetch_all(&mut self.sql).await {
                Err(error) if self.learns(question.table(), &error) => {}
                result => return result,
            }
        }
    }

    /// True if the error says that an optional column is missing, which was not known yet: then ask again without it.
    pub(super) fn learns(&mut self, table: qmail_lookup_core::Table, error: &sqlx::Error) -> bool {
        unknown_column(error).is_some_and(|column| self.missing.note(table, &column))
    }
}

#[async_trait]
impl Connector for MysqlServer {
    type Conn = Connection;
    type Request = Vec<Question>;
    type Reply = Vec<Vec<Cell>>;

    fn place(&self) -> &str {
        &self.context.place
    }

    async fn connect(&self, by: Deadline) -> Result<Connection, LookupError> {
        self.open(Session::Lookup(self.deadline), by).await
    }

    /// Asks the pieces of one question.
    async fn run(&self, conn: &mut Connection, pieces: &Vec<Question>, _: Deadline) -> Result<Vec<Vec<Cell>>, Failure> {
        let (result, whole) = match pieces.as_slice() {
            [one] => (self.ask(conn, one).await, true),
            several => (self.ask_all(conn, several).await, false),
        };
        let failed = match result {
            Ok(rows) => return Ok(rows),
            Err(error) => failure(error, &self.context),
        };
        // A transaction that failed is rolled back, or the connection is not used again.
        if !whole && matches!(failed, Failure::Answered(_)) {
            conn.sql.execute(sql::ROLLBACK).await.map_err(|error| Failure::Lost(lookup_error(error, &self.context)))?;
        }
        Err(failed)
    }

    async fn alive(&self, conn: &mut Connection, _: Deadline) -> bool {
        conn.sql.ping().await.is_ok()
    }

    async fn close(&self, conn: Connection) {
        let _ = timeout_at(Deadline::after(Duration::from_secs(1)).instant().into(), conn.sql.close()).await;
    }
}
