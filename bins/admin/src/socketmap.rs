//! One question to the daemon, as its socketmap clients ask.

use qmail_lookup_core::wire::{ANSWER_MAX, netstring, socketmap};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Asks for `key` in the map `name`. Gives the whole answer, for [`socketmap::Reply::read`]. It waits for ever.
///
/// # Errors
/// If nobody listens at `socket`, or no whole answer comes.
pub(crate) async fn ask(socket: &Path, name: &str, key: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    socketmap::write_question(&mut frame, name, key);
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&frame).await?;
    let mut answer = Vec::new();
    loop {
        let malformed = |what| Error::new(ErrorKind::InvalidData, what);
        if let Some((content, _)) = netstring::read(&answer, ANSWER_MAX).map_err(malformed)? {
            return Ok(content.to_vec());
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}
