//! A private MariaDB (or MySQL 9, see `mysql9.rs`): no network, one UNIX socket, nothing kept.

use super::find;
use super::process::{Process, folder};
use crate::check::block_on;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The account that stores are opened with.
pub const USER: &str = "qmail";
/// Its password.
pub const PASSWORD: &str = "pass'word \"\\";

/// Longest start. Unit: seconds. A fresh server takes less than one on an idle machine.
const START_MAX: u64 = 60;

/// A server.
#[derive(Debug)]
pub struct MariaDb {
    program: PathBuf,
    arguments: Vec<String>,
    socket: PathBuf,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

/// The data folder of a fresh installation, made once and copied for each server.
static TEMPLATE: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| install().map_err(|failed| failed.message().unwrap_or("no reason given").to_owned()));

/// Why there can be no MariaDB here; `None` if there can.
#[must_use]
pub fn missing() -> Option<String> {
    let absent = ["mariadbd", "mariadb-install-db"].into_iter().find(|program| find(program).is_none());
    absent.map(|program| format!("{program} is not installed (Debian: mariadb-server-core, mariadb-client-core)"))
}

fn install() -> Result<PathBuf, Failed> {
    let program = find("mariadb-install-db").ok_or("mariadb-install-db is not installed")?;
    let base = folder("template")?;
    let data = base.join("data");
    let mut command = Command::new(program);
    command.arg("--no-defaults").args(as_root()).arg(format!("--datadir={}", data.display()));
    // Two runs at once must not meet in the usual temporary folder.
    command.arg(format!("--tmpdir={}", base.display()));
    command.args([
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        "--innodb-log-file-size=4M",
        "--innodb-fast-shutdown=0",
    ]);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("mariadb-install-db: {}", text.trim()).into());
    }
    Ok(data)
}

/// A server does not run as root unless it is told to.
pub(super) fn as_root() -> Option<&'static str> {
    nix::unistd::geteuid().is_root().then_some("--user=root")
}

/// A name for the folder of the next server.
pub(super) fn next_name(kind: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{kind}{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

impl MariaDb {
    /// Starts a fresh server with further `options` and the account [`USER`].
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(options: &[&str]) -> Result<Self, Failed> {
        let template = TEMPLATE.as_ref().map_err(ToString::to_string)?;
        let base = folder(&next_name("m"))?;
        let copied = Command::new("cp").arg("-a").arg(template).arg(base.join("data")).stdin(Stdio::null()).status()?;
        if !copied.success() {
            return Err("the data folder cannot be copied".into());
        }
        let program = find("mariadbd").ok_or("mariadbd is not installed")?;
        let mut arguments = vec!["--no-defaults".to_owned()];
        arguments.extend(as_root().map(str::to_owned));
        arguments.extend([
            format!("--datadir={}", base.join("data").display()),
            format!("--socket={}", base.join("s").display()),
            format!("--pid-file={}", base.join("pid").display()),
            format!("--log-error={}", base.join("err.log").display()),
            format!("--tmpdir={}", base.display()),
        ]);
        let fixed = [
            "--skip-networking",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=4M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--performance-schema=0",
            "--aria-pagecache-buffer-size=1M",
            "--key-buffer-size=1M",
            "--table-open-cache=200",
            "--max-connections=200",
        ];
        arguments.extend(fixed.iter().chain(options).map(|option| (*option).to_owned()));
        Self::launch(program, arguments, &base)
    }

    /// Starts `program` and waits until it answers; then makes the account.
    pub(super) fn launch(program: PathBuf, arguments: Vec<String>, base: &Path) -> Result<Self, Failed> {
        let server =
            Self { program, arguments, socket: base.join("s"), log: base.join("err.log"), process: Mutex::new(None) };
        server.run()?;
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        server.sql(&format!("CREATE USER '{USER}'@'localhost' IDENTIFIED BY '{quoted}'"))?;
        let privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES";
        server.sql(&format!("GRANT {privileges} ON *.* TO '{USER}'@'localhost'"))?;
        Ok(server)
    }

    /// Starts it (again) over the same data, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&self) -> Result<(), Failed> {
        let mut process = Process::start(&self.program, &self.arguments)?;
        let until = Instant::now() + Duration::from_secs(START_MAX);
        while self.sql("DO 1").is_err() {
            if !process.is_running() || Instant::now() > until {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(8).collect();
                return Err(format!("{} does not start: {tail:?}", self.program.display()).into());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        *self.process() = Some(process);
        Ok(())
    }

    /// Kills it in whatever it is doing.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    /// Stops it in good order.
    pub fn stop(&self) {
        if let Some(process) = self.process().take() {
            process.stop();
        }
    }

    /// Freezes it: it keeps its connections, takes new ones, and answers nothing.
    pub fn freeze(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::SIGCONT);
        }
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection of the administrator.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn connect(&self) -> Result<MySqlConnection, Failed> {
        let options = MySqlConnectOptions::new().socket(&self.socket).username("root").ssl_mode(MySqlSslMode::Disabled);
        block_on(async { Ok(tokio::time::timeout(Duration::from_secs(20), options.connect()).await??) })
    }

    /// Runs statements as the administrator.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&self, statements: &str) -> Result<(), Failed> {
        run(&mut self.connect()?, statements)
    }
}

/// Runs statements on a connection.
///
/// # Errors
/// The server's.
pub fn run(connection: &mut MySqlConnection, statements: &str) -> Result<(), Failed> {
    block_on(connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))))?;
    Ok(())
}

/// Runs a query on a connection.
///
/// # Errors
/// The server's.
pub fn query(connection: &mut MySqlConnection, statement: &str) -> Result<Vec<MySqlRow>, Failed> {
    Ok(block_on(connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement))))?)
}
