//! Signals, caught as qmail-send catches them: a handler that only says so.
#![allow(unsafe_code)]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io::Result;
use std::sync::atomic::{AtomicBool, Ordering};

static HUP: AtomicBool = AtomicBool::new(false);
static ALRM: AtomicBool = AtomicBool::new(false);
static TERM: AtomicBool = AtomicBool::new(false);

/// Which there are, and where each is noted.
const ALL: [(Signal, &AtomicBool); 3] = [(Signal::SIGHUP, &HUP), (Signal::SIGALRM, &ALRM), (Signal::SIGTERM, &TERM)];

extern "C" fn note(number: i32) {
    for (signal, noted) in ALL {
        if signal as i32 == number {
            noted.store(true, Ordering::Release);
        }
    }
}

/// Catches them from now on.
pub(crate) fn catch() -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for (signal, _) in ALL {
        // SAFETY: the handler does nothing but store to atomics, which is allowed at any time.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Those that have come since the last look.
pub(crate) fn come() -> impl Iterator<Item = Signal> {
    ALL.into_iter().filter(|(_, noted)| noted.swap(false, Ordering::AcqRel)).map(|(signal, _)| signal)
}
