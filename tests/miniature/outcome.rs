//! What qmail-send is told of a delivery.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Longest report. Unit: bytes.
const REPORT_MAX: usize = 3000;
/// How much is left of a longer one. Unit: bytes.
const REPORT_CUT: usize = 2966;

/// `K` done, `Z` deferred or `D` failed, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) letter: char,
    pub(crate) text: Vec<u8>,
}

impl Outcome {
    /// That of a child of qmail-lspawn: its exit code, and what it and the programs that it became have written.
    pub(crate) fn of(status: ExitStatus, written: &[u8]) -> Self {
        let (letter, fixed) = match status.code() {
            Some(0) => ('K', None),
            Some(111 | 71 | 74 | 75) => ('Z', None),
            Some(112) => ('Z', Some("Internal qmail-lspawn bug.\n")),
            Some(113) => ('Z', Some("Not allowed to perform deliveries as root.\n")),
            Some(115) => ('Z', Some("NFS failure in qmail-local.\n")),
            Some(116) => ('Z', Some("Unable to find alias user!\n")),
            Some(117) => ('Z', Some("Trouble reading users/cdb in qmail-lspawn.\n")),
            Some(118) => ('Z', Some("Temporary failure in qmail-lspawn.\n")),
            Some(119) => ('Z', Some("Out of memory in qmail-lspawn.\n")),
            Some(120) => ('Z', Some("Unable to run qmail-local.\n")),
            Some(121) => ('Z', Some("Unable to run qmail-getpw.\n")),
            Some(126) => ('D', Some("Unable to run qmail-local.\n")),
            Some(_) => ('D', None),
            None => ('Z', Some("qmail-local crashed.\n")),
        };
        Self { letter, text: fixed.map_or_else(|| cut(written), |text| text.as_bytes().to_vec()) }
    }
}

fn cut(written: &[u8]) -> Vec<u8> {
    let text = written.split(|byte| *byte == 0).next().unwrap_or_default();
    match text.get(..REPORT_CUT) {
        Some(head) if text.len() > REPORT_MAX => [head, b"\nError report too long, sorry.\n"].concat(),
        _ => text.to_vec(),
    }
}

/// The exit code, or the signal that ended it.
pub(crate) fn code(status: ExitStatus) -> Result<u8, i32> {
    match status.code() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Err(status.signal().unwrap_or_default()),
    }
}
