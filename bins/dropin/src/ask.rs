//! One question to the daemon, one answer, one deadline.

use crate::believe::{self, Doubt};
use crate::sys;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::netstring;
use std::borrow::Cow;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Time for the whole exchange. Source: ours; the daemon gives up after 5 s.
pub const LIMIT: Duration = Duration::from_secs(6);

/// When the alarm ends a program that hangs where no deadline reaches. Unit: seconds.
pub const ALARM: u32 = 7;

/// Time between two attempts to reach a daemon that is not there.
const PAUSE: Duration = Duration::from_millis(100);

/// Time to wait for a place in a full queue before the path is looked up again: another daemon may listen there by now.
const QUEUE: Duration = Duration::from_secs(1);

/// Longest key of a question. Unit: bytes. Source: the frame's limit, less the question's name and a space.
pub const KEY_MAX: usize = qmail_lookup_core::wire::QUESTION_MAX - 16;

/// Why nothing is known; for people.
#[derive(Debug, PartialEq, Eq)]
pub struct NoAnswer(pub Cow<'static, str>);

impl From<&'static str> for NoAnswer {
    fn from(why: &'static str) -> Self {
        Self(why.into())
    }
}

/// A whole answer, and the connection that it came over.
#[derive(Debug)]
pub struct Answered {
    /// The frame's content.
    pub content: Vec<u8>,
    stream: UnixStream,
}

impl Answered {
    /// Sends one more frame, if that takes no time. Nobody waits for a reply.
    pub fn mention(mut self, frame: &[u8]) {
        let _ = self.stream.write(frame); // whole_frame made the stream non-blocking
    }
}

/// Puts `question` to whoever listens at `socket`, if they may be believed. As long as no byte of an answer has come, it
/// is asked again: a daemon that is being restarted defers nothing. A content of more than `most` bytes is no answer.
///
/// # Errors
/// If there is no whole answer by `by`, or something else.
pub fn ask(socket: &Path, question: &[u8], most: usize, by: Deadline) -> Result<Answered, NoAnswer> {
    loop {
        let why = match attempt(socket, question, most, by) {
            Ok(answered) => return Ok(answered),
            Err(Attempt::Final(why)) => return Err(why),
            Err(Attempt::Again(why)) => why,
        };
        std::thread::sleep(PAUSE.min(by.left()));
        if by.passed() {
            return Err(why);
        }
    }
}

/// How an attempt failed.
enum Attempt {
    /// Before anybody could answer.
    Again(NoAnswer),
    /// For good.
    Final(NoAnswer),
}

fn attempt(socket: &Path, question: &[u8], most: usize, by: Deadline) -> Result<Answered, Attempt> {
    let mut stream = sys::unix_socket().map_err(|_| Attempt::Final("no socket".into()))?;
    // Before connect, which otherwise waits for ever if the queue of a stopped daemon is full.
    limit(by.or_after(QUEUE), |left| stream.set_write_timeout(Some(left)))?;
    sys::connect(&stream, socket.as_os_str()).map_err(|error| unreached(&error))?;
    believe::peer(&stream, socket).map_err(|doubt| match doubt {
        Doubt::Gone => Attempt::Again("the socket's directory is gone".into()),
        Doubt::Disbelieved(why) => Attempt::Final(why.into()),
    })?;
    let sent = send(&mut stream, question, by);
    let content = whole_frame(&mut stream, most, by)?;
    // Whoever speaks before being asked does not answer the question.
    sent.map(|()| Answered { content, stream }).map_err(Attempt::Final)
}

/// Runs `set` with the time that is left, which is never 0: the kernel takes that for "no limit".
fn limit(by: Deadline, set: impl FnOnce(Duration) -> std::io::Result<()>) -> Result<(), Attempt> {
    let left = by.left().max(Duration::from_millis(1));
    set(left).map_err(|_| Attempt::Final("a time limit cannot be set".into()))
}

fn unreached(error: &Error) -> Attempt {
    use ErrorKind::{ConnectionRefused, Interrupted, NotFound, WouldBlock};
    let why = NoAnswer(format!("unable to reach the daemon: {error}").into());
    match error.kind() {
        NotFound | ConnectionRefused | WouldBlock | Interrupted => Attempt::Again(why),
        _ => Attempt::Final(why),
    }
}

/// Writes the whole question. What goes wrong is judged by what can be read afterwards.
fn send(stream: &mut UnixStream, mut rest: &[u8], by: Deadline) -> Result<(), NoAnswer> {
    while !rest.is_empty() {
        if by.passed() || limit(by, |left| stream.set_write_timeout(Some(left))).is_err() {
            return Err("the daemon does not take the question".into());
        }
        match stream.write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => return Err("the daemon does not take the question".into()),
        }
    }
    Ok(())
}

/// Reads one frame with nothing behind it.
fn whole_frame(stream: &mut UnixStream, most: usize, by: Deadline) -> Result<Vec<u8>, Attempt> {
    let fail = |why: &'static str| Attempt::Final(why.into());
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match netstring::read(&bytes, most) {
            Err(_) => return Err(fail("the answer is not in the daemon's form")),
            Ok(Some((content, used))) if used == bytes.len() => {
                let content = content.to_vec();
                return if silent(stream) { Ok(content) } else { Err(fail("the answer does not end where it should")) };
            }
            Ok(Some(_)) => return Err(fail("the answer does not end where it should")),
            Ok(None) => {}
        }
        if by.passed() {
            return Err(fail("the daemon does not answer in time"));
        }
        limit(by, |left| stream.set_read_timeout(Some(left)))?;
        match stream.read(&mut chunk) {
            Ok(0) => return Err(hung_up(&bytes)),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => return Err(hung_up(&bytes)),
        }
    }
}

fn hung_up(so_far: &[u8]) -> Attempt {
    match so_far {
        [] => Attempt::Again("the daemon hangs up without an answer".into()),
        _ => Attempt::Final("the daemon hangs up before its answer is whole".into()),
    }
}

/// Whether nothing more is there to be read at this moment. Makes the stream non-blocking.
fn silent(stream: &mut UnixStream) -> bool {
    stream.set_nonblocking(true).is_ok()
        && match stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
}
