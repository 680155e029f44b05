//! `trust` and `flush`: what is told to the running daemon, over its auth socket.

use crate::exit::Exit;
use crate::output::{Failure, Output, text};
use qmail_lookup_config::Config;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::auth::{Question, Reply};
use qmail_lookup_core::wire::{ANSWER_MAX, netstring};
use serde_json::json;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub(crate) async fn run(config: &Config, question: Question<'static>, output: &mut Output) -> Result<Exit, Failure> {
    let what = tell(config, question).await?;
    output.result(&json!({ "result": "done", "text": what }), |out| out.line(&what));
    Ok(Exit::Yes)
}

/// Has the daemon forget its answers after rows were changed. Where no daemon runs there is nothing to say.
///
/// # Errors
/// If there is one, and it did not do it.
pub(crate) async fn forget(config: &Config) -> Result<(), Failure> {
    let nobody = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
    match UnixStream::connect(&config.daemon.auth_socket).await {
        Err(error) if nobody(error.kind()) => Ok(()),
        _ => tell(config, Question::Flush).await.map(drop),
    }
}

/// What the daemon says that it did.
async fn tell(config: &Config, question: Question<'static>) -> Result<String, Failure> {
    let socket = &config.daemon.auth_socket;
    let by = Deadline::after(config.deadline).instant().into();
    let asked = tokio::time::timeout_at(by, ask(socket, question)).await;
    let place = |what: String| Failure::temporary(format!("qmail-lookupd at {}: {what}", socket.display()));
    let reply = match asked {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Failure::usage(format!("{}: {error}; only root may tell it", socket.display())));
        }
        Ok(Err(error)) => return Err(place(error.to_string())),
        Err(_) => return Err(place("no answer in time".to_owned())),
    };
    match reply {
        Reply::Done(what) => Ok(text(&what)),
        Reply::Temporary(why) => Err(place(text(&why))),
        Reply::Ok(_) | Reply::No | Reply::Stock => Err(place("it gave an answer to another question".to_owned())),
    }
}

async fn ask(socket: &std::path::Path, question: Question<'static>) -> io::Result<Reply> {
    let mut frame = Vec::new();
    question.write(&mut frame);
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&frame).await?;
    let mut answer = Vec::new();
    // It answers once and closes.
    stream.take(ANSWER_MAX as u64).read_to_end(&mut answer).await?;
    let malformed = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    match netstring::read(&answer, ANSWER_MAX).map_err(malformed)? {
        Some((content, used)) if used == answer.len() => Reply::read(content).map_err(malformed),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
