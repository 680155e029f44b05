//! A miniature qmail: qmail-send, qmail-lspawn, qmail-queue and qmail-smtpd, and stand-ins for the stock qmail-getpw and
//! qmail-local. One file, called by their names. It does what the contracts of qmail's interfaces say and nothing else:
//! no bounce is mailed and no message leaves the machine; both are written below `log`. It runs in the home that the
//! program file is in.

mod control;
mod delivery;
mod getpw;
mod local;
mod log;
mod lspawn;
mod message;
mod outcome;
mod queue;
mod route;
mod send;
mod signals;
mod smtpd;
mod users;

use std::ffi::OsString;
use std::io::{Error, Result, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = PathBuf::from(arguments.next().unwrap_or_default());
    let arguments: Vec<Vec<u8>> = arguments.map(OsString::into_vec).collect();
    let name = called.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.strip_suffix(".stock").unwrap_or(&name) {
        "qmail-send" => ended("qmail-send", send::main(&arguments).map(|()| 0)),
        "qmail-lspawn" => ended("qmail-lspawn", lspawn::main(&arguments)),
        "qmail-queue" => queue::main(),
        "qmail-smtpd" => ended("qmail-smtpd", smtpd::main()),
        "qmail-getpw" => getpw::main(&arguments),
        "qmail-local" => local::main(&arguments),
        other => ended(other, Err(Error::other("no program of this name"))),
    }
}

/// The exit code; a failure is 111, and is said.
fn ended(name: &str, result: Result<u8>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|error| {
        say(&format!("{name}: {error}"));
        111
    }))
}

/// Says it on standard error, if somebody listens.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// qmail's home: the program is in its folder bin.
fn home() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    program.ancestors().nth(2).map(Path::to_owned).ok_or_else(|| Error::other("no home above the program"))
}

/// The bytes as they are shown.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
