//! Delivery into an mbox file. Locked with flock, and whole or not there: whatever fails, the file is cut back to its old
//! length, by the [guard](crate::sys::guard) if this process is killed. A file that somebody without that lock has changed
//! meanwhile is left as it is.

use super::lines::Lines;
use super::message::{self, Message};
use super::report::{Ending, Outcome};
use super::words;
use crate::sys::files;
use crate::sys::guard::Guard;
use crate::sys::timer::Timer;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Read, Result, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Time to wait for a lock. Unit: seconds.
const PATIENCE: u32 = 30;

const LOCKED: &[u8] = b"File has been locked for 30 seconds straight. (#4.3.0)\n";

/// How often a file is opened again because another one has taken its name while its lock was waited for.
const ATTEMPTS: usize = 10;

/// What is read and written at once. Unit: bytes.
const BUFFER: usize = 64 * 1024;

/// Appends to the mbox at `path`.
///
/// # Errors
/// A deferral; the file is as it was then, unless another program has changed it.
pub fn deliver(path: &[u8], message: &Message, lines: &Lines) -> Outcome<()> {
    let mut source = message.reader()?;
    let (file, locked) = open(path)?;
    let unwritten =
        |error: &Error| Ending::defer(&[b"Unable to write ", path, b": ", words::of(error).as_bytes(), b". (#4.3.0)"]);
    let found = file.metadata().map_err(|error| unwritten(&error))?;
    let length = found.len();
    let mut guard = if locked && found.is_file() {
        let unable = |error| Ending::defer(&[b"Unable to fork: ", words::of(&error).as_bytes(), b". (#4.3.0)"]);
        Some(Guard::set(&file, length).map_err(unable)?)
    } else {
        None // without the lock, what would be cut off may be another's
    };
    let appended = match &mut guard {
        Some(guard) => append(guard, &mut source, lines),
        None => append(&file, &mut source, lines),
    };
    let delivered = appended.and_then(|()| {
        file.sync_all()?;
        if length == 0 {
            // Nobody delivers behind this message before its file is sure to have a name.
            sync_name(Path::new(OsStr::from_bytes(path)))?;
        }
        Ok(())
    });
    if let Some(guard) = guard {
        if delivered.is_ok() { guard.dismiss() } else { guard.undo() }
    }
    delivered.map_err(|failure| failure.ending(unwritten))
}

/// Which end of the delivery failed.
enum Failure {
    Read(Error),
    Write(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Write(error)
    }
}

impl Failure {
    fn ending(self, unwritten: impl Fn(&Error) -> Ending) -> Ending {
        match self {
            Self::Read(error) => message::unread(&error),
            Self::Write(error) => unwritten(&error),
        }
    }
}

/// The file, and whether it is locked. It need not be: there are file systems without locks.
fn open(path: &[u8]) -> Outcome<(File, bool)> {
    let unable = |why: &str| Ending::defer(&[b"Unable to open ", path, b": ", why.as_bytes(), b". (#4.2.1)"]);
    let name = Path::new(OsStr::from_bytes(path));
    let mut options = OpenOptions::new();
    // Not blocking: a FIFO without a reader would be waited for.
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let _timer = Timer::start(PATIENCE, LOCKED);
    for _ in 0..ATTEMPTS {
        let file = options.open(name).map_err(|error| unable(words::of(&error)))?;
        if !lock(&file) {
            return Ok((file, false));
        }
        if has_name(&file, name) {
            return Ok((file, true));
        }
    }
    Err(unable("it is replaced again and again"))
}

fn lock(file: &File) -> bool {
    loop {
        match file.lock() {
            Ok(()) => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Whether `file` is still what `name` stands for. A mail program that has held the lock may have moved or removed it,
/// and what is written to a removed file is lost.
fn has_name(file: &File, name: &Path) -> bool {
    match (file.metadata(), fs::metadata(name)) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        (Ok(open), Err(error)) => open.nlink() > 0 && error.kind() != ErrorKind::NotFound,
        (Err(_), _) => true,
    }
}

/// Makes the name of a new file outlive a power failure.
fn sync_name(path: &Path) -> Result<()> {
    // The file is new where symbolic links end, if that can be told.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.parent().map_or(Ok(()), files::sync_directory)
}

/// Writes what is to stand behind what is there.
fn append(file: impl Write, source: &mut impl Read, lines: &Lines) -> std::result::Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, file);
    for line in [&lines.from, &lines.return_path, &lines.delivered_to] {
        out.write_all(line)?;
    }
    let mut buffer = vec![0; BUFFER];
    let mut quoter = Quoter::default();
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => quoter.put(buffer.get(..count).unwrap_or_default(), &mut out)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Read(error)),
        }
    }
    quoter.end(&mut out)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// What begins a message in an mbox, and must not begin a line in one.
const FROM: &[u8] = b"From ";

/// Puts one more `>` before each line that begins with any number of them and [`FROM`].
#[derive(Default)]
struct Quoter {
    at: At,
    /// The last byte was no newline.
    unended: bool,
}

/// Where in a line.
#[derive(Clone, Copy)]
enum At {
    /// Behind nothing but `>`, and this many bytes of [`FROM`] that are not written yet.
    Beginning(usize),
    /// Where it no longer matters.
    Inside,
}

impl Default for At {
    fn default() -> Self {
        Self::Beginning(0)
    }
}

impl Quoter {
    /// Takes the next piece of the message, which may end anywhere.
    fn put(&mut self, piece: &[u8], out: &mut impl Write) -> Result<()> {
        self.unended = piece.last().map_or(self.unended, |&b| b != b'\n');
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.at {
                At::Inside => {
                    let (line, others) = match rest.iter().position(|&b| b == b'\n') {
                        Some(end) => {
                            self.at = At::Beginning(0);
                            rest.split_at(end + 1)
                        }
                        None => (rest, &[][..]),
                    };
                    out.write_all(line)?;
                    rest = others;
                }
                At::Beginning(0) if byte == b'>' => {
                    out.write_all(b">")?;
                    rest = behind;
                }
                At::Beginning(matched) if FROM.get(matched) == Some(&byte) => {
                    rest = behind;
                    self.at = At::Beginning(matched + 1);
                    if matched + 1 == FROM.len() {
                        out.write_all(b">")?;
                        self.give_up(out)?;
                    }
                }
                At::Beginning(_) => self.give_up(out)?,
            }
        }
        Ok(())
    }

    /// Writes what was held back; the rest of the line is as it is.
    fn give_up(&mut self, out: &mut impl Write) -> Result<()> {
        if let At::Beginning(matched) = std::mem::replace(&mut self.at, At::Inside) {
            out.write_all(FROM.get(..matched).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Ends the last line, if there is one that has no end.
    fn end(mut self, out: &mut impl Write) -> Result<()> {
        self.give_up(out)?;
        if self.unended { out.write_all(b"\n") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes at once.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn lines() -> Lines {
        Lines { from: b"From x\n".into(), return_path: b"R\n".into(), delivered_to: b"D\n".into() }
    }

    fn appended(message: &[u8], at_once: usize) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(append(&mut out, &mut Drops(message, at_once), &lines()).is_ok());
        out
    }

    #[test]
    fn lines_that_look_like_the_beginning_of_a_message_are_quoted() {
        let message = b"From: a\nFrom header\n\nFrom start\n>From quoted\n>>From q2\n From indented\nFROM upper\n\
            >>>FromX\nFrom\nF\n>\nFFrom \n>F\n\n\nFrom \nx From y\n>> From z\nFrFrom \n>From >From x\n";
        let quoted = b"From x\nR\nD\nFrom: a\n>From header\n\n>From start\n>>From quoted\n>>>From q2\n From indented\n\
            FROM upper\n>>>FromX\nFrom\nF\n>\nFFrom \n>F\n\n\n>From \nx From y\n>> From z\nFrFrom \n>>From >From x\n\n";
        for at_once in 1..=message.len() {
            assert_eq!(appended(message, at_once).escape_ascii().to_string(), quoted.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_message_without_its_last_newline_gets_one() {
        for (message, end) in [
            ("", "\n"),
            ("\n", "\n\n"),
            ("x", "x\n\n"),
            ("x\nFro", "x\nFro\n\n"),
            ("x\nFrom ", "x\n>From \n\n"),
            (">>", ">>\n\n"),
            ("x\n>>From ", "x\n>>>From \n\n"),
            ("\0\u{e9}\r\nFrom\0", "\0\u{e9}\r\nFrom\0\n\n"),
        ] {
            for at_once in 1..8 {
                let found = String::from_utf8(appended(message.as_bytes(), at_once)).unwrap();
                assert_eq!(found, format!("From x\nR\nD\n{end}"), "{message:?}");
            }
        }
    }

    #[test]
    fn lines_and_quotes_may_be_longer_than_any_buffer() {
        let quotes = ">".repeat(3 * BUFFER);
        let message = format!("{quotes}From x\n{}From y\nFrom z", "y".repeat(3 * BUFFER));
        let quoted = format!("From x\nR\nD\n>{quotes}From x\n{}From y\n>From z\n\n", "y".repeat(3 * BUFFER));
        for at_once in [BUFFER, BUFFER - 1, 1000] {
            assert!(appended(message.as_bytes(), at_once) == quoted.as_bytes());
        }
    }

    #[test]
    fn a_name_that_stands_for_another_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let [name, moved, link] = ["mbox", "moved", "link"].map(|name| folder.path().join(name));
        let file = File::create(&name).unwrap();
        assert!(has_name(&file, &name));
        std::os::unix::fs::symlink(&name, &link).unwrap();
        assert!(has_name(&file, &link));
        fs::rename(&name, &moved).unwrap();
        assert!(!has_name(&file, &name));
        File::create(&name).unwrap();
        assert!(!has_name(&file, &name) && has_name(&file, &moved));
    }

    #[test]
    fn a_name_is_written_to_disk_where_links_end() {
        let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [name, link] = [folder.path().join("mbox"), other.path().join("link")];
        std::os::unix::fs::symlink(&name, &link).unwrap();
        File::create(&name).unwrap();
        sync_name(&link).unwrap();
        let gone = folder.path().to_owned();
        drop(folder);
        assert_eq!(sync_name(&gone.join("mbox")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
