//! A proxy between a store and its server that can fall silent, cut, or drip: the ways in which networks and dying
//! servers end an answer. It listens on TCP at a free port of its own.

use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it does with the bytes that the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Hands them on.
    Pass,
    /// Takes connections and says nothing on them, in either direction.
    Silent,
    /// Closes new connections at once.
    Refuse,
    /// Hands on this many bytes, on each connection from now on, then closes it.
    CutAfter(usize),
    /// Hands on this many bytes on one connection, closes that, and passes everything on the others.
    CutOneAfter(usize),
    /// Hands on this many bytes, on each connection from now on, then says nothing more.
    StallAfter(usize),
    /// Hands on one byte a second.
    Drip,
}

/// The proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: PathBuf,
    state: Mutex<State>,
    over: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Counts changes of the mode: bytes are counted from the last one.
    epoch: u64,
}

impl Proxy {
    /// Starts one in front of the UNIX socket `upstream`.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(upstream: &Path) -> Result<Self, Failed> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let state = Mutex::new(State { mode: Mode::Pass, epoch: 0 });
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), state, over: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.over.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(&client));
            }
        });
        Ok(Self { port, shared })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes what it does, for connections that are there and those that come.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { mode, epoch: state.epoch + 1 };
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn serve(self: Arc<Self>, client: &TcpStream) {
        if self.state().mode == Mode::Refuse {
            return;
        }
        let Ok(server) = UnixStream::connect(&self.upstream) else { return };
        let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
        let upward = Arc::clone(&self);
        let up = std::thread::spawn(move || upward.upward(from_client, &to_server));
        drop(self.downward(&server, client));
        drop(client.shutdown(Shutdown::Both));
        drop(server.shutdown(Shutdown::Both));
        drop(up.join());
    }

    fn upward(&self, mut client: TcpStream, mut server: &UnixStream) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            self.wait_while(|mode| mode == Mode::Silent);
            if server.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Write));
    }

    /// Hands the server's bytes on as the mode says; returns when the connection shall be closed.
    fn downward(&self, mut server: &UnixStream, mut client: &TcpStream) -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        let mut passed = (0, 0); // epoch, bytes since it began
        loop {
            let length = server.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            for byte in &buffer[..length] {
                let state = self.wait_while(|mode| mode == Mode::Silent);
                if passed.0 != state.epoch {
                    passed = (state.epoch, 0);
                }
                match state.mode {
                    Mode::CutAfter(limit) if passed.1 >= limit => return Ok(()),
                    Mode::CutOneAfter(limit) if passed.1 >= limit => {
                        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                        state.mode = Mode::Pass;
                        return Ok(());
                    }
                    Mode::StallAfter(limit) if passed.1 >= limit => {
                        self.wait_while(|mode| mode == state.mode);
                    }
                    Mode::Drip => std::thread::sleep(Duration::from_secs(1)),
                    _ => {}
                }
                client.write_all(std::slice::from_ref(byte))?;
                passed.1 += 1;
                if self.is_over() {
                    return Ok(());
                }
            }
        }
    }

    fn wait_while(&self, held: impl Fn(Mode) -> bool) -> State {
        loop {
            let state = self.state();
            if !held(state.mode) || self.is_over() {
                return state;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
