//! The message: descriptor 0, read from its beginning by every delivery.

use super::report::{Ending, Outcome};
use super::words;
use crate::sys;
use std::fs::File;
use std::io::{Error, Seek};
use std::os::fd::AsFd;

/// See the module. It shares its position with descriptor 0, which programs inherit.
#[derive(Debug)]
pub struct Message(File);

impl Message {
    /// Takes descriptor 0.
    ///
    /// # Errors
    /// If it was closed when the program was started: what stands there now is empty.
    pub fn take() -> Outcome<Self> {
        if !sys::stdin_was_open() {
            return Err(Ending::defer(&[b"Unable to read message: file descriptor not open. (#4.3.0)"]));
        }
        std::io::stdin().as_fd().try_clone_to_owned().map(|fd| Self(fd.into())).map_err(|error| unread(&error))
    }

    /// The message from its beginning.
    ///
    /// # Errors
    /// If it cannot be rewound.
    pub fn rewound(&mut self) -> Outcome<&mut File> {
        match self.0.rewind() {
            Ok(()) => Ok(&mut self.0),
            Err(_) => Err(Ending::defer(&[b"Unable to rewind message. (#4.3.0)"])),
        }
    }
}

/// The message cannot be read.
#[must_use]
pub fn unread(error: &Error) -> Ending {
    Ending::defer(&[b"Unable to read message: ", words::of(error).as_bytes(), b". (#4.3.0)"])
}
