//! Opening the file, and the threads that ask it.

use super::session::Session;
use super::sql;
use async_channel::{Receiver, Sender, TrySendError};
use qmail_lookup_core::{Deadline, ErrorKind, LookupError};
use rusqlite::{Connection, OpenFlags};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Questions that may wait for a thread; one more is refused at once. Unit: questions.
const QUEUE_MAX: usize = 256;

/// Statements kept prepared per connection. There are ten questions, and few sizes of each are in use.
const STATEMENTS_MAX: usize = 48;

/// Steps of SQLite's machine between two looks at the clock: well under a millisecond.
const STEPS: i32 = 2000;

/// Longest sleep between two tries at a locked file.
const PAUSE_MAX: Duration = Duration::from_millis(8);

/// How often the file is opened anew when it is being replaced at that very moment.
const REPLACED_MAX: usize = 5;

/// The database file.
#[derive(Debug)]
pub(super) struct File {
    /// From the root.
    pub(super) path: PathBuf,
    /// For messages, with the path as the administrator wrote it.
    pub(super) place: String,
}

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read. Never makes a file.
    Read,
    /// Read and write a file that is there.
    Write,
}

/// The instant at which a connection gives up; shared with its handlers.
#[derive(Debug)]
pub(super) struct Limit(Mutex<Deadline>);

impl Limit {
    /// Gives up at `by` from now on.
    pub(super) fn set(&self, by: Deadline) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    fn left(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left()
    }
}

impl File {
    /// A file that need not be there.
    pub(super) fn new(path: PathBuf, place: String) -> Self {
        Self { path, place }
    }

    /// Finds out which file the path leads to now. Opens nothing: closing a descriptor of the file would drop the
    /// locks that SQLite holds on it in this process.
    pub(super) fn identity(&self) -> Result<Identity, LookupError> {
        let found = std::fs::metadata(&self.path).map_err(|error| self.not_examined(error))?;
        if !found.is_file() {
            return Err(self.not_a_file());
        }
        Ok(Identity { device: found.dev(), inode: found.ino() })
    }

    /// Opens the file.
    pub(super) fn open(self: &Arc<Self>, access: Access, by: Deadline) -> Result<Session, LookupError> {
        let mut before = self.identity()?;
        for _ in 0..REPLACED_MAX {
            let (conn, limit) = self.connect(access, by).map_err(|error| self.sqlite(error))?;
            let after = self.identity()?;
            if before == after {
                return Ok(Session::new(Arc::clone(self), conn, after, limit));
            }
            before = after;
        }
        Err(self.error(ErrorKind::Unreachable, "the file is being replaced again and again"))
    }

    /// A database of nobody else's: SQLite makes its file where temporary files are, and unlinks it at once.
    pub(super) fn private(self: &Arc<Self>, by: Deadline) -> Result<Session, LookupError> {
        let opened = Connection::open("").and_then(|conn| limited(conn, by));
        let (conn, limit) = opened.map_err(|error| self.sqlite(error))?;
        Ok(Session::new(Arc::clone(self), conn, Identity { device: 0, inode: 0 }, limit))
    }

    fn connect(&self, access: Access, by: Deadline) -> rusqlite::Result<(Connection, Arc<Limit>)> {
        let mode = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        limited(Connection::open_with_flags(&self.path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?, by)
    }
}

/// Makes a connection give up at the deadline.
fn limited(mut conn: Connection, by: Deadline) -> rusqlite::Result<(Connection, Arc<Limit>)> {
    let limit = Arc::new(Limit(Mutex::new(by)));
    let busy = Arc::clone(&limit);
    conn.busy_handler(Some(move |tries| {
        let left = busy.left();
        let pause = Duration::from_millis(1_u64 << u32::try_from(tries).map_or(3, |n| n.min(3))).min(PAUSE_MAX);
        std::thread::sleep(pause.min(left));
        !left.is_zero()
    }))?;
    let steps = Arc::clone(&limit);
    conn.progress_handler(STEPS, Some(move || steps.left().is_zero()))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.execute_batch(sql::PRAGMAS)?;
    Ok((conn, limit))
}

/// The connection of one thread.
pub(super) struct Reader {
    file: Arc<File>,
    session: Option<Session>,
}

impl Reader {
    /// Answers over the connection that is open if it leads to the file that the path leads to, else over a new one.
    /// After an error the connection is closed: what went wrong with it is not worth knowing.
    fn answer<T>(
        &mut self,
        by: Deadline,
        question: impl FnOnce(&mut Session) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        let mut session = match self.session.take() {
            Some(open) if self.file.identity()? == open.identity() => open,
            _ => self.file.open(Access::Read, by)?,
        };
        let answer = session.read(by, question)?;
        self.session = Some(session);
        Ok(answer)
    }
}

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// The threads that ask the file. They start with the first question and end with the store.
pub(super) struct Readers {
    file: Arc<File>,
    threads: usize,
    jobs: OnceLock<Sender<Job>>,
    starting: Mutex<()>,
}

impl Readers {
    /// Starts nothing yet.
    pub(super) fn new(file: Arc<File>, threads: usize) -> Self {
        Self { file, threads, jobs: OnceLock::new(), starting: Mutex::new(()) }
    }

    /// The file they ask.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Puts a question. The caller leaves at `by`; a question that no thread has begun by then is dropped unread.
    ///
    /// # Errors
    /// At once if too many questions wait; by `by` at the latest.
    pub(super) async fn ask<T, F>(&self, by: Deadline, question: F) -> Result<T, LookupError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, LookupError> + Send + 'static,
    {
        if by.passed() {
            return Err(self.file.timeout());
        }
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |reader| {
            if !by.passed() && !reply.is_closed() {
                // The caller may have left; nobody else waits for this.
                let _ = reply.send(reader.answer(by, question));
            }
        });
        self.jobs()?.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => self.file.error(ErrorKind::Overloaded, "too many questions wait already"),
            TrySendError::Closed(_) => self.file.ended(),
        })?;
        match timeout_at(by.instant().into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) if !by.passed() => Err(self.file.ended()),
            Ok(Err(_)) | Err(_) => Err(self.file.timeout()),
        }
    }

    fn jobs(&self) -> Result<&Sender<Job>, LookupError> {
        if let Some(jobs) = self.jobs.get() {
            return Ok(jobs);
        }
        let _one_starts_them = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = self.jobs.get() {
            return Ok(jobs);
        }
        let (sender, receiver) = async_channel::bounded(QUEUE_MAX);
        for number in 0..self.threads {
            let (file, receiver) = (Arc::clone(&self.file), receiver.clone());
            let thread = std::thread::Builder::new().name(format!("sqlite-{number}"));
            match thread.spawn(move || serve(file, &receiver)) {
                Ok(_) => {}
                // Some are enough to go on with.
                Err(error) if number > 0 => {
                    tracing::warn!(place = self.file.place, %error, "fewer threads than wanted: {number}");
                    break;
                }
                Err(error) => return Err(self.file.no_thread(error)),
            }
        }
        Ok(self.jobs.get_or_init(|| sender))
    }
}

/// One thread: a question after the other until the store is gone.
fn serve(file: Arc<File>, jobs: &Receiver<Job>) {
    let mut reader = Reader { file, session: None };
    while let Ok(job) = jobs.recv_blocking() {
        // The caller of a job that panicked sees its answer fail; the thread serves the next one, over a new connection.
        if catch_unwind(AssertUnwindSafe(|| job(&mut reader))).is_err() {
            reader.session = None;
        }
    }
}
