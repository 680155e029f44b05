//! `impostor SOCKET FILE`: listens at SOCKET and gives the bytes of FILE to everybody. For the tests, which run it as
//! another user.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, file] = &arguments[..] else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let answer = std::fs::read(file)?;
    for stream in UnixListener::bind(socket)?.incoming() {
        let mut stream = stream?;
        let _ = stream.write_all(&answer).and_then(|()| stream.read(&mut [0; 4096]));
    }
    Ok(())
}
