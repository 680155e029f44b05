//! Delivery to a program.

use super::message::Message;
use super::report::{Ending, Outcome};
use super::words;
use crate::sys::spawn::{self, Failure, Program};

/// The program that runs the others.
const SHELL: &[u8] = b"/bin/sh";

/// What comes after a program that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next step.
    Step,
    /// No further step.
    Stop,
}

/// Runs `command` by the shell. It reads the message from its beginning, and what it says is in the report; there is no
/// limit to its time.
///
/// # Errors
/// As the program's exit code says; whatever that was, the program has said why.
pub fn run(command: &[u8], message: &Message, variables: &[(&'static str, Vec<u8>)]) -> Outcome<Next> {
    message.rewind()?;
    let shell = Program { path: SHELL, arguments: &[b"-c", command], variables, directory: None, descriptors: &[] };
    let child = spawn::start(&shell).map_err(|failure| unstarted(&failure))?;
    next(child.wait())
}

fn unstarted(failure: &Failure) -> Ending {
    let (what, error): (&[u8], _) = match failure {
        Failure::Fork(error) => (b"fork", error),
        Failure::Directory(error) | Failure::Run(error) => (b"run /bin/sh", error),
    };
    Ending::defer(&[b"Unable to ", what, b": ", words::of(error).as_bytes(), b". (#4.3.0)"])
}

fn next(ended: std::io::Result<Option<i32>>) -> Outcome<Next> {
    match ended {
        Ok(Some(0)) => Ok(Next::Step),
        Ok(Some(99)) => Ok(Next::Stop),
        Ok(Some(100 | 64 | 65 | 70 | 76 | 77 | 78 | 112)) => Err(Ending::bounce(&[])),
        Ok(Some(_)) => Err(Ending::defer(&[])),
        Ok(None) => Err(Ending::defer(&[b"Aack, child crashed. (#4.3.0)"])),
        Err(error) => Err(Ending::defer(&[b"Unable to wait for child: ", words::of(&error).as_bytes(), b". (#4.3.0)"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_say_so_bounce() {
        for code in 0..256 {
            let wanted = match code {
                0 => Ok(Next::Step),
                99 => Ok(Next::Stop),
                64 | 65 | 70 | 76 | 77 | 78 | 100 | 112 => Err(Ending::bounce(&[])),
                _ => Err(Ending::defer(&[])),
            };
            assert_eq!(next(Ok(Some(code))), wanted, "{code}");
        }
        assert_eq!(next(Ok(None)), Err(Ending::defer(&[b"Aack, child crashed. (#4.3.0)"])));
        assert_eq!(next(Err(std::io::ErrorKind::Other.into())).unwrap_err().exit, crate::exit::LocalExit::Defer);
    }
}
