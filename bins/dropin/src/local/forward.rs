//! Forwarding: one run of qmail-queue for all addresses.
//!
//! qmail-queue takes the message from descriptor 0, the envelope from descriptor 1, and refuses an envelope without its
//! end. So the envelope is kept back until all of the message is handed over: whatever ends this program before that,
//! nothing is in the queue.

use super::message::unread;
use super::perform::Delivery;
use super::queue_status;
use super::report::{Ending, Outcome};
use super::words;
use crate::sys::spawn::{self, Child, Failure, Program};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, PipeReader, PipeWriter, Read, Result, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;

/// What is run unless `$QMAILQUEUE` names another.
const QMAIL_QUEUE: &[u8] = b"bin/qmail-queue";

/// Where qmail-queue may write a text. Source: notqmail 1.09.
const TEXT: i32 = 6;

/// Most that is kept of it. Unit: bytes. Source: notqmail 1.09.
const TEXT_MAX: usize = 255;

/// How often it is seen whether qmail-queue has ended and only another process keeps descriptor 6. Unit: milliseconds.
const GLANCE: u16 = 100;

/// How much of the message is in memory. Unit: bytes. Source: what a pipe holds.
const CHUNK: usize = 65_536;

/// qmail's home: where qmail-queue is run.
#[derive(Debug)]
pub struct Qmail(File);

impl Qmail {
    /// The working directory at this moment.
    ///
    /// # Errors
    /// A deferral if it cannot be opened.
    pub fn here() -> Outcome<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(".").map(Self).map_err(|error| {
            Ending::defer(&[b"Unable to open qmail's home: ", words::of(&error).as_bytes(), b". (#4.3.0)"])
        })
    }
}

/// Puts the message into the queue for all of `addresses`. Gives the process number of qmail-queue.
///
/// # Errors
/// As qmail-queue's exit code says.
pub fn send(delivery: &Delivery, addresses: &[&[u8]]) -> Outcome<u32> {
    let Delivery { message, lines, qmail, new_sender, variables } = delivery;
    let queue = Queue::open(qmail, variables)?;
    hand_over(queue, &lines.delivered_to, &mut message.reader()?, &envelope(new_sender, addresses))
}

fn hand_over(mut queue: Queue, first_line: &[u8], source: &mut impl Read, envelope: &[u8]) -> Outcome<u32> {
    let read = queue.take(first_line, source);
    let pid = queue.child.id();
    // Without all of the message it gets no envelope, and refuses.
    let ended = queue.close(if read.is_ok() { envelope } else { b"" });
    read.map_err(|error| unread(&error))?;
    match ended {
        Err(error) => Err(failed(&[b"no word of qq: ", words::of(&error).as_bytes(), b" (#4.3.0)"])),
        Ok(ended) => match queue_status::meaning(ended.code, ended.written, &ended.said) {
            None => Ok(pid),
            Some((exit, why)) => Err(Ending { exit, ..failed(&[&why]) }),
        },
    }
}

fn failed(why: &[&[u8]]) -> Ending {
    Ending::defer(&[b"Unable to forward message: ", &why.concat(), b"."])
}

fn unforked(error: &Error) -> Ending {
    Ending::defer(&[b"Unable to fork: ", words::of(error).as_bytes(), b". (#4.3.0)"])
}

fn envelope(sender: &[u8], addresses: &[&[u8]]) -> Vec<u8> {
    let mut text = [b"F", sender, b"\0"].concat();
    for address in addresses {
        text.extend_from_slice(&[b"T", *address, b"\0"].concat());
    }
    text.push(0);
    text
}

/// A qmail-queue that runs.
struct Queue {
    child: Child,
    message: PipeWriter,
    envelope: PipeWriter,
    text: Text,
    /// Whether it has taken all that was offered.
    written: bool,
}

/// What qmail-queue writes to descriptor 6.
struct Text {
    /// `None`: it has ended.
    from: Option<PipeReader>,
    said: Vec<u8>,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    written: bool,
    said: Vec<u8>,
}

impl Queue {
    fn open(qmail: &Qmail, variables: &[(&'static str, Vec<u8>)]) -> Outcome<Self> {
        // One that is set and empty is a program that is not there, as to the stock program.
        let path = std::env::var_os("QMAILQUEUE").map_or_else(|| QMAIL_QUEUE.to_vec(), OsString::into_vec);
        let pipe = || std::io::pipe().map_err(|error| unforked(&error));
        let ((its_message, message), (its_envelope, envelope), (from, its_text)) = (pipe()?, pipe()?, pipe()?);
        for ours in [&message, &envelope] {
            spawn::never_wait(ours).map_err(|error| unforked(&error))?;
        }
        let child = spawn::start(&Program {
            path: &path,
            arguments: &[],
            variables,
            directory: Some(qmail.0.as_fd()),
            descriptors: &[(0, its_message.as_fd()), (1, its_envelope.as_fd()), (TEXT, its_text.as_fd())],
        });
        let child = child.map_err(|failure| match failure {
            Failure::Fork(error) => unforked(&error),
            Failure::Directory(_) => failed(&[b"qq trouble in home directory (#4.3.0)"]),
            Failure::Run(_) => failed(&[b"unable to exec qq (#4.3.0)"]),
        })?;
        Ok(Self { child, message, envelope, text: Text { from: Some(from), said: Vec::new() }, written: true })
    }

    /// Hands over the message, as far as it can be read.
    fn take(&mut self, first_line: &[u8], source: &mut impl Read) -> Result<()> {
        self.written = self.text.while_writing(&mut self.message, first_line);
        let mut chunk = vec![0; CHUNK];
        while self.written {
            match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    let part = chunk.get(..count).unwrap_or_default();
                    self.written = self.text.while_writing(&mut self.message, part);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the message, hands over the envelope if there was all of the message before it, and waits.
    fn close(mut self, envelope: &[u8]) -> Result<Ended> {
        drop(self.message);
        if self.written {
            self.written = self.text.while_writing(&mut self.envelope, envelope);
        }
        drop(self.envelope);
        self.text.until_the_end(&self.child);
        Ok(Ended { code: self.child.wait()?, written: self.written, said: self.text.said })
    }
}

impl Text {
    /// Writes all of `rest`, and reads meanwhile: neither side waits for the other for ever. False if `to` takes no more.
    fn while_writing(&mut self, to: &mut PipeWriter, mut rest: &[u8]) -> bool {
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(0) => return false,
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match spawn::wait_for_either(to, self.from.as_ref()) {
                        Ok(true) => self.listen(),
                        Ok(false) => {}
                        Err(_) => return false,
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads until there is no more, or `child` has ended and what it may have said is read: what it has left behind may
    /// keep its descriptors as long as it likes.
    fn until_the_end(&mut self, child: &Child) {
        while let Some(from) = &self.from {
            let ended = child.has_ended(); // seen first: then all that it has said is there
            match spawn::wait_to_read(from, if ended { 0 } else { GLANCE }) {
                Ok(true) if !ended || self.said.len() < TEXT_MAX => self.listen(),
                Ok(false) if !ended => {}
                _ => self.from = None,
            }
        }
    }

    /// Reads some of it. What is more than the most that is kept is dropped.
    fn listen(&mut self) {
        let mut chunk = [0; 512];
        match self.from.as_mut().map(|from| from.read(&mut chunk)) {
            Some(Ok(count @ 1..)) => {
                let room = TEXT_MAX.saturating_sub(self.said.len());
                self.said.extend_from_slice(chunk.get(..count.min(room)).unwrap_or_default());
            }
            Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            _ => self.from = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// qmail's home with a qmail-queue that does what `script` says.
    fn qmail(script: &str) -> (tempfile::TempDir, Qmail) {
        let home = tempfile::tempdir().unwrap();
        // By another process: a child that this one happens to start meanwhile would keep the file open for writing, and
        // the kernel would not run it.
        let write = "mkdir bin && printf '%s\n' \"$0\" >bin/qmail-queue && chmod 755 bin/qmail-queue";
        assert!(Command::new("/bin/sh").args(["-c", write, script]).current_dir(&home).status().unwrap().success());
        let qmail = Qmail(at(home.path()));
        (home, qmail)
    }

    fn at(path: &Path) -> File {
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).unwrap()
    }

    fn run(script: &str, mut message: &[u8]) -> (Outcome<()>, tempfile::TempDir) {
        let (home, qmail) = qmail(script);
        let queue = Queue::open(&qmail, &[]).unwrap();
        (hand_over(queue, b"Delivered-To: a@b\n", &mut message, &envelope(b"s@t", &[b"a", b"b"])).map(drop), home)
    }

    fn deferred(why: &[u8]) -> Outcome<()> {
        Err(failed(&[why]))
    }

    #[test]
    fn message_and_envelope_arrive_byte_for_byte() {
        let message: Vec<u8> = (0..=255).cycle().take(300_001).collect();
        let (ended, home) = run("#!/bin/sh\ncat >mess; cat <&1 >env", &message);
        assert_eq!(ended, Ok(()));
        let read = |name| std::fs::read(home.path().join(name)).unwrap();
        assert!(read("mess") == [b"Delivered-To: a@b\n", &message[..]].concat());
        assert_eq!(read("env"), b"Fs@t\0Ta\0Tb\0\0");
    }

    #[test]
    fn a_message_that_cannot_be_read_to_its_end_has_no_envelope() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(Error::from_raw_os_error(libc::EIO));
                }
                into.fill(b'x');
                Ok(into.len())
            }
        }
        let (home, qmail) = qmail("#!/bin/sh\ncat >mess; cat <&1 >env; exit 0");
        let queue = Queue::open(&qmail, &[]).unwrap();
        let ended = hand_over(queue, b"", &mut Broken(false), &envelope(b"s@t", &[b"a"]));
        assert_eq!(ended, Err(unread(&Error::from_raw_os_error(libc::EIO))));
        let size = |name| std::fs::metadata(home.path().join(name)).unwrap().len();
        assert_eq!((size("mess"), size("env")), (65_536, 0));
    }

    #[test]
    fn one_that_does_not_take_everything_has_not_queued_it() {
        let long = vec![b'x'; 1_000_000];
        assert_eq!(run("#!/bin/sh\nexit 0", &long).0, deferred(b"qq read error (#4.3.0)"));
        assert_eq!(run("#!/bin/sh\nexit 53", &long).0, deferred(b"qq write error or disk full (#4.3.0)"));
        assert_eq!(run("#!/bin/sh\nkill -9 $$", &long).0, deferred(b"qq crashed (#4.3.0)"));
    }

    #[test]
    fn a_long_text_holds_nothing_up_and_is_cut() {
        let talk = "i=0; while [ $i -lt 300 ]; do printf '%01000d' 7 >&6; i=$((i+1)); done";
        for script in [
            format!("#!/bin/sh\nprintf D >&6; {talk}; cat >/dev/null; cat <&1 >env; exit 82"),
            format!("#!/bin/sh\nprintf D >&6; cat >/dev/null; cat <&1 >env; {talk}; exit 82"),
        ] {
            let (ended, home) = run(&script, &[b'x'; 300_000]);
            assert_eq!(ended, Err(Ending { exit: crate::exit::LocalExit::Bounce, ..failed(&[&[b'0'; 254]]) }));
            assert_eq!(std::fs::metadata(home.path().join("env")).unwrap().len(), 12);
        }
        // One that closes its end is none that talks.
        assert_eq!(run("#!/bin/sh\nexec 6>&-; cat >/dev/null; cat <&1 >/dev/null", &[b'x'; 300_000]).0, Ok(()));
    }

    #[test]
    fn a_process_that_is_left_behind_holds_nothing_up() {
        let (silent, talkative) = ("sleep 60 2>/dev/null", "while echo more; do :; done >&6 2>/dev/null");
        for (behind, end, wanted) in [
            (silent, "exit 0", Ok(())),
            (silent, "exit 53", deferred(b"qq write error or disk full (#4.3.0)")),
            (silent, "printf 'Znot now' >&6; exit 82", deferred(b"not now")),
            (talkative, "exit 0", Ok(())),
        ] {
            let begun = std::time::Instant::now();
            let script = format!("#!/bin/sh\n{behind} & echo $! >left\ncat >/dev/null; cat <&1 >/dev/null; {end}");
            let (ended, home) = run(&script, &[b'x'; 100_000]);
            let taken = begun.elapsed();
            let left = std::fs::read_to_string(home.path().join("left")).unwrap();
            let _ = Command::new("/bin/kill").arg(left.trim()).output();
            assert_eq!(ended, wanted, "{behind}, {end}");
            assert!(taken.as_secs() < 30, "{behind}, {end}: {taken:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_not_given_to_a_shell() {
        let unable = |qmail: &Qmail| Queue::open(qmail, &[]).map(drop).unwrap_err();
        for script in ["exit 0", "", "#!/nonexistent/interpreter"] {
            assert_eq!(Err(unable(&qmail(script).1)), deferred(b"unable to exec qq (#4.3.0)"), "{script:?}");
        }
        let (home, _) = qmail("#!/bin/sh\nexit 0");
        let file = Qmail(at(&home.path().join("bin/qmail-queue")));
        assert_eq!(Err(unable(&file)), deferred(b"qq trouble in home directory (#4.3.0)"));
    }
}
