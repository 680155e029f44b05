//! Connections to one server. A few lines are shared by many workers, whose searches run side by side on each: the
//! protocol numbers them, so none can get another's answer.

use super::error::{Context, lookup_error, of_io};
use super::rows::{self, Entry, Found};
use super::search::Search;
use super::settings::{Address, Bind, Server, Settings, Tls};
use super::subschema::Known;
use super::{filter, tls};
use crate::question::Question;
use crate::workers::{Connector, Failure, lock};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

/// Workers on one line, which is how many searches run on it at the same time.
pub(super) const PER_LINE: usize = 8;

/// A line older than this takes no more workers. Those it has leave it when their own time is up.
const SHARED_FOR: Duration = Duration::from_secs(10 * 60);

/// Longest wait for a line to say that it is alive.
const PING_MAX: Duration = Duration::from_secs(1);

/// A line that answered this recently is not asked whether it is alive.
const FRESH: Duration = Duration::from_secs(1);

/// Reaches one server.
pub(super) struct LdapServer {
    server: Server,
    pub(super) settings: Arc<Settings>,
    context: Context,
    tls: OnceLock<Arc<rustls::ClientConfig>>,
    lines: Mutex<Vec<(Id, Weak<Line>)>>,
    dialing: tokio::sync::Mutex<()>,
}

/// A bound connection. `ldap` may be cloned; it works as long as this lives.
pub(super) struct Connection {
    pub(super) ldap: Ldap,
    pub(super) line: Arc<Line>,
}

/// What the handles of one connection share. It closes with the last of them.
pub(super) struct Line {
    ldap: Ldap,
    driver: AbortHandle,
    since: Instant,
    answered: Mutex<Instant>,
    /// Broken, or a question on it was given up: nobody new gets it.
    retired: AtomicBool,
    pub(super) known: Known,
}

impl Line {
    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    fn takes_more(&self) -> bool {
        self.since.elapsed() < SHARED_FOR && !self.is_over()
    }

    /// True if a worker should leave it.
    fn is_over(&self) -> bool {
        self.retired.load(Ordering::Acquire) || self.ldap.clone().is_closed()
    }

    pub(super) fn has_answered(&self) {
        *lock(&self.answered) = Instant::now();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Retires the line unless the question came to an end.
struct Asking<'a>(Option<&'a Line>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.0 {
            line.retire();
        }
    }
}

impl LdapServer {
    pub(super) fn new(settings: &Arc<Settings>, server: &Server) -> Self {
        Self {
            server: server.clone(),
            settings: Arc::clone(settings),
            context: Context::new(settings, server),
            tls: OnceLock::new(),
            lines: Mutex::default(),
            dialing: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// How the connection is encrypted, for people.
    pub(super) fn encryption(&self) -> Option<String> {
        match self.server.tls {
            Tls::Off => None,
            Tls::Require => Some("TLS, certificate not verified".to_owned()),
            Tls::Verify => Some("TLS, certificate verified".to_owned()),
        }
    }

    /// True if what is sent to it cannot leave this machine.
    pub(super) fn is_local(&self) -> bool {
        self.server.at.is_local()
    }

    /// A connection of its own, outside the workers, logged in as the configured account.
    pub(super) async fn open(&self, by: Deadline) -> Result<Connection, LookupError> {
        let opened = async {
            let mut conn = self.dial().await?;
            if let Some(Bind { dn, password }) = &self.settings.bind {
                // Settings hold no other.
                let password = std::str::from_utf8(password.expose()).unwrap_or_default();
                let result = conn.ldap.simple_bind(dn, password).await;
                let bound = result.and_then(ldap3::LdapResult::success);
                bound.map_err(|error| lookup_error(error, "logging in", &self.context))?;
            }
            Ok(conn)
        };
        timeout_at(by.instant().into(), opened).await.unwrap_or_else(|_| Err(self.too_late()))
    }

    /// A connection of its own that nobody has logged in on yet.
    pub(super) async fn dial_by(&self, by: Deadline) -> Result<Connection, LookupError> {
        timeout_at(by.instant().into(), self.dial()).await.unwrap_or_else(|_| Err(self.too_late()))
    }

    async fn dial(&self) -> Result<Connection, LookupError> {
        let io = |error| of_io(error, &self.context);
        let mut options = LdapConnSettings::new();
        let (stream, url) = match &self.server.at {
            Address::Socket(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(io)?;
                (StdStream::Unix(stream.into_std().map_err(io)?), "ldapi://socket".to_owned())
            }
            Address::Tcp { host, port, ldaps } => {
                let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await.map_err(io)?;
                // Searches side by side must not wait for each other's acknowledgement.
                stream.set_nodelay(true).map_err(io)?;
                let scheme = if *ldaps { "ldaps" } else { "ldap" };
                let url = if host.contains(':') {
                    format!("{scheme}://[{host}]:{port}")
                } else {
                    format!("{scheme}://{host}:{port}")
                };
                if self.server.tls != Tls::Off {
                    options = options.set_config(self.tls()?).set_starttls(!ldaps);
                }
                (StdStream::Tcp(stream.into_std().map_err(io)?), url)
            }
        };
        let opened = LdapConnAsync::with_settings(options.set_std_stream(stream), &url).await;
        let (driver, ldap) = opened.map_err(|error| match error {
            // The only request so far was to encrypt.
            LdapError::LdapResult { result } => self
                .context
                .error(ErrorKind::Refused, format!("the server does not encrypt (result {})", result.rc))
                .with_help("give the server a certificate, or write ldaps:// if it has a port of its own for that"),
            error => lookup_error(error, "connecting", &self.context),
        })?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "an LDAP connection ended");
            }
        });
        let now = Instant::now();
        let line = Arc::new(Line {
            ldap: ldap.clone(),
            driver: driver.abort_handle(),
            since: now,
            answered: Mutex::new(now),
            retired: AtomicBool::new(false),
            known: Known::default(),
        });
        Ok(Connection { ldap, line })
    }

    fn tls(&self) -> Result<Arc<rustls::ClientConfig>, LookupError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = tls::config(self.server.tls, self.settings.roots.as_deref());
        let config = config.map_err(|why| self.context.error(ErrorKind::Refused, format!("no encryption: {why}")))?;
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }

    pub(super) fn too_late(&self) -> LookupError {
        self.context.error(ErrorKind::Timeout, "no answer before the deadline")
    }

    /// A line of this runtime that takes one more worker; none as long as there may be more lines.
    fn shared(&self, runtime: Id) -> Option<Arc<Line>> {
        let mut lines = lock(&self.lines);
        lines.retain(|(_, line)| line.strong_count() > 0);
        let mine = lines.iter().filter(|(id, _)| *id == runtime).filter_map(|(_, line)| line.upgrade());
        let mine: Vec<_> = mine.filter(|line| line.takes_more()).collect();
        if mine.len() < self.settings.connections {
            return None;
        }
        mine.into_iter().min_by_key(Arc::strong_count)
    }
}

impl Connection {
    fn on(line: &Arc<Line>) -> Self {
        Self { ldap: line.ldap.clone(), line: Arc::clone(line) }
    }
}

/// The rows of a question, and the server that gave them.
pub(super) struct Reply {
    pub(super) rows: Vec<Found>,
    pub(super) server: Arc<LdapServer>,
}

#[async_trait]
impl Connector for Arc<LdapServer> {
    type Conn = Connection;
    type Request = Vec<Question>;
    type Reply = Reply;

    fn place(&self) -> &str {
        &self.context.place
    }

    async fn connect(&self, by: Deadline) -> Result<Connection, LookupError> {
        let runtime = Handle::current().id();
        let _turn = self.dialing.lock().await;
        while let Some(line) = self.shared(runtime) {
            // To its new worker it is as good as new, so it has to be.
            let mut conn = Connection::on(&line);
            let soon = by.or_after(PING_MAX.min(by.left() / 2));
            if matches!(timeout_at(soon.instant().into(), self.alive(&mut conn, soon)).await, Ok(true)) {
                return Ok(conn);
            }
            line.retire();
        }
        let conn = self.open(by).await?;
        lock(&self.lines).push((runtime, Arc::downgrade(&conn.line)));
        Ok(conn)
    }

    /// Asks the pieces of one question, side by side.
    async fn run(&self, conn: &mut Connection, pieces: &Vec<Question>, _: Deadline) -> Result<Reply, Failure> {
        let mut asking = Asking(Some(&conn.line));
        let answers = try_join_all(pieces.iter().map(|piece| self.ask(conn, piece))).await;
        if !matches!(answers, Err(Failure::Lost(_))) {
            asking.0 = None;
        }
        let rows = answers?.into_iter().flatten().collect();
        Ok(Reply { rows, server: Self::clone(self) })
    }

    async fn alive(&self, conn: &mut Connection, _: Deadline) -> bool {
        if conn.line.is_over() {
            return false;
        }
        if lock(&conn.line.answered).elapsed() < FRESH {
            return true;
        }
        let mut asking = Asking(Some(&conn.line));
        let alive = conn.answers().await;
        if alive {
            asking.0 = None;
        }
        alive
    }

    async fn close(&self, conn: Connection) {
        if Arc::strong_count(&conn.line) == 1 {
            let mut ldap = conn.ldap.clone();
            let _ = timeout_at(Deadline::after(Duration::from_secs(1)).instant().into(), ldap.unbind()).await;
        }
    }
}

impl LdapServer {
    async fn ask(&self, conn: &Connection, question: &Question) -> Result<Vec<Found>, Failure> {
        let (mapping, table) = (&self.settings.mapping, question.table());
        if mapping.place(table).is_none() {
            return self.nothing(conn).await;
        }
        let schema = conn.line.known.verified(conn, mapping, table, &self.context).await?;
        let searches = filter::searches(question, mapping, Some(schema));
        if searches.is_empty() {
            return self.nothing(conn).await;
        }
        let answers = try_join_all(searches.iter().map(|search| self.one_or_all(conn, question, search))).await?;
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        if rows::contradicts(question, mapping, &answers) {
            let what = "an entry of a virtual host was not found by what it says; it is hidden, or was just changed";
            return Err(Failure::Answered(self.context.error(ErrorKind::Refused, what)));
        }
        let rows = rows::answer(question, mapping, answers);
        if let (Question::Credentials(_), Some(map)) = (question, &mapping.mailbox)
            && rows.iter().any(|row| row.passwords == 0)
        {
            conn.line.known.passwords_are_seen(conn, map, &self.context).await?;
        }
        Ok(rows)
    }

    /// The answer to what no entry can be. Still only a server that answers may give it.
    async fn nothing(&self, conn: &Connection) -> Result<Vec<Found>, Failure> {
        if conn.answers().await {
            return Ok(Vec::new());
        }
        Err(Failure::Lost(self.context.error(ErrorKind::Unreachable, "does not answer")))
    }

    /// A search for one entry finds it by the server's matching rules. If it is none by its bytes there may be others.
    async fn one_or_all(
        &self,
        conn: &Connection,
        question: &Question,
        search: &Search,
    ) -> Result<Vec<(bool, Entry)>, Failure> {
        let mark = |entries: Vec<Entry>| entries.into_iter().map(|entry| (search.one, entry)).collect();
        let entries = conn.search(search, &self.context).await?;
        let hidden = entries.iter().find_map(|entry| rows::hidden(question, &self.settings.mapping, entry));
        if let Some(attribute) = hidden {
            let what = format!("attribute {attribute} is hidden from us in an entry that was found by it");
            let who = self.context.bind_dn.as_deref().unwrap_or("anonymous");
            let error = self.context.error(ErrorKind::Refused, what);
            return Err(Failure::Answered(error.with_help(format!("let {who} read {attribute}"))));
        }
        if !search.one || entries.is_empty() || matches!(question, Question::AnyMailbox) {
            return Ok(mark(entries));
        }
        let rows = rows::answer(question, &self.settings.mapping, entries.iter().cloned().map(|e| (false, e)));
        if !rows.is_empty() {
            return Ok(mark(entries));
        }
        let all = Search { one: false, ..search.clone() };
        Ok(mark(conn.search(&all, &self.context).await?))
    }
}
