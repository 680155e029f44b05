//! Asking for a password at the terminal: its bytes as they are typed, whatever their character set, and not shown.

use crate::output::Failure;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use qmail_lookup_core::Secret;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// Longest line that a terminal hands over. Unit: bytes.
const LINE_MAX: usize = 4096;

/// A terminal that shows nothing that is typed, until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn new(terminal: &File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHOE | LocalFlags::ECHOK);
        // The end of the line is shown, and lines are still edited by the terminal.
        quiet.local_flags.insert(LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        // Who stops us would get a terminal without echo.
        if let Some(stop) = quiet.control_chars.get_mut(SpecialCharacterIndices::VSUSP as usize) {
            *stop = 0;
        }
        let hidden = Self { terminal: terminal.try_clone()?, before };
        // What was typed before could be seen.
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

type Shared = Arc<Mutex<Option<Hidden>>>;

fn take(hidden: &Shared) -> Option<Hidden> {
    hidden.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Asks with each of `questions`, one line each.
///
/// # Errors
/// If there is no terminal, or it is closed.
pub(super) async fn ask(questions: &'static [&'static str]) -> Result<Vec<Secret>, Failure> {
    let failed = |error: io::Error| {
        Failure::usage(format!("no password can be asked for: {error}; give it on standard input (--password-stdin)"))
    };
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let hidden: Shared = Arc::default();
    // Before anything is hidden: from here on no signal ends us without showing it again.
    watch(&hidden).map_err(failed)?;
    *hidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(Hidden::new(&terminal).map_err(failed)?);
    let asked = tokio::task::spawn_blocking(move || questions.iter().map(|words| line(&terminal, words)).collect());
    let lines = asked.await.unwrap_or_else(|_| Err(io::Error::other("reading ended early")));
    drop(take(&hidden));
    lines.map_err(failed)
}

/// Ends the tool as these signals do otherwise, but with the terminal as it was.
fn watch(hidden: &Shared) -> io::Result<()> {
    for (kind, number) in [
        (SignalKind::interrupt(), 2),
        (SignalKind::terminate(), 15),
        (SignalKind::hangup(), 1),
        (SignalKind::quit(), 3),
    ] {
        let (mut signals, hidden) = (signal(kind)?, Arc::clone(hidden));
        tokio::spawn(async move {
            signals.recv().await;
            drop(take(&hidden));
            std::process::exit(128 + number);
        });
    }
    Ok(())
}

fn line(mut terminal: &File, words: &str) -> io::Result<Secret> {
    terminal.write_all(words.as_bytes())?;
    terminal.flush()?;
    let mut line = Vec::with_capacity(LINE_MAX);
    let mut byte = [0];
    while line.len() < LINE_MAX {
        match terminal.read(&mut byte) {
            Ok(0) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Secret::new(line))
}
