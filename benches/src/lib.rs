//! Shared by the benchmarks: figures, and a daemon over a MariaDB with 100,000 mailboxes.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use qmail_lookup_core::wire::{ANSWER_MAX, netstring, socketmap};
use qmail_lookup_core::{Backend, Deadline, Table, TableOptions};
use qmail_lookup_tests::check::block_on;
use qmail_lookup_tests::load;
use qmail_lookup_tests::server::mariadb::{MariaDb, PASSWORD, USER, query};
use qmail_lookup_tests::server::process::{Process, folder};
use sqlx::Row;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a bench may fail with.
pub type Any = Box<dyn std::error::Error + Send + Sync>;
/// How a bench ends.
pub type Result<T> = std::result::Result<T, Any>;

/// Mailboxes in the table.
pub const USERS: u64 = 100_000;

/// One of them: a fixed stride visits all names in an order that no cache likes.
#[must_use]
pub fn name(n: u64) -> String {
    format!("user{}", (n * 7919) % USERS)
}

/// Any error as one that can cross threads.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn fail(error: impl fmt::Display) -> Any {
    error.to_string().into()
}

/// The words of a failed test step.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
#[must_use]
pub fn said(failed: libtest_mimic::Failed) -> Any {
    failed.message().unwrap_or("no reason given").to_owned().into()
}

/// One round of one contender.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Answers.
    pub per_second: f64,
    /// 99th percentile of the time to an answer. Unit: microseconds.
    pub p99: u32,
}

impl Figures {
    /// From the time of each answer in microseconds.
    #[must_use]
    pub fn of(mut times: Vec<u32>, took: Duration) -> Self {
        times.sort_unstable();
        #[allow(clippy::cast_precision_loss, reason = "a few millions")]
        let per_second = times.len() as f64 / took.as_secs_f64();
        Self { per_second, p99: times.get(times.len() * 99 / 100).copied().unwrap_or_default() }
    }

    /// The round in the middle.
    #[must_use]
    pub fn median(mut rounds: Vec<Self>) -> Self {
        rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        rounds.get(rounds.len() / 2).copied().unwrap_or(Self { per_second: 0.0, p99: 0 })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0} ({})", self.per_second, self.p99))
    }
}

/// A MariaDB with [`USERS`] mailboxes, and two daemons over it: one that keeps answers and one that does not.
pub struct Site {
    /// Everything lies here.
    pub folder: PathBuf,
    /// Lookup socket of the daemon that keeps nothing.
    pub uncached: PathBuf,
    /// Lookup socket of the daemon that keeps answers.
    pub cached: PathBuf,
    server: MariaDb,
    daemons: Vec<(&'static str, Process)>,
}

impl Site {
    /// Starts it all.
    ///
    /// # Errors
    /// If something does not start, or the daemon is not built for release.
    pub fn new() -> Result<Self> {
        let server = MariaDb::start(&["--max-connections=1000"]).map_err(said)?;
        server.sql("CREATE DATABASE q").map_err(said)?;
        let settings = [
            ("servers", serde_json::json!([format!("unix:{}", server.socket().display())])),
            ("user", USER.into()),
            ("password", PASSWORD.into()),
            ("database", "q".into()),
        ];
        let store: Arc<dyn Backend> = load::open("mysql", &settings).map_err(said)?;
        let editor = store.editor().ok_or("no editor")?;
        let by = Deadline::after(Duration::from_secs(20));
        block_on(editor.create_tables(&Table::ALL, TableOptions::default(), by))?;
        let fill = "INSERT INTO q.mailbox(username, uid, gid, home)
             SELECT CONCAT('user', seq), 1000, 1000, CONCAT('/home/user', seq) FROM seq_0_to_";
        server.sql(&format!("USE q; {fill}{}", USERS - 1)).map_err(said)?;
        let folder = folder("bench").map_err(said)?;
        let (uncached, cached) = (folder.join("uncached.sock"), folder.join("cached.sock"));
        let mut site = Self { folder, uncached, cached, server, daemons: Vec::new() };
        site.start("uncached", "")?;
        site.start("cached", "[cache]\nttl = \"10m\"\nentries = 200000\n")?;
        Ok(site)
    }

    fn start(&mut self, name: &'static str, more: &str) -> Result<()> {
        let file = self.folder.join(format!("{name}.toml"));
        let path = |what: &str| self.folder.join(format!("{name}{what}")).display().to_string();
        let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!(
            "[store]\nkind = \"mysql\"\nservers = [\"unix:{}\"]\nuser = \"{USER}\"\npassword = \"{password}\"\n\
             database = \"q\"\ncanary = \"user0\"\n[daemon]\nlookup_socket = \"{}\"\nauth_socket = \"{}\"\n\
             connections = 4096\n{more}",
            self.server.socket().display(),
            path(".sock"),
            path(".auth"),
        );
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let program = release("qmail-lookupd")?;
        let arguments = ["--config".to_owned(), file.display().to_string()];
        let process = Process::start(&program, &arguments).map_err(said)?;
        self.daemons.push((name, process));
        let socket = self.folder.join(format!("{name}.sock"));
        let until = Instant::now() + Duration::from_secs(20);
        while self.ask_once(&socket).is_err() {
            if Instant::now() > until {
                return Err(format!("{} does not answer", socket.display()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// One answer's content.
    ///
    /// # Errors
    /// If there is none.
    pub fn ask_once(&self, socket: &Path) -> Result<Vec<u8>> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut frame = Vec::new();
        socketmap::write_question(&mut frame, "getpw", name(1).as_bytes());
        stream.write_all(&frame)?;
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes)?;
        match netstring::read(bytes.get(..length).unwrap_or_default(), ANSWER_MAX)? {
            Some((content, _)) if content.starts_with(b"OK ") => Ok(content.to_vec()),
            other => Err(format!("not an answer: {other:?}").into()),
        }
    }

    /// The server's socket.
    #[must_use]
    pub fn mysql_socket(&self) -> PathBuf {
        self.server.socket().to_owned()
    }

    /// Statements that the server has run so far.
    ///
    /// # Errors
    /// If it does not say.
    pub fn statements(&self) -> Result<u64> {
        let mut connection = self.server.connect().map_err(said)?;
        let rows = query(&mut connection, "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").map_err(said)?;
        let text: String = rows.first().ok_or("no such status")?.try_get(1)?;
        Ok(text.parse()?)
    }

    /// Resident memory of a daemon. Unit: kB.
    ///
    /// # Errors
    /// If it is not running.
    pub fn memory(&self, name: &str) -> Result<u64> {
        let (_, process) = self.daemons.iter().find(|(known, _)| *known == name).ok_or("no such daemon")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }
}

/// A program of the release build.
///
/// # Errors
/// If it is not built.
pub fn release(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.ancestors().nth(2).ok_or("no target folder")?.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is not built", path.display()).into()) }
}

/// A static program of the drop-ins, or one of their examples.
///
/// # Errors
/// If it is not built.
pub fn dropin(name: &str) -> Result<PathBuf> {
    let missing = |error| format!("{error}: bash bins/dropin/build.sh --examples");
    release(&format!("../dropin/{name}")).map_err(missing)?.canonicalize().map_err(Into::into)
}

/// CPU of all children that have been waited for, and of theirs. Unit: microseconds.
///
/// # Errors
/// If the kernel does not say.
pub fn children_cpu() -> Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}
