//! Whether the daemon answers: until it does, local mail waits.

use super::remarks::Remarks;
use qmail_lookup_config::Config;
use qmail_lookup_core::Deadline;
use qmail_lookup_core::wire::{ANSWER_MAX, netstring, socketmap};
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Asks it something that root may ask.
pub(super) async fn judge(config: &Config, remarks: &mut Remarks) {
    let socket = &config.daemon.lookup_socket;
    let by = Deadline::after(config.deadline).instant().into();
    let why = match tokio::time::timeout_at(by, ask(socket)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let what = format!("qmail-lookupd does not answer at {} ({why})", socket.display());
    remarks.warn(what, "START IT: until it answers, all local mail waits in the queue");
}

/// Any whole answer will do.
async fn ask(socket: &Path) -> io::Result<()> {
    let mut frame = Vec::new();
    socketmap::write_question(&mut frame, "rcpthosts", b"localhost");
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&frame).await?;
    let mut answer = Vec::new();
    loop {
        let malformed = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if netstring::read(&answer, ANSWER_MAX).map_err(malformed)?.is_some() {
            return Ok(());
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
