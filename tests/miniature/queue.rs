//! qmail-queue: a message on descriptor 0, an envelope on descriptor 1. Whoever runs it, it has the queue's uid: its file
//! is setuid, as qmail's own is.

use std::fs::{File, OpenOptions, hard_link, remove_file};
use std::io::{Error, Result, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

/// Longest address with its NUL. Unit: bytes.
const ADDRESS_MAX: usize = 1003;

/// What it ends with.
const TOO_LONG: u8 = 11;
const NO_WRITE: u8 = 53;
const NO_READ: u8 = 54;
const NO_ENVELOPE: u8 = 91;

pub(crate) fn main() -> ExitCode {
    ExitCode::from(run().err().unwrap_or_default())
}

fn run() -> std::result::Result<(), u8> {
    let queue = crate::home().map_err(|_| NO_WRITE)?.join("queue");
    let message = everything(std::io::stdin()).map_err(|_| NO_READ)?;
    let envelope = everything(std::io::stdout()).map_err(|_| NO_READ)?;
    let addresses = envelope.strip_suffix(b"\0\0").ok_or(NO_ENVELOPE)?;
    let records: Vec<&[u8]> = addresses.split(|byte| *byte == 0).collect();
    let is_right = |n: usize, record: &&[u8]| record.first() == Some(if n == 0 { &b'F' } else { &b'T' });
    if !records.iter().enumerate().all(|(n, record)| is_right(n, record)) {
        return Err(NO_ENVELOPE);
    }
    if records.iter().any(|record| record.len() > ADDRESS_MAX) {
        return Err(TOO_LONG);
    }
    let written = addresses.iter().chain(b"\0").copied().collect::<Vec<u8>>();
    store(&queue, &message, &written).map_err(|_| NO_WRITE)
}

/// Nobody finds it before the last step.
fn store(queue: &Path, message: &[u8], addresses: &[u8]) -> Result<()> {
    let me = std::process::id();
    let mine = queue.join(format!("pid/{me}"));
    let mut file = create(&mine)?;
    file.write_all(message)?;
    let number = file.metadata()?.ino();
    hard_link(&mine, queue.join(format!("mess/0/{number}")))?;
    remove_file(&mine)?;
    let envelope = queue.join(format!("intd/{number}"));
    let who = format!("u{}\0p{me}\0", nix::unistd::getuid());
    create(&envelope)?.write_all(&[who.as_bytes(), addresses].concat())?;
    hard_link(&envelope, queue.join(format!("todo/{number}")))
}

fn create(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

/// All that can be read from a descriptor, 1 too.
fn everything(descriptor: impl AsFd) -> Result<Vec<u8>> {
    let (mut all, mut some) = (Vec::new(), [0; 8192]);
    loop {
        match nix::unistd::read(&descriptor, &mut some).map_err(Error::from)? {
            0 => return Ok(all),
            n => all.extend_from_slice(some.get(..n).unwrap_or_default()),
        }
    }
}
