//! Delivery into a maildir: written in tmp/, then linked into new/. No name in new/ ever stands for less than the whole
//! message on disk, whenever the delivery ends. A maildir is never created.

use super::lines::Lines;
use super::message::Message;
use super::report::{Ending, Outcome};
use super::unique;
use crate::sys::files;
use crate::sys::timer::Timer;
use std::ffi::{CString, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// After this time programs that clean maildirs may take the file in tmp/ away. Unit: seconds.
const A_DAY: u32 = 86_400;

const TIMEOUT: &[u8] = b"Timeout on maildir delivery. (#4.3.0)\n";

/// Names that are tried.
const ATTEMPTS: usize = 3;

/// What is read and written at once. Unit: bytes.
const BUFFER: usize = 64 * 1024;

/// Delivers into the maildir at `path`, with or without a slash at its end.
///
/// # Errors
/// A deferral; nothing is in new/ then, or the whole message.
pub fn deliver(path: &[u8], message: &Message, lines: &Lines) -> Outcome<()> {
    let mut source = message.reader()?;
    let mut timer = Timer::start(A_DAY, TIMEOUT);
    let (file, entry) = create(path).map_err(|_| {
        // The rights that chdir asks for are those to go through the directory to itself.
        match fs::metadata(place(path, b".", b"")) {
            Ok(_) => temporary(),
            Err(_) => Ending::defer(&[b"Unable to chdir to maildir. (#4.2.1)"]),
        }
    })?;
    if let Ok(path) = CString::new(entry.tmp.clone().into_os_string().into_vec()) {
        timer.remove(path);
    }
    entry.deliver(file, &mut source, lines).map_err(|_| temporary())
}

fn temporary() -> Ending {
    Ending::defer(&[b"Temporary error on maildir delivery. (#4.3.0)"])
}

fn place(maildir: &[u8], folder: &[u8], name: &[u8]) -> PathBuf {
    // One that was cut at a NUL has lost the slash that made it a maildir.
    let slash: &[u8] = if maildir.ends_with(b"/") { b"" } else { b"/" };
    OsString::from_vec([maildir, slash, folder, name].concat()).into()
}

/// The names of one message.
struct Entry {
    tmp: PathBuf,
    /// The directory new/.
    folder: PathBuf,
    /// The name in it.
    new: PathBuf,
}

/// A file in tmp/ that is nobody else's.
fn create(maildir: &[u8]) -> Result<(File, Entry)> {
    let mut attempt = 1;
    loop {
        let name = unique::name();
        let tmp = place(maildir, b"tmp/", &name);
        match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&tmp) {
            Ok(file) => {
                let (folder, new) = (place(maildir, b"new/", b""), place(maildir, b"new/", &name));
                return Ok((file, Entry { tmp, folder, new }));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Entry {
    /// Fills `file` and enters it. Whatever happens, it is gone from tmp/ afterwards.
    fn deliver(&self, mut file: File, source: &mut impl Read, lines: &Lines) -> Result<()> {
        let entered = write(&mut file, source, lines)
            .and_then(|()| file.sync_all())
            .and_then(|()| file.metadata())
            .and_then(|written| files::close(file).map(|()| written))
            .and_then(|written| enter(&self.tmp, &self.new, &written));
        let _ = fs::remove_file(&self.tmp); // gone already if it was moved; else left to those who clean maildirs
        entered?;
        files::sync_directory(&self.folder).inspect_err(|_| {
            // The message stays in the queue: better not twice in the maildir.
            let _ = fs::remove_file(&self.new);
        })
    }
}

/// Writes everything, in pieces of one buffer.
fn write(file: &mut impl Write, source: &mut impl Read, lines: &Lines) -> Result<()> {
    let head = [&lines.return_path[..], &lines.delivered_to].concat();
    let mut buffer = vec![0; BUFFER.max(2 * head.len())];
    let (mut filled, mut ended) = (head.len(), false);
    buffer.get_mut(..filled).unwrap_or_default().copy_from_slice(&head);
    while !ended {
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match source.read(room) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        file.write_all(buffer.get(..filled).unwrap_or_default())?;
        filled = 0;
    }
    Ok(())
}

/// Gives the file `tmp`, which is `written`, the name `new`, which must be unused.
fn enter(tmp: &Path, new: &Path, written: &Metadata) -> Result<()> {
    let result = match fs::hard_link(tmp, new) {
        Err(error) if error.kind() == ErrorKind::Interrupted => return enter(tmp, new, written),
        Err(error) if knows_no_links(&error) => files::rename_to_unused(tmp, new),
        other => other,
    };
    // Over NFS it may have been done and only the reply lost. A number of links says nothing: a backup may link tmp/.
    result.or_else(|error| match fs::symlink_metadata(new) {
        Ok(found) if (found.dev(), found.ino()) == (written.dev(), written.ino()) => Ok(()),
        _ => Err(error),
    })
}

fn knows_no_links(error: &Error) -> bool {
    let codes = [libc::EPERM, libc::EOPNOTSUPP, libc::ENOSYS, libc::EMLINK, libc::EXDEV];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn lines() -> Lines {
        Lines { from: b"From x\n".into(), return_path: b"Return-Path: <>\n".into(), delivered_to: b"D: j@h\n".into() }
    }

    fn maildir(folders: &[&str]) -> (TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        for name in folders {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut path = folder.path().as_os_str().to_owned().into_vec();
        path.push(b'/');
        (folder, path)
    }

    fn names(folder: &TempDir, name: &str) -> Vec<PathBuf> {
        fs::read_dir(folder.path().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Ends with an error after some bytes.
    struct Broken(usize);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            let count = self.0.min(into.len());
            self.0 -= count;
            if count == 0 { Err(Error::from_raw_os_error(libc::EIO)) } else { Ok(count) }
        }
    }

    #[test]
    fn a_message_of_any_length_comes_whole() {
        let head = [lines().return_path, lines().delivered_to].concat();
        for length in [0, 1, BUFFER - head.len() - 1, BUFFER - head.len(), BUFFER, 3 * BUFFER + 7] {
            let message: Vec<u8> = (0..length).map(|n| (n % 251).try_into().unwrap()).collect();
            let mut written = Vec::new();
            write(&mut written, &mut &message[..], &lines()).unwrap();
            assert!(written == [head.clone(), message].concat(), "{length}");
        }
    }

    #[test]
    fn a_delivery_leaves_one_file_in_new_or_none_anywhere() {
        let (folder, path) = maildir(&["tmp", "new"]);
        let (file, entry) = create(&path).unwrap();
        entry.deliver(file, &mut &b"From the start\n\nx"[..], &lines()).unwrap();
        let found = names(&folder, "new");
        assert_eq!(found, [entry.new]);
        assert_eq!(fs::read(&found[0]).unwrap(), b"Return-Path: <>\nD: j@h\nFrom the start\n\nx");
        let (file, entry) = create(&path).unwrap();
        entry.deliver(file, &mut Broken(100_000), &lines()).unwrap_err();
        assert_eq!((names(&folder, "new").len(), names(&folder, "tmp").len()), (1, 0));
    }

    #[test]
    fn a_name_in_new_is_never_replaced() {
        let (folder, path) = maildir(&["tmp", "new"]);
        let (file, entry) = create(&path).unwrap();
        fs::write(&entry.new, "another's").unwrap();
        let error = entry.deliver(file, &mut &b"x"[..], &lines()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&entry.new).unwrap(), b"another's");
        assert!(names(&folder, "tmp").is_empty());
    }

    #[test]
    fn a_link_whose_reply_was_lost_is_one() {
        let (folder, _) = maildir(&["tmp", "new"]);
        let [tmp, new] = ["tmp/a", "new/a"].map(|name| folder.path().join(name));
        fs::write(&tmp, "x").unwrap();
        let written = fs::metadata(&tmp).unwrap();
        fs::hard_link(&tmp, &new).unwrap();
        enter(&tmp, &new, &written).unwrap();
        // A move, too.
        fs::remove_file(&tmp).unwrap();
        enter(&tmp, &new, &written).unwrap();
    }

    #[test]
    fn a_link_that_somebody_else_made_is_none() {
        let (folder, _) = maildir(&["tmp", "new", "backup"]);
        let [tmp, new, backup] = ["tmp/a", "new/a", "backup/a"].map(|name| folder.path().join(name));
        fs::write(&tmp, "x").unwrap();
        let written = fs::metadata(&tmp).unwrap();
        fs::hard_link(&tmp, &backup).unwrap();
        fs::write(&new, "another's").unwrap();
        assert_eq!(enter(&tmp, &new, &written).unwrap_err().kind(), ErrorKind::AlreadyExists);
        // Nor is one that leads there: what is in tmp/ is removed.
        fs::remove_file(&new).unwrap();
        std::os::unix::fs::symlink(&tmp, &new).unwrap();
        assert_eq!(enter(&tmp, &new, &written).unwrap_err().kind(), ErrorKind::AlreadyExists);
        fs::remove_file(&new).unwrap();
        fs::remove_dir(folder.path().join("new")).unwrap();
        assert_eq!(enter(&tmp, &new, &written).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_path_without_its_slash_is_the_same_maildir() {
        assert_eq!(place(b"./M", b"tmp/", b"x"), Path::new("./M/tmp/x"));
        assert_eq!(place(b"./M/", b"tmp/", b"x").into_os_string(), "./M/tmp/x");
    }

    #[test]
    fn without_new_nothing_stays_in_tmp() {
        let (folder, path) = maildir(&["tmp"]);
        let (file, entry) = create(&path).unwrap();
        entry.deliver(file, &mut &b"x"[..], &lines()).unwrap_err();
        assert!(names(&folder, "tmp").is_empty());
        let (_folder, path) = maildir(&["new"]);
        assert!(create(&path).is_err());
    }
}
