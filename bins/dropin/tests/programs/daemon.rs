//! A scripted daemon: it says what the test wants, well or badly.

use qmail_lookup_core::getpw::{Answer, SixFields, Winner};
use qmail_lookup_core::settings::HomeTrouble;
use qmail_lookup_core::wire::auth::{Account, Reply};
use qmail_lookup_core::wire::{getpw, netstring, socketmap};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Every frame that was received.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Vec<u8>>>>);

impl Seen {
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for frames that nobody waits for on the other side.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        for _ in 0..500 {
            if self.frames().len() >= count {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.frames()
    }
}

/// Answers every connection's first frame with `answer`, and records all frames.
pub(crate) fn answering(socket: impl AsRef<Path>, answer: Vec<u8>) -> Seen {
    let seen = Seen::default();
    let record = seen.clone();
    playing(socket.as_ref(), move |_, stream| {
        let mut asked = 0;
        while let Some(frame) = read_frame(stream) {
            record.0.lock().unwrap().push(frame);
            asked += 1;
            if asked == 1 && stream.write_all(&answer).is_err() {
                break;
            }
        }
    });
    seen
}

/// Runs `play` for each connection, with its number, in a thread of its own.
pub(crate) fn playing(socket: &Path, play: impl Fn(usize, &mut UnixStream) + Send + Sync + 'static) {
    let listener = UnixListener::bind(socket).unwrap();
    let play = Arc::new(play);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (play, mut stream) = (Arc::clone(&play), stream.unwrap());
            thread::spawn(move || play(number, &mut stream));
        }
    });
}

/// One frame's content; `None` at the end.
pub(crate) fn read_frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        if let Some((content, _)) = netstring::read(&bytes, 100_000).unwrap() {
            return Some(content.to_vec());
        }
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
}

pub(crate) fn six(user: &str, uid: u32, gid: u32, home: &Path) -> SixFields {
    let home = home.to_str().unwrap().into();
    SixFields { user: user.into(), uid, gid, home, dash: b"".into(), ext: b"".into() }
}

/// An answer to getpw that defers where rule G3 lets it.
pub(crate) fn getpw_answer(winner: Winner) -> Answer {
    let alias = SixFields {
        dash: b"-".to_vec(),
        ext: b"Local-Part".to_vec(),
        ..six("alias", 64_010, 64_011, "/var/qmail/alias".as_ref())
    };
    let (home_missing, home_mismatch) = (HomeTrouble::Defer, HomeTrouble::Defer);
    Answer { home_missing, home_mismatch, winner, alias: Some(alias) }
}

pub(crate) fn getpw_frame(answer: &Answer) -> Vec<u8> {
    map_frame(socketmap::Reply::Ok(&getpw::encode(answer)))
}

pub(crate) fn map_frame(reply: socketmap::Reply<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    reply.write(&mut frame);
    frame
}

pub(crate) fn auth_frame(reply: &Reply) -> Vec<u8> {
    let mut frame = Vec::new();
    reply.write(&mut frame);
    frame
}

pub(crate) fn ok_account(user: &str, uid: u32, gid: u32, home: &Path) -> Vec<u8> {
    auth_frame(&Reply::Ok(Account { user: user.into(), uid, gid, home: home.to_str().unwrap().into() }))
}
