//! Messages in the queue, as they stand on disk: `info/0/ID` (`F` sender), `local/0/ID` and `remote/0/ID` (`T` recipient,
//! the `T` turned into `D` when it is done), each record ended by a NUL.

use crate::route::{Routes, Way};
use std::fs::{OpenOptions, remove_file};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which of the two files a recipient stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Local,
    Remote,
}

impl Channel {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// A recipient that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) channel: Channel,
    /// Of its `T`. Unit: bytes.
    pub(crate) at: u64,
    pub(crate) address: Vec<u8>,
}

/// A message and what is left of its recipients.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) sender: Vec<u8>,
    pub(crate) born: SystemTime,
    pub(crate) left: Vec<Recipient>,
}

/// The file of a message in one of the queue's folders, below qmail's home.
pub(crate) fn file(home: &Path, folder: &str, id: &str) -> PathBuf {
    home.join("queue").join(folder).join("0").join(id)
}

/// Names of the files in a folder of the queue, sorted.
pub(crate) fn ids(folder: &Path) -> Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

impl Message {
    /// Routes what `todo/ID` holds. That goes away last: whoever is killed before does it again.
    pub(crate) fn route(home: &Path, id: &str, routes: &Routes) -> Result<Self> {
        let todo = home.join("queue/todo").join(id);
        let envelope = std::fs::read(&todo)?;
        let (mut sender, mut local, mut remote) = (Vec::new(), Vec::new(), Vec::new());
        for record in envelope.split(|byte| *byte == 0) {
            match record.split_first() {
                Some((b'F', address)) => sender = address.to_vec(),
                Some((b'T', address)) => {
                    let (file, address) = match routes.way(address) {
                        Way::Local(address) => (&mut local, address),
                        Way::Remote(address) => (&mut remote, address),
                    };
                    file.extend([b"T", &address[..], b"\0"].concat());
                }
                _ => {}
            }
        }
        std::fs::write(file(home, "info", id), [b"F", &sender[..], b"\0"].concat())?;
        for (folder, content) in [("local", local), ("remote", remote)] {
            let file = file(home, folder, id);
            match content.is_empty() {
                true => forget(&file)?,
                false => std::fs::write(file, content)?,
            }
        }
        forget(&home.join("queue/intd").join(id))?;
        remove_file(todo)?;
        Self::load(home, id)
    }

    /// Reads a message that was routed before.
    pub(crate) fn load(home: &Path, id: &str) -> Result<Self> {
        let info = file(home, "info", id);
        let sender = std::fs::read(&info)?;
        let sender = sender.strip_prefix(b"F").and_then(|s| s.strip_suffix(b"\0")).ok_or(ErrorKind::InvalidData)?;
        let mut left = Vec::new();
        for channel in [Channel::Local, Channel::Remote] {
            let mut at = 0;
            for record in read(&file(home, channel.folder(), id))?.split_inclusive(|byte| *byte == 0) {
                if let Some(address) = record.strip_prefix(b"T").and_then(|record| record.strip_suffix(b"\0")) {
                    left.push(Recipient { channel, at, address: address.to_vec() });
                }
                at += u64::try_from(record.len()).map_err(Error::other)?;
            }
        }
        let born = std::fs::metadata(&info)?.modified()?;
        Ok(Self { id: id.to_owned(), sender: sender.to_vec(), born, left })
    }

    /// Turns the `T` of a recipient into `D`.
    pub(crate) fn done(&self, home: &Path, recipient: &Recipient) -> Result<()> {
        let file = OpenOptions::new().write(true).open(file(home, recipient.channel.folder(), &self.id))?;
        file.write_all_at(b"D", recipient.at)
    }

    /// Takes the message out of the queue.
    pub(crate) fn remove(&self, home: &Path) -> Result<()> {
        // The one by which it is found at a start goes last.
        ["local", "remote", "mess", "info"].into_iter().try_for_each(|folder| forget(&file(home, folder, &self.id)))
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn forget(file: &Path) -> Result<()> {
    match remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
