//! The message: descriptor 0, read from its beginning by every delivery.

use super::report::{Ending, Outcome};
use super::words;
use crate::sys;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// See the module. It shares its position with descriptor 0, which programs inherit, and those that they leave behind go
/// on moving: only they go by it.
#[derive(Debug)]
pub struct Message {
    file: File,
    /// What it had at the beginning; 0 if it is no regular file. Unit: bytes.
    length: u64,
}

impl Message {
    /// Takes descriptor 0.
    ///
    /// # Errors
    /// If it was closed when the program was started: what stands there now is empty. If it cannot be examined.
    pub fn take() -> Outcome<Self> {
        if !sys::stdin_was_open() {
            return Err(Ending::defer(&[b"Unable to read message: file descriptor not open. (#4.3.0)"]));
        }
        let taken = std::io::stdin().as_fd().try_clone_to_owned().and_then(|fd| Self::of(fd.into()));
        taken.map_err(|error| unread(&error))
    }

    fn of(file: File) -> Result<Self> {
        let found = file.metadata()?;
        Ok(Self { length: if found.is_file() { found.len() } else { 0 }, file })
    }

    /// Puts descriptor 0 at the message's beginning, for a program.
    ///
    /// # Errors
    /// If that cannot be, as with a pipe.
    pub fn rewind(&self) -> Outcome<()> {
        (&self.file).rewind().map_err(|_| Ending::defer(&[b"Unable to rewind message. (#4.3.0)"]))
    }

    /// The message from its beginning to its end, wherever descriptor 0 stands meanwhile.
    ///
    /// # Errors
    /// As [`Message::rewind`]: what cannot be rewound cannot be read twice.
    pub fn reader(&self) -> Outcome<Reader<'_>> {
        self.rewind()?;
        Ok(Reader { message: self, at: 0 })
    }
}

/// One reading of the message. An end that comes too early is an error.
#[derive(Debug)]
pub struct Reader<'a> {
    message: &'a Message,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        match self.message.file.read_at(into, self.at)? {
            0 if !into.is_empty() && self.at < self.message.length => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                Ok(count)
            }
        }
    }
}

/// The message cannot be read.
#[must_use]
pub fn unread(error: &Error) -> Ending {
    Ending::defer(&[b"Unable to read message: ", words::of(error).as_bytes(), b". (#4.3.0)"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{SeekFrom, Write};

    fn message(text: &[u8]) -> (Message, File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        (Message::of(file.try_clone().unwrap()).unwrap(), file)
    }

    #[test]
    fn every_reading_is_whole_wherever_the_descriptor_is_moved() {
        let (message, mut shared) = message(b"0123456789");
        for _ in 0..2 {
            let (mut reader, mut found, mut piece) = (message.reader().unwrap(), Vec::new(), [0; 3]);
            loop {
                match reader.read(&mut piece).unwrap() {
                    0 => break,
                    count => found.extend_from_slice(&piece[..count]),
                }
                shared.seek(SeekFrom::Start(7)).unwrap();
            }
            assert_eq!(found, b"0123456789");
        }
        message.rewind().unwrap();
        assert_eq!(shared.stream_position().unwrap(), 0);
    }

    #[test]
    fn an_end_before_the_end_is_an_error() {
        let (message, file) = message(b"0123456789");
        let mut begun = message.reader().unwrap();
        assert_eq!(begun.read(&mut [0; 3]).unwrap(), 3);
        file.set_len(5).unwrap();
        for mut reader in [begun, message.reader().unwrap()] {
            assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
        let none = Message::of(File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(none.reader().unwrap().read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn a_pipe_is_no_message() {
        let (pipe, _writer) = std::io::pipe().unwrap();
        let message = Message::of(File::from(std::os::fd::OwnedFd::from(pipe))).unwrap();
        assert_eq!(message.reader().unwrap_err(), Ending::defer(&[b"Unable to rewind message. (#4.3.0)"]));
    }
}
