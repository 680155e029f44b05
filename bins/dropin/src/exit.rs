//! What each program's exit status means to the program that ran it. One enum per program, and no other way out.

use crate::sys;
use std::process::ExitCode;

/// The statuses of one program.
pub trait Exit: Copy {
    /// "Don't know": what a panic ends with.
    const TEMPORARY: Self;

    /// The number that the kernel is told.
    fn code(self) -> u8;
}

/// What qmail-lspawn understands from qmail-getpw. Source: report() of qmail-lspawn.c; a status that is not listed
/// there bounces the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GetpwExit {
    /// Six fields were written, all of them.
    Answered = 0,
    /// No answer; the message stays in the queue ("Temporary failure in qmail-lspawn.").
    Defer = 118,
}

/// What callers of checkpassword understand. Source: cr.yp.to/checkpwd/interface.html.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CheckpasswordExit {
    /// The password is not acceptable.
    Refused = 1,
    /// Run in a way that no caller should.
    Misused = 2,
    /// Not known.
    Temporary = 111,
}

/// What Dovecot understands. Source: measured with 2.3.19. Status 2 means success to it once its reply program has
/// written, so misuse is temporary here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DovecotExit {
    /// Asked for a password: not acceptable.
    Refused = 1,
    /// Asked for a user: there is none.
    Unknown = 3,
    /// Not known.
    Temporary = 111,
}

/// What a qmail-smtpd with the RCPTCHECK patch understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RcptcheckExit {
    /// The recipient may exist.
    Possible = 0,
    /// It does not exist: 553.
    Unknown = 100,
    /// Not known: 421.
    Temporary = 111,
}

/// What qmail-lspawn understands from qmail-local. Source: report() of qmail-lspawn.c; it knows a few more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LocalExit {
    /// Every instruction was carried out.
    Done = 0,
    /// The message goes back to its sender.
    Bounce = 100,
    /// The message stays in the queue.
    Defer = 111,
}

macro_rules! exits {
    ($($program:ty: $temporary:ident),*) => {$(
        impl Exit for $program {
            const TEMPORARY: Self = Self::$temporary;

            fn code(self) -> u8 {
                self as u8
            }
        }

        impl From<$program> for ExitCode {
            fn from(exit: $program) -> Self {
                Self::from(exit.code())
            }
        }
    )*};
}

exits!(
    GetpwExit: Defer,
    LocalExit: Defer,
    CheckpasswordExit: Temporary,
    DovecotExit: Temporary,
    RcptcheckExit: Temporary
);

/// Makes any later panic, and any want of memory, end the process at once, silently, with the temporary status. A panic
/// that unwinds to the end of main exits 101, and qmail bounces on 101.
pub fn on_panic<E: Exit>() {
    sys::memory::end_without(E::TEMPORARY.code());
    std::panic::set_hook(Box::new(|_| sys::exit_now(E::TEMPORARY.code())));
}
