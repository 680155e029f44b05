//! Frames in and out of a connection, within their time.

use qmail_lookup_core::wire::{Malformed, QUESTION_MAX, netstring};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Time for a whole frame, from its first byte.
pub(crate) const FRAME: Duration = Duration::from_secs(2);

/// Time between frames.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Time that a client may take to read a reply.
pub(crate) const REPLY: Duration = Duration::from_secs(1);

/// Read at most at a time. Unit: bytes.
const CHUNK: usize = 4 * 1024;

/// A buffer larger than this is given back when it is empty. Unit: bytes.
pub(crate) const KEPT: usize = 1024;

/// Bytes that came and were not used yet.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Where the unused ones begin.
    at: usize,
    /// When the first byte came of a frame that is not complete.
    pub(crate) begun: Option<Instant>,
}

/// What [`Input::poll_fill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Bytes.
    Some,
    /// None ever again.
    End,
}

impl Input {
    /// Reads what is there.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, stream: &mut UnixStream) -> Poll<io::Result<Filled>> {
        // On the stack, so that a connection that waits holds no memory.
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        // Not try_read: after less than a chunk this one knows that nothing is left, without asking the kernel again.
        std::task::ready!(Pin::new(stream).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Ok(Filled::End));
        }
        self.bytes.drain(..self.at.min(self.bytes.len()));
        self.at = 0;
        self.bytes.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(Filled::Some))
    }

    /// True if there is room for more: the longest frame and a chunk are held at most.
    pub(crate) fn has_room(&self) -> bool {
        // With the digits, the colon and the comma.
        self.bytes.len().saturating_sub(self.at) < QUESTION_MAX + 8
    }

    /// The content of the next complete frame.
    ///
    /// # Errors
    /// If what came is no frame.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match netstring::read(rest, QUESTION_MAX)? {
            Some((content, used)) => {
                let content = content.to_vec();
                self.at += used;
                self.begun = None;
                Ok(Some(content))
            }
            None if rest.is_empty() => {
                if self.bytes.capacity() > KEPT {
                    self.bytes = Vec::new();
                } else {
                    self.bytes.clear();
                }
                self.at = 0;
                self.begun = None;
                Ok(None)
            }
            None => {
                self.begun.get_or_insert_with(Instant::now);
                Ok(None)
            }
        }
    }
}

/// Reads until `incomplete` says no, or `max` bytes have come. What was read may hold a password, so it is wiped.
///
/// # Errors
/// If the connection ends before.
pub(crate) async fn read_one(
    stream: &UnixStream,
    max: usize,
    incomplete: impl Fn(&[u8]) -> bool,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; max]);
    let mut count = 0;
    loop {
        match stream.try_read(bytes.get_mut(count..).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.readable().await?;
                continue;
            }
            Err(error) => return Err(error),
        }
        if count >= max || !incomplete(bytes.get(..count).unwrap_or_default()) {
            bytes.truncate(count);
            return Ok(bytes);
        }
    }
}

/// Writes all of `bytes`, if the client takes them in time.
///
/// # Errors
/// If it does not, or is gone.
pub(crate) async fn write_all(stream: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    // Most replies fit; then there is no need for a timer.
    if advance(stream, &mut rest)? {
        return Ok(());
    }
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(REPLY, async {
        loop {
            stream.writable().await?;
            if advance(stream, &mut rest)? {
                return Ok(());
            }
        }
    })
    .await
    .map_err(late)?
}

/// True if nothing is left.
fn advance(stream: &UnixStream, rest: &mut &[u8]) -> io::Result<bool> {
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(count) => *rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<T>(test: impl AsyncFnOnce(UnixStream, UnixStream) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (one, two) = UnixStream::pair().unwrap();
            test(one, two).await
        })
    }

    async fn fill(input: &mut Input, stream: &mut UnixStream) -> Filled {
        std::future::poll_fn(|cx| input.poll_fill(cx, stream)).await.unwrap()
    }

    #[test]
    fn frames_come_out_whole_and_memory_is_given_back() {
        pair(async |mut ours, theirs| {
            let mut input = Input::default();
            let long = vec![b'x'; QUESTION_MAX];
            let mut sent = b"3:abc,0:,".to_vec();
            netstring::write(&mut sent, &long);
            sent.extend_from_slice(b"4:ab");
            write_all(&theirs, &sent).await.unwrap();
            while input.bytes.len() < sent.len() {
                assert_eq!(fill(&mut input, &mut ours).await, Filled::Some);
            }
            assert_eq!(input.next(), Ok(Some(b"abc".to_vec())));
            assert_eq!(input.next(), Ok(Some(Vec::new())));
            assert_eq!(input.next(), Ok(Some(long)));
            assert_eq!((input.next(), input.begun.is_some()), (Ok(None), true));
            write_all(&theirs, b"cd,").await.unwrap();
            drop(theirs);
            assert_eq!(fill(&mut input, &mut ours).await, Filled::Some);
            assert_eq!(input.next(), Ok(Some(b"abcd".to_vec())));
            assert_eq!((input.next(), input.begun), (Ok(None), None));
            assert!(input.bytes.capacity() <= KEPT);
            assert_eq!(fill(&mut input, &mut ours).await, Filled::End);
        });
    }

    #[test]
    fn what_is_too_long_is_found_out_by_its_length() {
        pair(async |mut ours, theirs| {
            let mut input = Input::default();
            write_all(&theirs, b"8193:").await.unwrap();
            fill(&mut input, &mut ours).await;
            assert!(input.next().is_err());
        });
    }

    #[test]
    fn who_takes_no_reply_is_not_waited_for() {
        pair(async |ours, _theirs| {
            let begun = Instant::now();
            let error = write_all(&ours, &vec![0; 8 << 20]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() < Duration::from_secs(30));
        });
    }
}
